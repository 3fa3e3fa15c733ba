"""Pipeline of a tokenizer: what decides on ids, read from the files of its folder.

It is the canonical form of tokenizer.json, what chooses the class, and the settings
that the class reads. Equal pipelines give equal ids with any version of the library; of
unequal ones nothing is known before the library has built both tokenizers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from registry.core.digest import Digest, digest_of
from registry.core.facts import Files, read
from registry.errors import NotLoadable
from registry.model_files.config.parse import read_if_there, read_object
from registry.model_files.layout.file_list import join, sentence_settings
from registry.model_files.layout.layout import Layout

from .canonical_form import (
    differing,
    digest_of_json,
    is_lowercasing_normalizer,
)
from .prefix_tokens import is_surely_piece, legacy_prefixes, tokens_to_register
from .tokenizer_json import TokenizerJson
from .vocabulary import CONFIG, SPECIAL_NAMES, TOKENIZER, WORDS, settings_of

_CLASS, _TYPE = "class", "class of model_type"
_MAP, _ADDED = "special_tokens_map.json", "added_tokens.json"
RENAMED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "ElectraTokenizer",
            "LayoutLMTokenizer",
            "LxmertTokenizer",
            "MobileBertTokenizer",
            "SqueezeBertTokenizer",
        ),
        "BertTokenizer",
    ),
    **dict.fromkeys(
        ("BartTokenizer", "LEDTokenizer", "LongformerTokenizer", "MvpTokenizer"),
        "RobertaTokenizer",
    ),
    **dict.fromkeys(
        ("PreTrainedTokenizer", "PythonBackend", "BloomTokenizer"), "TokenizersBackend"
    ),
}
"""Classes that transformers 5 loads as, and therefore saves as, another one.

Source: transformers 5, tokenization_auto.py, tokenizer_class_from_name.
"""
_BACKEND = "TokenizersBackend"
_OVERRIDING: Mapping[str, str] = {
    **dict.fromkeys(
        [
            "EvollaModel",
            "aria",
            "beam",
            "bigbird_pegasus",
            "canary",
            "flex_olmo",
            "glm",
            "glm4",
            "glm4_moe",
            "glm4_moe_lite",
            "glm4v",
            "glm4v_moe",
            "glm_image",
            "glmasr",
            "got_ocr2",
            "gpt_bigcode",
            "gradium_phonon_tts",
            "granite",
            "granitemoe",
            "granitemoehybrid",
            "granitemoeshared",
            "kimi_k25",
            "kimi_linear",
            "kosmos-2",
            "mimo_v2_flash",
            "minicpm_ocr",
            "minicpmv4_6",
            "minicpmv4_7",
            "ministral",
            "ministral3",
            "mistral",
            "mistral3",
            "mistral_large4",
            "mixtral",
            "nemo_speechlm",
            "nystromformer",
            "olmo2",
            "olmo3",
            "olmo_hybrid",
            "pegasus_x",
            "persimmon",
            "pix2struct",
            "pixtral",
            "pocket_tts",
            "stablelm",
            "umt5",
            "voxtral",
            "voxtral_realtime",
            "xlm-roberta-xl",
            "phimoe",
            "arctic",
            "vipllava",
            "modernbert-decoder",
            "cohere_asr",
            "chatlm",
            "molmo2",
            "minicpmv",
            "camembertv2-base",
            "llava",
            "ernie4_5",
            "ernie4_5_moe",
            "phi3",
            "iquestcoder",
            "molmo",
            "h2ovl_chat",
            "phi3_v",
            "internlm2",
            "hyperclovax",
            "opencua",
            "jamba",
            "minimax_m2",
            "modernbert",
            "minicpm3",
            "smolvlm",
            "fuyu",
            "paddleocr_vl",
            "nvfp4",
            "step3_vl",
            "hyperclovax_vlm",
            "llava_next",
            "internlm3",
            "openvla",
            "nemotron",
        ],
        _BACKEND,
    ),
    **dict.fromkeys(
        ("qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen4_exp"), "Qwen3_5Tokenizer"
    ),
    "qwen2": "Qwen2Tokenizer",
    "siglip2": "Siglip2Tokenizer",
    "hyperclovax_vision_v2": "GPT2Tokenizer",
}
"""Model types whose class is taken in spite of tokenizer_config.json.

