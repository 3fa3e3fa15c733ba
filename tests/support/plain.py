"""Models small enough to be made by hand, without torch: the folders that sentence-transformers writes, in kilobytes.

A BERT of one layer and width 8, its resized child, and a LoRA adapter on it. Loadable by the real libraries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy

WIDTH, INNER, ROWS_AT_MOST = 8, 16, 64
WORDS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "patient",
    "takes",
    "one",
    "a",
    "day",
    "##s",
    "new",
    "dose",
    "z",
    "##o",
    "##r",
    "##v",
    "##a",
    "##x",
    "##i",
    "##n",
    "q",
    "##u",
    "##e",
    ".",
    ",",
)
SPECIAL = 5


def base(
    folder: Path,
    *,
    seed: int = 0,
    words: Sequence[str] = WORDS,
    added: Sequence[str] = (),
    prompts: Mapping[str, str] | None = None,
) -> Path:
    """A sentence-embedding model; `added` are tokens after its vocabulary, with rows of their own."""
    folder.mkdir(parents=True)
    tensors = _weights(seed, len(words) + len(added), len(words))
    write_safetensors(folder / "model.safetensors", tensors)
    _write(
        folder / "config.json",
        {
            "architectures": ["BertModel"],
            "attention_probs_dropout_prob": 0.0,
            "dtype": "float32",
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.0,
            "hidden_size": WIDTH,
            "initializer_range": 0.02,
            "intermediate_size": INNER,
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": ROWS_AT_MOST,
            "model_type": "bert",
            "num_attention_heads": 2,
            "num_hidden_layers": 1,
            "pad_token_id": 0,
            "type_vocab_size": 2,
            "vocab_size": len(words) + len(added),
        },
    )
    tokenizer(folder, words=words, added=added)
    _write(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {
                "idx": 1,
                "name": "1",
                "path": "1_Pooling",
                "type": "sentence_transformers.models.Pooling",
            },
            {
                "idx": 2,
                "name": "2",
                "path": "2_Normalize",
                "type": "sentence_transformers.models.Normalize",
            },
        ],
    )
    (folder / "1_Pooling").mkdir()
    _write(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": WIDTH,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})
    _write(
        folder / "config_sentence_transformers.json",
        {
            "__version__": {"sentence_transformers": "6.2.0"},
            "model_type": "SentenceTransformer",
            "prompts": dict(prompts or {}),
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )
    (folder / "README.md").write_text(
        "---\nlibrary_name: sentence-transformers\n---\n# A model made by hand\n"
    )
    return folder


def adapter(
    folder: Path,
    base_path: str | Path,
    *,
    seed: int = 1,
    rank: int = 2,
    words: Sequence[str] = WORDS,
    added: Sequence[str] = (),
    revision: str | None = None,
    targets: Sequence[str] = ("query", "value"),
) -> Path:
    """A LoRA adapter on query and value of a base, naming the base by base_path."""
    base(folder, words=words, added=added)
    (folder / "config.json").unlink()
    (folder / "model.safetensors").unlink()
    random = numpy.random.default_rng(seed)
    prefix = "base_model.model.encoder.layer.0.attention.self."
    write_safetensors(
        folder / "adapter_model.safetensors",
        {
            f"{prefix}{target}.{part}.weight": random.normal(size=shape).astype("float32")
            for target in targets
            for part, shape in (("lora_A", (rank, WIDTH)), ("lora_B", (WIDTH, rank)))
        },
    )
    _write(
        folder / "adapter_config.json",
        {
            "auto_mapping": {
                "base_model_class": "BertModel",
                "parent_library": "transformers.models.bert.modeling_bert",
            },
            "base_model_name_or_path": str(base_path),
            "bias": "none",
            "fan_in_fan_out": False,
            "inference_mode": True,
            "init_lora_weights": True,
            "lora_alpha": 4,
            "lora_dropout": 0.0,
            "modules_to_save": None,
            "peft_type": "LORA",
            "r": rank,
            "revision": revision,
            "target_modules": list(targets),
            "task_type": None,
            "use_dora": False,
            "use_rslora": False,
        },
    )
    return folder


def tokenizer(folder: Path, *, words: Sequence[str] = WORDS, added: Sequence[str] = ()) -> None:
    """tokenizer.json and tokenizer_config.json of a lower-casing WordPiece tokenizer."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False}
    special = [
        {"id": index, "content": word, **flags, "normalized": False, "special": True}
        for index, word in enumerate(words[:SPECIAL])
    ]
    extra = [
        {"id": len(words) + index, "content": word, **flags, "normalized": True, "special": False}
        for index, word in enumerate(added)
    ]
    _write(
        folder / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": special + extra,
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "strip_accents": None,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [
                    {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
                ],
                "pair": [
                    {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
                    {"Sequence": {"id": "B", "type_id": 1}},
                    {"SpecialToken": {"id": "[SEP]", "type_id": 1}},
                ],
                "special_tokens": {
                    "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                    "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
                },
            },
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {word: index for index, word in enumerate(words)},
            },
        },
    )
    _write(
        folder / "tokenizer_config.json",
        {
            "cls_token": "[CLS]",
            "do_lower_case": True,
            "mask_token": "[MASK]",
            "model_max_length": 32,
            "pad_token": "[PAD]",
            "sep_token": "[SEP]",
            "strip_accents": None,
            "tokenize_chinese_chars": True,
            "tokenizer_class": "BertTokenizer",
            "unk_token": "[UNK]",
        },
    )


