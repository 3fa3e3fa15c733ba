"""Models that plain Sentence Transformers loads go through the registry to the bit; other refusals are true."""
