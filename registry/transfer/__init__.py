"""Versions in transit: line.json on the Hub, and bundles."""
