"""Actions: one user-visible verb a file, each a straight line through the rooms."""
