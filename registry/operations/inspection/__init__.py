"""Read-only questions: list, show, find, log, tokens, diff."""
