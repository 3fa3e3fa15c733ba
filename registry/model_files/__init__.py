"""Artifacts: what a folder of files means. The only room with torch, and that inside functions."""
