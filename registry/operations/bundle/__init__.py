"""pull FILE: what a bundle holds comes in, whole or not at all: versions with the names and numbers they have there, or a whole home.

Nothing in it is believed. Every byte is hashed; every version is prepared like a folder that is added, in a registry of the moment
that shares this one's blobs, before the first entry is written here.
"""

from .import_file import unbundle
from .import_versions import UnbundleOptions

__all__ = ["UnbundleOptions", "unbundle"]
