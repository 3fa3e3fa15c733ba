"""Helpers of several operations: references, folders, staging, recorded paths."""
