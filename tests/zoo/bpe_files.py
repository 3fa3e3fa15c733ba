"""Byte-level and byte-fallback BPE tokenizers of published repositories."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from tests.zoo.corpus import LINES
from tests.zoo.tokenizer_files import (
    BERT_TOKENS,
    LLAMA3_SPLIT,
    QWEN_SPLIT,
    ROBERTA_TOKENS,
    Json,
    decoder_entries,
    mask_token,
    special_token,
    template,
    write_json,
)


@functools.cache
def _trained(kind: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return tokens in order of their ids, and merges; kind: `bytes` or `spaces`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    alphabet: list[str] = []
    if kind == "bytes":
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    else:
        raw.normalizer = normalizers.Replace(" ", "▁")
        raw.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.BpeTrainer(
        vocab_size=400 if kind == "bytes" else 250, show_progress=False, initial_alphabet=alphabet
    )
    texts = [f" {line}" for line in LINES] * 3
    if kind == "bytes":
        texts += ["yes", "no"] * 60  # rerankers that are decoders compare these two tokens
    raw.train_from_iterator(texts, trainer)
    model = json.loads(raw.to_str())["model"]
    return (
        tuple(sorted(model["vocab"], key=model["vocab"].__getitem__)),
        tuple((first, second) for first, second in model["merges"]),
    )


def _merges(form: str, kind: str = "bytes") -> list[Any]:
    merges = _trained(kind)[1]
    return [" ".join(merge) if form == "old" else list(merge) for merge in merges]


def byte_level(form: str, *, add_prefix_space: bool = False, trim_offsets: bool = True) -> Json:
    """Return a ByteLevel component; files of before 2022 have no use_regex."""
    component: Json = {
        "type": "ByteLevel",
        "add_prefix_space": add_prefix_space,
        "trim_offsets": trim_offsets,
    }
    return component if form == "old" else {**component, "use_regex": True}


def _model(form: str, vocabulary: dict[str, int], *, affixes: str | None = "") -> Json:
    model: Json = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": affixes,
        "end_of_word_suffix": affixes,
        "fuse_unk": False,
    }
    if form != "old":
        model |= {"byte_fallback": False, "ignore_merges": False}
    return {**model, "vocab": vocabulary, "merges": _merges(form)}


def _write(folder: Path, document: Json, config: Json, names: Json) -> None:
    head: Json = {"version": "1.0", "truncation": None, "padding": None}
    write_json(folder / "tokenizer.json", {**head, **document})
    write_json(folder / "tokenizer_config.json", config)
    write_json(folder / "special_tokens_map.json", names)


def _vocabulary_files(folder: Path, vocabulary: dict[str, int]) -> None:
    write_json(folder / "vocab.json", vocabulary)
    merges = "\n".join(" ".join(merge) for merge in _trained("bytes")[1])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")


def roberta(
    folder: Path,
    form: str = "old",
    *,
    length: int = 512,
    json_file: bool = True,
    tokenizer_class: str = "RobertaTokenizer",
    **settings: Any,
) -> int:
    """Write RoBERTa's byte-level BPE tokenizer with vocab.json and merges.txt."""
    tokens = [*ROBERTA_TOKENS, *_trained("bytes")[0], "<mask>"]
    ids = {token: index for index, token in enumerate(tokens)}
    added = [special_token(ids[token], token, normalized=True) for token in ROBERTA_TOKENS]
    added.append(special_token(ids["<mask>"], "<mask>", lstrip=True))
    names: Json = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": mask_token(),
    }
    config = {
        **names,
        "add_prefix_space": False,
        "errors": "replace",
        "trim_offsets": True,
        "mask_token": "<mask>",
        "model_max_length": length,
        "special_tokens_map_file": None,
        "name_or_path": "distilroberta-base",
        "tokenizer_class": tokenizer_class,
        **settings,
    }
    document = {
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level(form),
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": ["</s>", ids["</s>"]],
            "cls": ["<s>", ids["<s>"]],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": byte_level(form, add_prefix_space=True),
        "model": _model(form, ids),
    }
    _write(folder, document, config, names)
    if not json_file:
        (folder / "tokenizer.json").unlink()
    _vocabulary_files(folder, ids)
    return len(tokens)


