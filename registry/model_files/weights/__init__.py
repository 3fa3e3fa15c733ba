"""Weight files: safetensors headers, embedding rows, rewriting."""
