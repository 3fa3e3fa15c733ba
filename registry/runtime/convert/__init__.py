"""Convert pickled weights to safetensors and tokenizer sources to tokenizer.json.

Untrusted files are read in child processes only; this process reads what they wrote.
"""

from .convert import Converted, convert

__all__ = ["Converted", "convert"]
