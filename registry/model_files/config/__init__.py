"""Configuration files: parsing, types of settings, defaults, edits."""
