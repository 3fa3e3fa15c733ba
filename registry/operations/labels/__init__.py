"""Aliases, notes and yanks of versions."""