Source: transformers 5.23, tokenization_auto.py: TOKENIZER_MAPPING_NAMES with
TokenizersBackend, and MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS.
"""
_NEUTRAL = frozenset(
    [
        "model_max_length",
        "max_length",
        "max_len",
        "max_model_input_sizes",
        "truncation",
        "truncation_side",
        "truncation_strategy",
        "stride",
        "padding",
        "padding_side",
        "pad_to_multiple_of",
        "pad_token_type_id",
        "clean_up_tokenization_spaces",
        "spaces_between_special_tokens",
        "errors",
        "trim_offsets",
        "chat_template",
        "response_template",
        "response_schema",
        "chat_control_tokens",
        "use_default_system_prompt",
        "name_or_path",
        "_name_or_path",
        "special_tokens_map_file",
        "tokenizer_file",
        "vocab_file",
        "merges_file",
        "local_files_only",
        "is_local",
        "is_fast",
        "use_fast",
        "backend",
        "_commit_hash",
        "transformers_version",
        "do_basic_tokenize",
        "never_split",
        "add_bos_token",
        "add_eos_token",
        "verbose",
    ]
)
"""Fields of tokenizer_config.json without influence on ids; all others are part of the
pipeline.

add_bos_token and add_eos_token are ignored where tokenizer.json exists (transformers 5,
tokenization_utils_base.py, _from_pretrained).
"""
_HANDLED = frozenset(
    {
        "tokenizer_class",
        "auto_map",
        "added_tokens_decoder",
        "additional_special_tokens",
        "extra_special_tokens",
        *SPECIAL_NAMES,
    }
)
_TOKEN_FLAGS = ("lstrip", "rstrip", "single_word", "normalized")
_ALL_FLAGS = (*_TOKEN_FLAGS, "special")
_ARGUMENTS = ("tokenizer_args", "processor_kwargs", "tokenizer_name_or_path")
"""Of sentence_bert_config.json: what Sentence Transformers hands to the tokenizer."""


@dataclass(frozen=True)
class Pipeline:
    """The canonical form of the tokenizer files in a folder, by component."""

    components: Mapping[str, Any]

    @cached_property
    def digest(self) -> Digest:
        """The digest of all components."""
        return digest_of_json(self.components)

    def on_base(self, base_type: str | None) -> Pipeline:
        """Return the pipeline of an adapter whose base has this model type.

        The folder of an adapter has no config.json. Its class is that of its own
        tokenizer_config.json, which is the one of its base unless the model type
        overrides it there.
        """
        name = self.components.get(_CLASS)
        if base_type is None or name is None or _TYPE in self.components:
            return self
        if _OVERRIDING.get(base_type, name) != name:
            return self
        return Pipeline({**self.components, _TYPE: base_type})

    def differing(self, other_pipeline: Pipeline) -> tuple[str, ...]:
        """Return the names of the components that differ, sorted."""
        return differing(self.components, other_pipeline.components)


def read_pipeline(files: Files, layout: Layout, base_type: str | None = None) -> Pipeline:
    """Return the pipeline of a model's folder; base_type is the model type of an
    adapter's base.

    Raises what reading raises.
    """
    path = join(layout.tokenizer, TOKENIZER)
    parsed = TokenizerJson(read_object(files, path)) if path in files.paths() else None
    return pipeline_of(parsed, files, layout, base_type)


def pipeline_of(
    parsed: TokenizerJson | None, files: Files, layout: Layout, base_type: str | None
) -> Pipeline:
    """Return the pipeline of a folder whose tokenizer.json was parsed before, None
    without one."""
    paths = set(files.paths())
    config = read_if_there(files, join(layout.tokenizer, CONFIG), paths)
    special_map, added = (
        _checked_elsewhere(files, join(layout.tokenizer, name), paths) for name in (_MAP, _ADDED)
    )
    components = _backend(parsed, files, layout, paths)
    listed = components.get("added_tokens")
    tokens = listed if isinstance(listed, list) else []
    name = _class_name(config.get("tokenizer_class"))
    settings = {
        f"setting {key}": entry
        for key, entry in _settings(config, special_map, added, tokens, name).items()
    }
    choice = _choice(files, layout, paths, config, name)
    choice |= _sentence_settings(files, layout, paths, components, settings)
    content = parsed.content if parsed is not None else None
    choice |= _prefix_tokens(content, files, layout, components)
    pipeline = Pipeline(components | settings | choice)
    return pipeline.on_base(base_type) if layout.is_adapter else pipeline


def _checked_elsewhere(files: Files, path: str, paths: set[str]) -> Mapping[str, Any]:
    """Return the object of a file that is refused by a check where it is malformed."""
    try:
        return read_if_there(files, path, paths)
    except NotLoadable:
        return {}


def model_type_of(files: Files, layout: Layout) -> str | None:
    """Return the model type in the config.json of a full model's transformer."""
    collected = read_if_there(
        files, join(layout.transformer, "config.json"), set(files.paths())
    ).get("model_type")
    return collected if isinstance(collected, str) else None


