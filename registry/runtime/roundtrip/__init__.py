"""Verify that a saved model loads back as the model in memory."""
