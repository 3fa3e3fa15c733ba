"""Tokenizer files: vocabulary, added tokens, token lists of users."""
