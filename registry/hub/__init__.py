"""The Hub: another registry, far away; and its cache on this disk."""
