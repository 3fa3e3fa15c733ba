"""Values that every layer shares: digests, references, manifests, entries. Standard library only."""