def class_for_adapters(files: Files, layout: Layout) -> str | None:
    """Return the class that an adapter's tokenizer_config.json must name to load as its
    base does.

    None where the base's own tokenizer_config.json does, or where only the library
    knows.
    """
    paths = set(files.paths())
    config = read_if_there(files, join(layout.tokenizer, CONFIG), paths)
    model = read_if_there(files, join(layout.transformer, "config.json"), paths)
    kind = model.get("model_type")
    special = _class_name(config.get("tokenizer_class"))
    overriding = _OVERRIDING.get(kind) if isinstance(kind, str) else None
    if overriding is not None and overriding != special:
        return overriding
    if special is None:
        return _class_name(model.get("tokenizer_class"))
    return None


def _backend(
    parsed: TokenizerJson | None, files: Files, layout: Layout, paths: set[str]
) -> dict[str, Any]:
    if parsed is None:
        path = join(layout.tokenizer, WORDS)
        return {WORDS: digest_of(read(files, path)) if path in paths else None}
    content, components = parsed.content, parsed.canonical()
    if content.get("post_processor") is None:  # then the class builds one from its special tokens
        components["post_processor"] = None
    # Classes that build their own normalizer take the character map from here alone.
    normalizer = content.get("normalizer")
    parts = normalizer.get("normalizers", [normalizer]) if isinstance(normalizer, dict) else []
    maps = (part.get("precompiled_charsmap") for part in parts if isinstance(part, dict))
    components["charsmap"] = digest_of_json(next((text for text in maps if text), None))
    return components


def _class_name(name: object) -> str | None:
    """Return the name without `Fast`, as transformers 5 saves the class."""
    if not isinstance(name, str) or not name:
        return None
    plain = name.removesuffix("Fast")
    return RENAMED.get(plain, plain)


def _choice(
    files: Files, layout: Layout, paths: set[str], config: Mapping[str, Any], name: str | None
) -> dict[str, Any]:
    """Return what the library chooses the class of the tokenizer by."""
    model = read_if_there(files, join(layout.transformer, "config.json"), paths)
    chosen = {
        _CLASS: name or _class_name(model.get("tokenizer_class")),
        _TYPE: model.get("model_type"),
        "class of model_name": model.get("model_name"),
        "class of auto_map": config.get("auto_map"),
    }
    return {key: entry for key, entry in chosen.items() if entry is not None}


def _sentence_settings(
    files: Files,
    layout: Layout,
    paths: set[str],
    components: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what Sentence Transformers adds: Lowercase, and arguments."""
    config = sentence_settings(files, layout.transformer, paths)
    collected = {f"argument {key}": config[key] for key in _ARGUMENTS if config.get(key)}
    normalizers = components.get("normalizer")
    # Lowercasing twice changes nothing, where file and class lowercase already.
    lowercases = (
        isinstance(normalizers, list)
        and bool(normalizers)
        and is_lowercasing_normalizer(normalizers[0])
        and settings.get("setting do_lower_case", True) is True
    )
    if config.get("do_lower_case") and not lowercases:
        collected["do_lower_case of Sentence Transformers"] = True
    return collected


def _prefix_tokens(
    content: Mapping[str, Any] | None,
    files: Files,
    layout: Layout,
    components: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the tokens that MultiVectorEncoder may register while loading."""
    prefixes = legacy_prefixes(files, layout)
    if not prefixes or content is None:
        return {"prefix tokens": list(prefixes)} if prefixes else {}
    model, listed = content.get("model"), components.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, Mapping) else None
    if isinstance(vocabulary, list):
        vocabulary = {entry[0] for entry in vocabulary if isinstance(entry, list) and entry}
    contents = {token["content"] for token in listed or () if _has_content(token)}
    tokens = tokens_to_register(
        prefixes, {*(vocabulary or ()), *contents}, is_surely_piece(components)
    )
    return {"prefix tokens": tokens} if tokens else {}


