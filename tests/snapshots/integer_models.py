"""Small models whose weights follow an integer formula, written without torch.

Every weight is a multiple of a power of two that float32 represents exactly, and comes
from the raw output of PCG64. So the files have the same bytes on every machine and with
every version of the libraries. The weights of the adapter are coarse enough that
merging it is exact in float32, in whatever order a processor adds.

The activation is ReLU and no model has a tanh, because PyTorch without AVX takes erf
and tanh from the C library, where they may round differently in another release.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from tests.support.plain import write_safetensors

WIDTH, INNER, LAYERS, POSITIONS, LENGTH = 16, 32, 2, 48, 40
SPARE_ROWS = 2
"""Rows of the base's token table that belong to no token."""
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ADDED_TOKENS = ("zorvaxin", "cardiomab", "heartmat", "Größe-7")
"""Tokens with which the base is resized; more than it has spare rows."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_PUNCTUATION = ".,;:!?-()[]%'\"/#_@&*+=<>"
_SCRIPTS = "абвгдежзиклмнопрстуюяαβγδεικλμνοπρστω你好世界日本語אבגשלום"
_WORDS = ("the", "cat", "sat", "on", "mat", "a", "dog", "innovation", "paris", "is", "capital")
_WORDS += ("of", "france", "heart", "patient", "takes", "one", "day", "card", "zor")
_ENDINGS = ("##io", "##mab", "##va", "##xin", "##s", "##ed", "##ing")


def base(folder: Path, added: Sequence[str] = ()) -> Path:
    """Write a SentenceTransformer: BERT, mean pooling, normalization, a prompt."""
    words = _word_piece_vocabulary()
    tensors = _bert(seed=1, rows=len(words) + SPARE_ROWS)
    _write_folder(
        folder,
        tensors,
        _bert_config("BertModel", len(words) + SPARE_ROWS),
        _word_piece(words, added),
        {"tokenizer_class": "BertTokenizer", "do_lower_case": True},
        "feature-extraction",
        "SentenceTransformer",
    )
    settings = _read(folder / "config_sentence_transformers.json")
    _write(
        folder / "config_sentence_transformers.json",
        {**settings, "prompts": {"query": "query: "}, "similarity_fn_name": "cosine"},
    )
    _write_modules(folder, ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    _write(
        folder / "1_Pooling" / "config.json",
        {"embedding_dimension": WIDTH, "pooling_mode": "mean", "include_prompt": True},
    )
    _write(
        folder / "2_Normalize" / "config.json",
        {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"},
    )
    return folder


def adapter(folder: Path, base_path: str) -> Path:
    """Write a LoRA adapter for the resized base, which is located at `base_path`."""
    base(folder, added=ADDED_TOKENS)
    (folder / "config.json").unlink()
    (folder / "model.safetensors").unlink()
    (folder / "README.md").write_text(
        f"---\nlibrary_name: sentence-transformers\nbase_model: {base_path}\n---\n# An adapter\n"
    )
    shapes = {
        f"base_model.model.encoder.layer.{layer}.attention.self.{target}.{part}.weight": shape
        for layer in range(LAYERS)
        for target in ("query", "value")
        for part, shape in (("lora_A", (2, WIDTH)), ("lora_B", (WIDTH, 2)))
    }
    write_safetensors(folder / "adapter_model.safetensors", _numbers(2, shapes, bits=6))
    _write(
        folder / "adapter_config.json",
        {
            "auto_mapping": {
                "base_model_class": "BertModel",
                "parent_library": "transformers.models.bert.modeling_bert",
            },
            "base_model_name_or_path": base_path,
            "bias": "none",
            "fan_in_fan_out": False,
            "inference_mode": True,
            "init_lora_weights": True,
            "lora_alpha": 4,
            "lora_dropout": 0.0,
            "modules_to_save": None,
            "peft_type": "LORA",
            "r": 2,
            "revision": "main",
            "target_modules": ["value", "query"],
            "task_type": None,
            "use_dora": False,
            "use_rslora": False,
        },
    )
    return folder


def cross_encoder(folder: Path) -> Path:
    """Write a CrossEncoder: DistilBERT, one score, a byte-level BPE tokenizer."""
    vocabulary, merges = _byte_level_vocabulary()
    rows = len(vocabulary)
    shapes: dict[str, tuple[int, ...]] = {
        "distilbert.embeddings.word_embeddings.weight": (rows, WIDTH),
        "distilbert.embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        **_layer_norm("distilbert.embeddings.LayerNorm"),
        **_linear("pre_classifier", WIDTH, WIDTH),
        **_linear("classifier", 1, WIDTH),
    }
    for layer in range(LAYERS):
        prefix = f"distilbert.transformer.layer.{layer}."
        for part in ("q_lin", "k_lin", "v_lin", "out_lin"):
            shapes |= _linear(f"{prefix}attention.{part}", WIDTH, WIDTH)
        shapes |= _linear(f"{prefix}ffn.lin1", INNER, WIDTH)
        shapes |= _linear(f"{prefix}ffn.lin2", WIDTH, INNER)
        shapes |= _layer_norm(f"{prefix}sa_layer_norm") | _layer_norm(f"{prefix}output_layer_norm")
    config = {
        "activation": "relu",
        "architectures": ["DistilBertForSequenceClassification"],
        "attention_dropout": 0.0,
        "dim": WIDTH,
        "dropout": 0.0,
        "dtype": "float32",
        "hidden_dim": INNER,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "max_position_embeddings": POSITIONS,
        "model_type": "distilbert",
        "n_heads": 2,
        "n_layers": LAYERS,
        "pad_token_id": 0,
        "seq_classif_dropout": 0.0,
        "vocab_size": rows,
    }
    _write_folder(
        folder,
        _numbers(3, shapes),
        config,
        _byte_level(vocabulary, merges),
        {"tokenizer_class": "PreTrainedTokenizerFast"},
        "sequence-classification",
        "CrossEncoder",
    )
    settings = _read(folder / "config_sentence_transformers.json")
    _write(
        folder / "config_sentence_transformers.json",
        {**settings, "activation_fn": "torch.nn.modules.linear.Identity"},
    )
    _write_modules(folder)
    return folder


def splade(folder: Path) -> Path:
    """Write a SparseEncoder: BERT, a masked-language head, a Unigram tokenizer."""
    pieces = _unigram_pieces()
    tensors = {f"bert.{name}": tensor for name, tensor in _bert(seed=4, rows=len(pieces)).items()}
    head: dict[str, tuple[int, ...]] = {
        "cls.predictions.bias": (len(pieces),),
        **_linear("cls.predictions.transform.dense", WIDTH, WIDTH),
        **_layer_norm("cls.predictions.transform.LayerNorm"),
    }
    _write_folder(
        folder,
        tensors | _numbers(5, head),
        _bert_config("BertForMaskedLM", len(pieces)),
        _unigram(pieces),
        {"tokenizer_class": "PreTrainedTokenizerFast"},
        "fill-mask",
        "SparseEncoder",
    )
    _write_modules(folder, ("1_SpladePooling", "SpladePooling"))
    _write(
        folder / "1_SpladePooling" / "config.json",
        {
            "pooling_strategy": "max",
            "activation_function": "relu",
            "embedding_dimension": len(pieces),
        },
    )
    return folder


def autoencoder(folder: Path) -> Path:
    """Write a SparseEncoder that keeps the largest values of a mapped dense encoding.

    Unlike `splade` it needs no log1p, which may differ between releases of the C
    library.
    """
    pieces = _unigram_pieces()
    _write_folder(
        folder,
        _bert(seed=6, rows=len(pieces)),
        _bert_config("BertModel", len(pieces)),
        _unigram(pieces),
        {"tokenizer_class": "PreTrainedTokenizerFast"},
        "feature-extraction",
        "SparseEncoder",
    )
    _write_modules(folder, ("1_Pooling", "Pooling"), ("2_SparseAutoEncoder", "SparseAutoEncoder"))
    _write(
        folder / "1_Pooling" / "config.json",
        {"embedding_dimension": WIDTH, "pooling_mode": "mean", "include_prompt": True},
    )
    last = folder / "2_SparseAutoEncoder"
    _write(
        last / "config.json",
        {
            "input_dim": WIDTH,
            "hidden_dim": 4 * WIDTH,
            "k": 8,
            "k_aux": 16,
            "normalize": False,
            "dead_threshold": 30,
        },
    )
    shapes = {
        "encoder.weight": (4 * WIDTH, WIDTH),
        "latent_bias": (4 * WIDTH,),
        "pre_bias": (WIDTH,),
        "stats_last_nonzero": (4 * WIDTH,),
    }
    write_safetensors(last / "model.safetensors", _numbers(7, shapes))
    return folder


# Weights


def _numbers(
    seed: int, shapes: Mapping[str, tuple[int, ...]], bits: int = 11
) -> dict[str, numpy.ndarray]:
    """Return float32 tensors of multiples of 2**(1 - bits) from -1 to 1.

    Around 1 for the weights of a layer norm. The raw output of PCG64 is used, because
    NumPy keeps that stable between releases and its distributions it does not.
    """
    generator = numpy.random.PCG64(seed)
    tensors = {}
    for name, shape in sorted(shapes.items()):
        raw = generator.random_raw(int(numpy.prod(shape))) >> numpy.uint64(64 - bits)
        values = (raw.astype("int64") - 2 ** (bits - 1)).astype("<f4") / 2 ** (bits - 1)
        is_scale = name.lower().endswith("norm.weight")
        tensors[name] = (1 + values / 2 if is_scale else values).reshape(shape).astype("<f4")
    return tensors


def _bert(seed: int, rows: int) -> dict[str, numpy.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (rows, WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        **_layer_norm("embeddings.LayerNorm"),
    }
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}."
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= _linear(f"{prefix}attention.{part}", WIDTH, WIDTH)
        shapes |= _linear(f"{prefix}intermediate.dense", INNER, WIDTH)
        shapes |= _linear(f"{prefix}output.dense", WIDTH, INNER)
        shapes |= _layer_norm(f"{prefix}attention.output.LayerNorm")
        shapes |= _layer_norm(f"{prefix}output.LayerNorm")
    return _numbers(seed, shapes)


def _linear(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _layer_norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def _bert_config(architecture: str, rows: int) -> dict[str, Any]:
    return {
        "architectures": [architecture],
        "attention_probs_dropout_prob": 0.0,
        "dtype": "float32",
        "hidden_act": "relu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS,
        "model_type": "bert",
        "num_attention_heads": 2,
        "num_hidden_layers": LAYERS,
        "pad_token_id": 0,
        "tie_word_embeddings": True,
        "type_vocab_size": 2,
        "vocab_size": rows,
    }


# Tokenizers


def _word_piece_vocabulary() -> list[str]:
    singles = [*_LETTERS, *_PUNCTUATION, *_SCRIPTS]
    inner = [f"##{letter}" for letter in (*_LETTERS, *_SCRIPTS)]
    return list(dict.fromkeys([*SPECIAL_TOKENS, *_WORDS, *_ENDINGS, *singles, *inner]))


def _word_piece(words: Sequence[str], added: Sequence[str]) -> dict[str, Any]:
    return _tokenizer(
        {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: index for index, word in enumerate(words)},
        },
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        added=[_added_token(len(words) + index, word) for index, word in enumerate(added)],
    )


def _byte_level_vocabulary() -> tuple[list[str], list[list[str]]]:
    """Return one token for each byte, in the alphabet of GPT-2, and some merges."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    unprintable = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    letters |= {byte: chr(256 + index) for index, byte in enumerate(unprintable)}
    merges = [["t", "h"], ["th", "e"], ["Ġ", "the"], ["a", "t"], ["c", "at"], ["Ġ", "cat"]]
    merges += [["o", "n"], ["i", "on"], ["Ġ", "on"], ["i", "s"], ["Ġ", "is"], ["Ã", "©"]]
    pieces = [first + second for first, second in merges]
    return [*SPECIAL_TOKENS, *(letters[byte] for byte in range(256)), *pieces], merges