def modern_bert(
    folder: Path,
    form: str = "today",
    *,
    length: int = 8192,
    unused: int = 8,
    tokenizer_class: str = "PreTrainedTokenizerFast",
) -> int:
    """Write ModernBERT's BPE: special tokens behind the vocabulary, no other files."""
    start = ["|||IP_ADDRESS|||", "<|padding|>"]
    end = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    plain = [*start, *_trained("bytes")[0]]
    tokens = [*plain, *end, *(f"[unused{index}]" for index in range(unused))]
    ids = {token: index for index, token in enumerate(tokens)}
    added = [special_token(ids[start[0]], start[0], normalized=True) | {"special": False}]
    added.append(special_token(ids[start[1]], start[1]))
    added += [special_token(ids[token], token, lstrip=token == "[MASK]") for token in end]
    added += [
        special_token(ids[token], token, normalized=True) | {"special": False}
        for token in tokens[len(plain) + len(end) :]
    ]
    names: Json = {
        "cls_token": "[CLS]",
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
        "mask_token": mask_token("[MASK]"),
    }
    document = {
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": byte_level(form),
        "post_processor": template(
            ["[CLS]", "$A", "[SEP]"], ["[CLS]", "$A", "[SEP]", "$B", "[SEP]"], ids
        ),
        "decoder": byte_level(form),
        "model": _model(
            form,
            {token: ids[token] for token in plain},
            affixes=None,
        ),
    }
    config = {
        "added_tokens_decoder": decoder_entries(added),
        "clean_up_tokenization_spaces": True,
        **names,
        "mask_token": "[MASK]",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": length,
        "tokenizer_class": tokenizer_class,
    }
    _write(folder, document, config, names)
    return len(tokens)


def qwen(
    folder: Path,
    form: str = "old",
    *,
    tokenizer_class: str = "Qwen2Tokenizer",
    appends_end: bool = True,
    **settings: Any,
) -> int:
    """Write the tokenizer of Qwen2 and Qwen3: Split, NFC, `<|endoftext|>` appended."""
    plain = {token: index for index, token in enumerate(_trained("bytes")[0])}
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    ordinary = ("<tool_call>", "</tool_call>")
    tokens = [*plain, *special, *ordinary]
    ids = {token: index for index, token in enumerate(tokens)}
    added = [special_token(ids[token], token) for token in special]
    added += [special_token(ids[token], token) | {"special": False} for token in ordinary]
    component = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": False,
    }
    split = {
        "type": "Split",
        "pattern": {"Regex": QWEN_SPLIT},
        "behavior": "Isolated",
        "invert": False,
    }
    end = template(["$A", "<|endoftext|>"], ["$A", "<|endoftext|>", "$B", "<|endoftext|>"], ids)
    document = {
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, component]},
        "post_processor": {"type": "Sequence", "processors": [component, end]}
        if appends_end
        else component,
        "decoder": component,
        "model": {**_model("today", plain), "merges": _merges(form)},
    }
    end_token = {key: mask_token("<|endoftext|>")[key] for key in ("content", "rstrip")}
    end_token |= {"lstrip": False, "normalized": False, "single_word": False}
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": decoder_entries(added),
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "bos_token": None,
        "chat_template": "{% for message in messages %}{{ message['content'] }}{% endfor %}",
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|endoftext|>",
        "errors": "replace",
        "model_max_length": 32768,
        "pad_token": "<|endoftext|>",
        "padding_side": "left",
        "split_special_tokens": False,
        "tokenizer_class": tokenizer_class,
        "unk_token": None,
        **settings,
    }
    names = {
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "eos_token": end_token,
        "pad_token": end_token,
    }
    _write(folder, document, config, names)
    _vocabulary_files(folder, plain)
    return len(tokens)


