"""What a folder of files is, told from its configurations and its files' names alone: `layout`; and its location-free form."""

from .layout import Layout, layout
from .location import is_local, location_free
from .modules import Module

__all__ = ["Layout", "Module", "is_local", "layout", "location_free"]
