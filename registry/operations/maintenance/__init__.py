"""Garbage collection, deletion, disk usage, settings, audit, repair."""