def llama3(folder: Path) -> int:
    """Write the tokenizer of Llama 3: `<|begin_of_text|>` in front, ignore_merges."""
    plain = {token: index for index, token in enumerate(_trained("bytes")[0])}
    special = ("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|eot_id|>")
    tokens = [*plain, *special]
    ids = {token: index for index, token in enumerate(tokens)}
    added = [special_token(ids[token], token) for token in special]
    split = {
        "type": "Split",
        "pattern": {"Regex": LLAMA3_SPLIT},
        "behavior": "Isolated",
        "invert": False,
    }
    component = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    begin = template(
        ["<|begin_of_text|>", "$A"], ["<|begin_of_text|>", "$A", "<|begin_of_text|>", "$B"], ids
    )
    document = {
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, component]},
        "post_processor": {
            "type": "Sequence",
            "processors": [{**byte_level("today"), "add_prefix_space": True}, begin],
        },
        "decoder": byte_level("today", add_prefix_space=True),
        "model": {**_model("old", plain, affixes=None), "ignore_merges": True},
    }
    document["model"] |= {"byte_fallback": False}
    names = {
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|end_of_text|>",
        "pad_token": "<|reserved_special_token_0|>",
    }
    config = {
        "added_tokens_decoder": decoder_entries(added),
        **names,
        "clean_up_tokenization_spaces": True,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 8192,
        "padding_side": "left",
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    _write(folder, document, config, names)
    return len(tokens)


def gpt2(
    folder: Path,
    *,
    tokenizer_class: str = "GPT2Tokenizer",
    has_start: bool = False,
    json_file: bool = True,
    **settings: Any,
) -> int:
    """Write the BPE of GPT-2, GPT-Neo or, with `has_start`, OPT."""
    start = ["<s>", "<pad>", "</s>", "<unk>"] if has_start else []
    end = [] if has_start else ["<|endoftext|>"]
    tokens = [*start, *_trained("bytes")[0], *end]
    ids = {token: index for index, token in enumerate(tokens)}
    added = [special_token(ids[token], token, normalized=True) for token in (*start, *end)]
    bos = "</s>" if has_start else "<|endoftext|>"
    names = {"bos_token": bos, "eos_token": bos, "unk_token": bos}
    names["pad_token"] = "<pad>" if has_start else bos
    document = {
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level("old"),
        "post_processor": template(["</s>", "$A"], ["</s>", "$A", "</s>", "$B"], ids)
        if has_start
        else byte_level("old", trim_offsets=False),
        "decoder": byte_level("old", add_prefix_space=True),
        "model": _model("old", ids),
    }
    config = {
        **names,
        "add_prefix_space": False,
        **({"add_bos_token": True} if has_start else {}),
        "errors": "replace",
        "model_max_length": 2048,
        "name_or_path": "EleutherAI/gpt-neo-125M",
        "special_tokens_map_file": None,
        "tokenizer_class": tokenizer_class,
        **settings,
    }
    _write(folder, document, config, names)
    if not json_file:
        (folder / "tokenizer.json").unlink()
    _vocabulary_files(folder, ids)
    return len(tokens)


def gpt_neox(folder: Path) -> int:
    """Write the tokenizer of GPT-NeoX and Pythia: runs of blanks are added tokens."""
    plain = ["<|endoftext|>", "<|padding|>", *_trained("bytes")[0]]
    runs = [" " * length for length in range(8, 1, -1)]
    tokens = [*plain, *runs]
    ids = {token: index for index, token in enumerate(tokens)}
    added = [special_token(ids[token], token) for token in plain[:2]]
    added += [special_token(ids[run], run, normalized=True) | {"special": False} for run in runs]
    document = {
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": byte_level("old"),
        "post_processor": byte_level("old"),
        "decoder": byte_level("old"),
        "model": _model("old", {token: ids[token] for token in plain}, affixes=None),
    }
    names = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    names["pad_token"] = "<|padding|>"
    config = {
        "add_prefix_space": False,
        **names,
        "model_max_length": 2048,
        "name_or_path": "EleutherAI/gpt-neox-20b",
        "special_tokens_map_file": None,
        "tokenizer_class": "GPTNeoXTokenizer",
    }
    _write(folder, document, config, names)
    return len(tokens)


def bloom(folder: Path) -> int:
    """Write BLOOM's tokenizer: four special tokens first, its own Split expression."""
    special = ("<unk>", "<s>", "</s>", "<pad>")
    tokens = [*special, *_trained("bytes")[0]]
    ids = {token: index for index, token in enumerate(tokens)}
    added = [special_token(ids[token], token) for token in special]
    split = {
        "type": "Split",
        "pattern": {"Regex": " ?[^(\\s|[.,!?…。，、।۔،])]+"},
        "behavior": "Isolated",
        "invert": False,
    }
    component = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    document = {
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [split, {**component, "use_regex": False}],
        },
        "post_processor": {**component, "add_prefix_space": True, "trim_offsets": False},
        "decoder": {**component, "add_prefix_space": True},
        "model": _model("old", ids, affixes=None),
    }
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    config = {
        **names,
        "add_prefix_space": False,
        "name_or_path": "bigscience/tokenizer",
        "special_tokens_map_file": None,
        "padding_side": "left",
        "tokenizer_class": "BloomTokenizerFast",
    }
    _write(folder, document, config, names)
    return len(tokens)


