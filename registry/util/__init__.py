"""File-system primitives. Standard library only."""
