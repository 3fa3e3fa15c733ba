"""What a folder of files is, told from its configurations and its files' names alone: `layout`; and its location-free form."""

from .layout import Layout, layout
from .modules import Module
from .portable import is_local, location_free

__all__ = ["Layout", "Module", "is_local", "layout", "location_free"]
