"""Register versions: add, save, resize, merge, and repair of folders with --fix."""
