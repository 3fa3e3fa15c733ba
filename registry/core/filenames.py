"""File names: which files of a model are its weights and its tokens, wherever it lies."""

from __future__ import annotations

WEIGHTS = (".safetensors",)
"""How files of weights end that a version may hold."""
OTHER_WEIGHTS = (
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".h5",
    ".msgpack",
    ".ot",
    ".gguf",
    ".onnx",
    ".tflite",
)
"""How those end that none holds; a repository with one is a model's all the same."""
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "chat_template.jinja",
)
LEFT_BY_DESKTOPS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What the Finder of macOS, and Windows, put into every folder that somebody opens in them; nothing reads it, wherever it lies."""
ADAPTER_CONFIG = "adapter_config.json"
"""The file of an adapter that names its base."""
MODULES = "modules.json"
"""The file by which Sentence Transformers knows a model."""
