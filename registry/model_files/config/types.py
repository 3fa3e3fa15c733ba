"""Forms: what kind of value each setting of a configuration has. A loader takes what it finds, and to it "false" in quotation marks is true.

Settings that are not listed have any value: other libraries write some of their own. config.json is not here; transformers asks
every one of its settings for its form and fails at the load.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from registry.errors import NotLoadable

_WORD = 1 << 63
NO_LENGTH = 10**20
"""A length in tokens beyond this one cuts nothing; libraries write 10 ** 30 where there is none. Source: transformers 5.23, LARGE_INTEGER."""


@dataclass(frozen=True)
class Form:
    """What a value may be: in words, and as a test."""

    said: str
    holds: Callable[[Any], bool]

    def __or__(self, other: Form) -> Form:
        return Form(
            f"{self.said.replace(' or ', ', ')} or {other.said}",
            lambda value: self.holds(value) or other.holds(value),
        )


Forms = Mapping[str, Form]
"""Name of a setting to its form."""


def _is_number(value: Any) -> bool:
    try:
        return (
            not isinstance(value, bool)
            and isinstance(value, (int, float))
            and math.isfinite(float(value))
        )
    except OverflowError:
        return False


def _is_whole(value: Any) -> bool:
    return type(value) is int and -_WORD <= value < _WORD


def _is_list(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(of, value))


def _is_object(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(of, value.values()))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def one_of(*words: str) -> Form:
    """One of a few texts."""
    return Form(f"one of {', '.join(words)}", lambda value: value in words)


NULL = Form("null", lambda value: value is None)
FLAG = Form("true or false", lambda value: isinstance(value, bool))
WHOLE = Form("a whole number", _is_whole)
POSITIVE = Form("a whole number above 0", lambda value: _is_whole(value) and value > 0)
NUMBER = Form("a number", _is_number)
PART = Form("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
LENGTH = Form(
    "a whole number above 0",
    lambda value: POSITIVE.holds(value) or (_is_number(value) and value >= NO_LENGTH),
)
TEXT = Form("a text", _is_text)
TEXTS = Form("a list of texts", _is_list(_is_text))
NUMBERS = Form("a list of whole numbers", _is_list(_is_whole))
IDS = Form("a list of ids of tokens", _is_list(lambda value: _is_whole(value) and value >= 0))
PAIRS = Form("a list of pairs of numbers", _is_list(_is_list(_is_whole)))
OBJECT = Form("an object", lambda value: isinstance(value, dict))
OF_RANKS = Form("an object of whole numbers above 0", _is_object(POSITIVE.holds))
OF_NUMBERS = Form("an object of numbers", _is_object(_is_number))
OF_TEXTS = Form("an object of texts", _is_object(lambda value: value is None or _is_text(value)))
OF_IDS = Form("an object of such lists", _is_object(IDS.holds))
OF_LISTS = Form("an object of lists of texts", _is_object(TEXTS.holds))
OF_FLAGS = Form("an object of lists of true and false", _is_object(_is_list(FLAG.holds)))
_ANY_LAYERS = WHOLE | NUMBERS | NULL
_ANY_NAMES = TEXT | TEXTS | NULL
_WORK = (
    "feature-extraction",
    "sequence-classification",
    "text-generation",
    "fill-mask",
    "retrieval",
    "any-to-any",
)
_TASKS = ("SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION")

ADAPTER: Forms = {
    **dict.fromkeys(
        (
            "apply_GS",
            "block_share",
            "coft",
            "decompose_both",
            "ensure_weight_tying",
            "fan_in_fan_out",
            "inference_mode",
            "init_ia3_weights",
            "lora_bias",
            "para",
            "proportional_parameters",
            "psoft_mag_a",
            "psoft_mag_b",
            "psoft_orth",
            "rank_dropout_scale",
            "save_precomputed_indices",
            "save_projection",
            "select_top",
            "sparse",
            "use_asa",
            "use_cayley_neumann",
            "use_dora",
            "use_dynamic_rank",
            "use_effective_conv2d",
            "use_idwt",
            "use_qalora",
            "use_rslora",
            "very_sparse",
        ),
        FLAG | NULL,
    ),
    **dict.fromkeys(("init_lora_weights", "init_weights"), FLAG | TEXT | NULL),
    **dict.fromkeys(
        (
            "boft_dropout",
            "deft_dropout",
            "gralora_dropout",
            "hira_dropout",
            "lora_dropout",
            "miss_dropout",
            "module_dropout",
            "psoft_dropout",
            "randlora_dropout",
            "rank_dropout",
        ),
        PART,
    ),
    **dict.fromkeys(
        (
            "asa_importance_beta",
            "asa_schedule_exponent",
            "asa_uncertainty_beta",
            "beta1",
            "beta2",
            "delora_lambda",
            "eps",
            "init_scale",
            "orth_reg_weight",
            "psoft_alpha",
            "randlora_alpha",
            "scaling",
            "sparsity",
            "svd_threshold",
        ),
        NUMBER,
    ),
    **dict.fromkeys(("alpha", "cayley_neumann_eps", "effective_rank", "lora_alpha"), NUMBER | NULL),
    **dict.fromkeys(
        (
            "asa_target_subspaces",
            "block_size",
            "boft_block_num",
            "boft_block_size",
            "boft_n_butterfly_factor",
            "decompose_factor",
            "deltaT",
            "depth",
            "final_warmup",
            "gralora_k",
            "group_size",
            "hybrid_r",
            "init_r",
            "init_warmup",
            "mask_interval",
            "mini_r",
            "n_frequency",
            "num_B",
            "num_cayley_neumann_terms",
            "num_subspaces",
            "oft_block_size",
            "projection_prng_key",
            "psoft_svd_lowrank_niter",
            "qalora_group_size",
            "stride_A",
            "subspace_rank",
            "target_r",
            "tfinal",
            "tinit",
        ),
        WHOLE,
    ),
    **dict.fromkeys(("r", "random_loc_seed", "random_seed", "total_step"), WHOLE | NULL),
    **dict.fromkeys(("act_fn", "bias", "variant", "wavelet_family"), TEXT),
    **dict.fromkeys(
        ("base_model_name_or_path", "megatron_core", "peft_version", "revision"), TEXT | NULL
    ),
    **dict.fromkeys(
        ("exclude_modules", "feedforward_modules", "layers_pattern", "target_modules"), _ANY_NAMES
    ),
    **dict.fromkeys(("modules_to_save", "target_parameters"), TEXTS | NULL),
    **dict.fromkeys(
        (
            "arrow_config",
            "auto_mapping",
            "corda_config",
            "eva_config",
            "kasa_config",
            "loftq_config",
            "lora_ga_config",
            "megatron_config",
            "monteclora_config",
            "runtime_config",
            "use_bdlora",
            "velora_config",
        ),
        OBJECT | NULL,
    ),
    **dict.fromkeys(
        ("block_size_pattern", "lambda_pattern", "n_frequency_pattern", "target_svd_config"),
        OF_NUMBERS | NULL,
    ),
    "rank_pattern": OF_RANKS | NULL,
    "alpha_pattern": OF_NUMBERS,
    "layers_to_transform": _ANY_LAYERS,
    "layer_replication": PAIRS | NULL,
    "alora_invocation_tokens": IDS | NULL,
    "token_indices": IDS,
    "trainable_token_indices": IDS | OF_IDS | NULL,
    "task_type": one_of(*_TASKS) | NULL,
    "config_A_B": one_of("lora", "vector", "constant", "none"),
    "config_C": one_of("lora", "vector", "none"),
    "config_D_E": one_of("vector", "constant", "none"),
    "psoft_svd": one_of("full", "lowrank"),
    "ab_svd_init": one_of("psoft_init", "pissa_init"),
    "decomposition_method": one_of("relu", "qr"),
    "mask_type": one_of("random"),
}
"""adapter_config.json, of every kind that is put into a model. Source: peft 0.21, the annotations of its configurations; a number may be
a real one where people write such a one, and what the library takes null for false may be null.
"""
ADAPTER_OF: Mapping[str, Forms] = {
    "LORA": {
        "r": POSITIVE,
        "rank_pattern": OF_RANKS,
        "lora_alpha": NUMBER,
        "bias": one_of("none", "all", "lora_only"),
    },
    "ADALORA": {
        "r": WHOLE,
        "lora_alpha": NUMBER,
        "bias": one_of("none", "all", "lora_only"),
        "total_step": POSITIVE,
        "rank_pattern": OF_FLAGS | NULL,
    },
    **{
        kind: {"r": POSITIVE, "alpha": NUMBER, "rank_pattern": OF_RANKS}
        for kind in ("LOHA", "LOKR")
    },
    "OSF": {"rank_pattern": OF_NUMBERS | NULL},
    "OFT": {"bias": one_of("none", "all", "oft_only")},
    "BOFT": {"bias": one_of("none", "all", "boft_only")},
}
"""By kind: what is narrower there."""

_INPUT, _OUTPUT = {"module_input_name": TEXT}, {"module_output_name": TEXT | NULL}
_TRANSFORMER: Forms = {
    "max_seq_length": LENGTH | NULL,
    "do_lower_case": FLAG | NULL,
    "transformer_task": one_of(*_WORK),
    "modality_config": OBJECT,
    "processing_kwargs": OBJECT | NULL,
    "unpad_inputs": FLAG | NULL,
    "query_length": POSITIVE | NULL,
    "document_length": POSITIVE | NULL,
    "query_expansion": OBJECT | NULL,
    "model_args": OBJECT,
    "model_kwargs": OBJECT,
    "tokenizer_args": OBJECT,
    "processor_kwargs": OBJECT,
    "config_args": OBJECT,
    "config_kwargs": OBJECT,
    **_OUTPUT,
}
_WORDS: Forms = {"vocab": TEXTS, "word_weights": OF_NUMBERS, "unknown_word_weight": NUMBER}
MODULES: Mapping[str, Forms] = {
    "Transformer": _TRANSFORMER,
    "MLMTransformer": _TRANSFORMER,
    "Pooling": {
        "embedding_dimension": POSITIVE,
        "word_embedding_dimension": POSITIVE,
        "include_prompt": FLAG,
        "pooling_mode": TEXT | TEXTS,
        **dict.fromkeys(
            (
                "pooling_mode_cls_token",
                "pooling_mode_max_tokens",
                "pooling_mode_mean_tokens",
                "pooling_mode_lasttoken",
                "pooling_mode_mean_sqrt_len_tokens",
                "pooling_mode_weightedmean_tokens",
            ),
            FLAG,
        ),
    },
    "Dense": {
        "in_features": POSITIVE,
        "out_features": POSITIVE,
        "bias": FLAG,
        "use_residual": FLAG,
        **_INPUT,
        **_OUTPUT,
    },
    "Normalize": {**_INPUT, **_OUTPUT},
    "LayerNorm": {"dimension": POSITIVE},
    "Dropout": {"dropout": PART},
    "WeightedLayerPooling": {
        "embedding_dimension": POSITIVE,
        "num_hidden_layers": POSITIVE,
        "layer_start": WHOLE,
    },
    "LSTM": {
        "embedding_dimension": POSITIVE,
        "hidden_dim": POSITIVE,
        "num_layers": POSITIVE,
        "dropout": PART,
        "bidirectional": FLAG,
    },
    "CNN": {
        "in_embedding_dimension": POSITIVE,
        "out_channels": POSITIVE,
        "kernel_sizes": NUMBERS,
        "stride_sizes": NUMBERS | NULL,
    },
    "BoW": {**_WORDS, "cumulative_term_frequency": FLAG},
    "WordWeights": _WORDS,
    "WordEmbeddings": {"update_embeddings": FLAG, "max_seq_length": POSITIVE},
    "SparseAutoEncoder": {
        "input_dim": POSITIVE,
        "hidden_dim": POSITIVE,
        "k": POSITIVE,
        "k_aux": POSITIVE,
        "normalize": FLAG,
        "dead_threshold": WHOLE,
    },
    "SpladePooling": {
        "pooling_strategy": one_of("max", "sum"),
        "activation_function": one_of("relu", "log1p_relu"),
        "embedding_dimension": POSITIVE | NULL,
        "word_embedding_dimension": POSITIVE | NULL,
    },
    "SparseStaticEmbedding": {"frozen": FLAG},
    "LogitScore": {"true_token_id": WHOLE, "false_token_id": WHOLE | NULL, **_INPUT},
    "HierarchicalTokenPooling": {
        "pool_factor": NUMBER,
        "num_protected_tokens": WHOLE,
        "normalize_embeddings": FLAG,
        "tasks": _ANY_NAMES,
    },
    "MultiVectorMask": {
        "skiplist_words": TEXTS | NULL,
        "skiplist_tasks": _ANY_NAMES,
        "keep_only_token_ids": IDS | NULL,
    },
    "Router": {"default_route": TEXT | NULL, "allow_empty_key": FLAG},
}
"""The configuration of each type of module. Source: sentence_transformers 6.2, the arguments of its modules."""
ROUTER: Forms = {"structure": OF_LISTS, "parameters": OBJECT}
"""router_config.json, whose parameters are the settings of a Router. Source: sentence_transformers 6.2, base/modules/router.py."""

MODEL: Forms = {
    "model_type": TEXT,
    "__version__": OBJECT,
    "prompts": OF_TEXTS,
    "default_prompt_name": TEXT | NULL,
    "similarity_fn_name": TEXT | NULL,
    "truncate_dim": POSITIVE | NULL,
    "max_active_dims": POSITIVE | NULL,
    "activation_fn": TEXT | NULL,
    "keep_in_fp32_modules": TEXTS | NULL,
    "query_length": POSITIVE | NULL,
    "document_length": POSITIVE | NULL,
    "query_expansion": OBJECT | NULL,
    "query_prefix": TEXT | NULL,
    "document_prefix": TEXT | NULL,
    "skiplist_words": TEXTS | NULL,
    **dict.fromkeys(
        ("do_query_expansion", "attend_to_expansion_tokens", "attend_to_mask_tokens"), FLAG | NULL
    ),
}
"""config_sentence_transformers.json, as PyLate writes it too. Source: sentence_transformers 6.2, _parse_model_config of its classes."""

TOKENIZER: Forms = {
    **dict.fromkeys(
        (
            "add_bos_token",
            "add_eos_token",
            "add_prefix_space",
            "clean_up_tokenization_spaces",
            "do_lower_case",
            "legacy",
            "split_special_tokens",
            "strip_accents",
            "tokenize_chinese_chars",
            "trim_offsets",
        ),
        FLAG | NULL,
    ),
    "model_max_length": LENGTH | NULL,
    "padding_side": one_of("left", "right"),
    "truncation_side": one_of("left", "right"),
    "model_input_names": TEXTS | NULL,
}
"""tokenizer_config.json. Source: transformers 5.23, tokenization_utils_base.py and its models."""


def misfit(value: Mapping[str, Any], forms: Forms, path: str) -> str | None:
    """What is wrong with the first setting that has another form than a loader reads, or None."""
    for name, form in forms.items():
        if name in value and not form.holds(value[name]):
            return f"{path} has the {name} {value[name]!r:.80}; it is {form.said}{_bare(value[name], form)}"
    return None


def refuse_misfits(value: Mapping[str, Any], forms: Forms, path: str) -> None:
    """Raises NotLoadable for a setting that has another form than a loader reads."""
    found = misfit(value, forms, path)
    if found is not None:
        raise NotLoadable(found)


def _bare(value: Any, form: Form) -> str:
    """What to say of a text in which the value that was meant stands."""
    try:
        meant = isinstance(value, str) and form.holds(json.loads(value.lower()))
    except ValueError:
        return ""
    return ", without quotation marks" if meant else ""
