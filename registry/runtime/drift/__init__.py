"""Measure how far embeddings moved between two models."""
