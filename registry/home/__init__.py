"""An open registry: its folder, its location, and prefetching of a long journal."""