def byte_fallback(folder: Path, kind: str, *, image_token: bool = False) -> int:
    """Write BPE with byte fallback: `gemma`, or `llama` (Llama 2, Mistral)."""
    is_gemma = kind == "gemma"
    start = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"] if is_gemma else ["<unk>", "<s>", "</s>"]
    pieces = [*start, *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [token for token in _trained("spaces")[0] if token not in pieces]
    ids = {token: index for index, token in enumerate(pieces)}
    added = [special_token(ids[token], token) | {"special": token != "<mask>"} for token in start]
    if image_token:
        added.append(special_token(len(ids), "<image_soft_token>"))
    bos, eos = ("<bos>", "<eos>") if is_gemma else ("<s>", "</s>")
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    document = {
        "added_tokens": added,
        "normalizer": replace
        if is_gemma
        else {
            "type": "Sequence",
            "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace],
        },
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        }
        if is_gemma
        else None,
        "post_processor": template(
            [bos, "$A", eos], [bos, "$A", eos, bos, "$B", eos], ids, second_type=1
        ),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                *([] if is_gemma else [{"type": "Strip", "content": " ", "start": 1, "stop": 0}]),
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": ids,
            "merges": _merges("today" if is_gemma else "old", "spaces"),
        },
    }
    names = {"bos_token": bos, "eos_token": eos, "unk_token": "<unk>"}
    names["pad_token"] = "<pad>" if is_gemma else "</s>"
    config: Json = {
        "add_bos_token": True,
        "add_eos_token": True,
        "added_tokens_decoder": decoder_entries(added),
        **names,
        "clean_up_tokenization_spaces": False,
        "sp_model_kwargs": {},
        "tokenizer_class": "GemmaTokenizerFast" if is_gemma else "LlamaTokenizer",
        "model_max_length": 2048 if is_gemma else 4096,
    }
    if image_token:
        config["image_token"] = "<image_soft_token>"
        write_json(folder / "added_tokens.json", {"<image_soft_token>": len(ids)})
    if not is_gemma:
        config |= {"legacy": True, "padding_side": "left", "use_default_system_prompt": False}
    _write(folder, document, config, names)
    return len(pieces)


def plain_bert_bpe(
    folder: Path, *, tokenizer_class: str = "PreTrainedTokenizerFast", second_type: int = 0
) -> int:
    """Write a byte-level BPE with BERT's special tokens: EuroBERT, DeBERTa of 2020."""
    tokens = [*BERT_TOKENS, *_trained("bytes")[0]]
    ids = {token: index for index, token in enumerate(tokens)}
    added = [special_token(ids[token], token) for token in BERT_TOKENS]
    names = {
        "cls_token": "[CLS]",
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    }
    document = {
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level("today"),
        "post_processor": template(
            ["[CLS]", "$A", "[SEP]"], ["[CLS]", "$A", "[SEP]", "$B", "[SEP]"], ids, second_type
        ),
        "decoder": byte_level("today"),
        "model": _model("today", ids, affixes=None),
    }
    config = {
        "added_tokens_decoder": decoder_entries(added),
        "clean_up_tokenization_spaces": False,
        **names,
        "model_max_length": 512,
        "tokenizer_class": tokenizer_class,
    }
    _write(folder, document, config, names)
    return len(tokens)