def write_safetensors(
    path: Path, tensors: Mapping[str, numpy.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """A safetensors file of float32 tensors, in the order given. Source: safetensors README, "Format"."""
    header: dict[str, object] = {"__metadata__": dict(metadata or {"format": "pt"})}
    offset = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(
        len(text).to_bytes(8, "little")
        + text
        + b"".join(numpy.ascontiguousarray(item).tobytes() for item in tensors.values())
    )


def _weights(seed: int, rows: int, shared_rows: int) -> dict[str, numpy.ndarray]:
    """Old rows and all else depend on the seed alone, so that a base with added tokens is a true child of the one without."""
    random = numpy.random.default_rng(seed)

    def normal(*shape: int) -> numpy.ndarray:
        return random.normal(scale=0.5, size=shape).astype("float32")

    tensors = {
        "embeddings.word_embeddings.weight": normal(shared_rows, WIDTH),
        "embeddings.position_embeddings.weight": normal(ROWS_AT_MOST, WIDTH),
        "embeddings.token_type_embeddings.weight": normal(2, WIDTH),
        "embeddings.LayerNorm.weight": normal(WIDTH),
        "embeddings.LayerNorm.bias": normal(WIDTH),
    }
    layer = "encoder.layer.0."
    for part in (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
    ):
        tensors |= {
            f"{layer}{part}.weight": normal(WIDTH, WIDTH),
            f"{layer}{part}.bias": normal(WIDTH),
        }
    tensors |= {
        f"{layer}intermediate.dense.weight": normal(INNER, WIDTH),
        f"{layer}intermediate.dense.bias": normal(INNER),
        f"{layer}output.dense.weight": normal(WIDTH, INNER),
        f"{layer}output.dense.bias": normal(WIDTH),
    }
    for part in ("attention.output.LayerNorm", "output.LayerNorm"):
        tensors |= {f"{layer}{part}.weight": normal(WIDTH), f"{layer}{part}.bias": normal(WIDTH)}
    tensors |= {"pooler.dense.weight": normal(WIDTH, WIDTH), "pooler.dense.bias": normal(WIDTH)}
    new = (
        numpy.random.default_rng(seed + 1000)
        .normal(scale=0.5, size=(rows - shared_rows, WIDTH))
        .astype("float32")
    )
    tensors["embeddings.word_embeddings.weight"] = numpy.concatenate(
        [tensors["embeddings.word_embeddings.weight"], new]
    )
    return dict(sorted(tensors.items()))


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
