"""Output: tables, JSON, text, graphs, progress."""
