"""Load and check out versions."""