def _byte_level(vocabulary: Sequence[str], merges: list[list[str]]) -> dict[str, Any]:
    settings = {"add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return _tokenizer(
        {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {piece: index for index, piece in enumerate(vocabulary)},
            "merges": merges,
        },
        normalizer=None,
        pre_tokenizer={"type": "ByteLevel", **settings},
        decoder={"type": "ByteLevel", **settings},
    )


def _unigram_pieces() -> list[list[Any]]:
    """Return pieces whose scores are multiples of 1/8, so that sums are exact."""
    words = ["▁the", "▁cat", "▁sat", "▁on", "▁mat", "▁a", "▁dog", "inno", "vation", "ing"]
    letters = dict.fromkeys([*_LETTERS, *_PUNCTUATION, *_SCRIPTS, *"PFZTé"])
    pieces: list[list[Any]] = [[token, 0.0] for token in SPECIAL_TOKENS]
    pieces += [["▁", -2.0]]
    pieces += [[word, -3.0 - index / 8] for index, word in enumerate(words)]
    return pieces + [[letter, -6.0 - index / 8] for index, letter in enumerate(letters)]


def _unigram(pieces: list[list[Any]]) -> dict[str, Any]:
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return _tokenizer(
        {"type": "Unigram", "unk_id": 1, "vocab": pieces, "byte_fallback": False},
        normalizer={"type": "NFKC"},
        pre_tokenizer=metaspace,
        decoder=metaspace,
    )


