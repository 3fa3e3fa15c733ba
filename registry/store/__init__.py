"""Store: durable bytes. Knows no model and no table."""
