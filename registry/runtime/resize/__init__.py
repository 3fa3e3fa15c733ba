"""Add tokens to a model and verify the new embedding rows."""