def _settings(
    config: Mapping[str, Any],
    special_map: Mapping[str, Any],
    added: Mapping[str, Any],
    tokens: list[Any],
    name: str | None,
) -> dict[str, Any]:
    decoder = config.get("added_tokens_decoder")
    has_decoder = "added_tokens_decoder" in config
    special = {key: config[key] for key in SPECIAL_NAMES if key in config}
    lists = [config.get("additional_special_tokens"), config.get("extra_special_tokens")]
    if not has_decoder:  # files of transformers 3 and 4, which the decoder replaced
        special |= {key: special_map[key] for key in SPECIAL_NAMES if key in special_map}
        lists += [
            special_map.get(key) for key in ("additional_special_tokens", "extra_special_tokens")
        ]
    collected: dict[str, Any] = {
        key: entry for key, entry in config.items() if key not in _NEUTRAL and key not in _HANDLED
    }
    collected |= settings_of({**config, **special, "tokenizer_class": name})
    del collected["class"]
    listed = {token["content"]: token for token in tokens if _has_content(token)}
    mapped = _contents(decoder) if has_decoder else listed.keys()
    for key, entry in special.items():
        if isinstance(entry, Mapping) and entry.get("content") not in mapped:
            collected[f"{key} flags"] = {flag: entry.get(flag, False) for flag in _TOKEN_FLAGS}
    collected["tokens of the list"] = [
        entry for part in lists for entry in _unlisted(part, listed)
    ] or None
    collected["tokens of the decoder"] = _other_decoder(decoder, listed) if has_decoder else None
    ids = {token.get("id") for token in listed.values()}
    collected[_ADDED] = None if has_decoder else _without(added, ids)
    return {
        key: entry for key, entry in collected.items() if entry is not None or key in _KEPT_NULL
    }


_KEPT_NULL = ("do_lower_case", "tokenize_chinese_chars", "add_prefix_space")
"""Settings whose null differs from the default of the class."""


def _has_content(token: object) -> bool:
    return isinstance(token, Mapping) and isinstance(token.get("content"), str)


def _contents(decoder: object) -> set[str]:
    items: Iterable[Any] = decoder.values() if isinstance(decoder, Mapping) else ()
    return {token["content"] for token in items if _has_content(token)}


def _unlisted(part: object, listed: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Return tokens that tokenizer.json does not list as special tokens."""
    if isinstance(part, Mapping):
        return [dict(part)] if part else []
    if not isinstance(part, list):
        return [] if part is None else [part]
    contents = [entry["content"] if _has_content(entry) else entry for entry in part]
    return [
        entry
        for entry, content in zip(part, contents, strict=True)
        if not (isinstance(content, str) and listed.get(content, {}).get("special") is True)
    ]


def _other_decoder(decoder: object, listed: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return the decoder, None if it is the list of tokenizer.json."""
    if not isinstance(decoder, Mapping):
        return decoder or "empty"
    rows = {
        (str(id), token.get("content"), *(bool(token.get(flag, False)) for flag in _ALL_FLAGS))
        for id, token in decoder.items()
        if isinstance(token, Mapping)
    }
    expected = {
        (str(token.get("id")), content, *(bool(token.get(flag, False)) for flag in _ALL_FLAGS))
        for content, token in listed.items()
    }
    if rows == expected and len(rows) == len(decoder):
        return None
    return sorted(map(list, rows), key=repr)


def _without(added: Mapping[str, Any], ids: set[Any]) -> dict[str, Any] | None:
    return {content: id for content, id in added.items() if id not in ids} or None