def _tokenizer(
    model: dict[str, Any],
    *,
    normalizer: dict[str, Any] | None,
    pre_tokenizer: dict[str, Any],
    decoder: dict[str, Any],
    added: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    first = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    ends = [{"SpecialToken": {"id": "[SEP]", "type_id": index}} for index in (0, 1)]
    texts = [{"Sequence": {"id": name, "type_id": index}} for index, name in enumerate("AB")]
    special = [
        {**_added_token(index, token), "normalized": False, "special": True}
        for index, token in enumerate(SPECIAL_TOKENS)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [*special, *added],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [first, texts[0], ends[0]],
            "pair": [first, texts[0], ends[0], texts[1], ends[1]],
            "special_tokens": {
                token: {"id": token, "ids": [SPECIAL_TOKENS.index(token)], "tokens": [token]}
                for token in ("[CLS]", "[SEP]")
            },
        },
        "decoder": decoder,
        "model": model,
    }


def _added_token(index: int, content: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False}
    return {"id": index, "content": content, **flags, "normalized": True, "special": False}


# Files


def _write_folder(
    folder: Path,
    tensors: Mapping[str, numpy.ndarray],
    config: dict[str, Any],
    tokenizer: dict[str, Any],
    tokenizer_config: dict[str, Any],
    task: str,
    model_class: str,
) -> None:
    """Write all files of a model except those of its modules."""
    folder.mkdir(parents=True)
    write_safetensors(folder / "model.safetensors", dict(sorted(tensors.items())))
    _write(folder / "config.json", config)
    _write(folder / "tokenizer.json", tokenizer)
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    special = dict(zip(names, SPECIAL_TOKENS, strict=True))
    _write(
        folder / "tokenizer_config.json",
        {**special, "model_max_length": LENGTH, **tokenizer_config},
    )
    output = "last_hidden_state" if task == "feature-extraction" else "logits"
    _write(
        folder / "sentence_bert_config.json",
        {
            "transformer_task": task,
            "modality_config": {"text": {"method": "forward", "method_output_name": output}},
            "module_output_name": "scores" if model_class == "CrossEncoder" else "token_embeddings",
        },
    )
    _write(
        folder / "config_sentence_transformers.json",
        {
            "__version__": {"sentence_transformers": "6.2.0"},
            "default_prompt_name": None,
            "model_type": model_class,
            "prompts": {},
        },
    )
    (folder / "README.md").write_text(
        "---\nlibrary_name: sentence-transformers\n---\n# A model with integer weights\n"
    )


def _write_modules(folder: Path, *modules: tuple[str, str]) -> None:
    """Write modules.json: the transformer, then (folder, type) of each other module."""
    listed = [("", "Transformer"), *modules]
    _write(
        folder / "modules.json",
        [
            {"idx": index, "name": str(index), "path": path, "type": _MODULE_TYPES[name]}
            for index, (path, name) in enumerate(listed)
        ],
    )
    for path, _ in modules:
        (folder / path).mkdir()


_MODULE_TYPES = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
    "SpladePooling": "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling",
    "SparseAutoEncoder": (
        "sentence_transformers.sparse_encoder.modules.sparse_auto_encoder.SparseAutoEncoder"
    ),
}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
