"""Other text architectures of transformers, each in its smallest form.

Users wrap any text model of transformers with mean pooling. These have a tokenizer of
BERT and one generic configuration; what differs is the structure: names of layers,
prefixes, tied or converted tensors, decoders that are not loaded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.zoo import tokenizer_files
from tests.zoo.family import declare
from tests.zoo.weights import sentence_files

SIZES: dict[str, int] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim"), 32),
    "embedding_size": 32,
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layers", "n_layer"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "num_heads", "n_heads", "n_head"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_experts_per_tok"), 2),
    **dict.fromkeys(("head_dim", "d_head", "d_kv"), 8),
    **dict.fromkeys(("intermediate_size", "d_ff", "d_inner", "ffn_dim", "hidden_dim"), 64),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "ffn_hidden_size"), 64),
    **dict.fromkeys(("num_experts", "num_local_experts"), 4),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 512),
    "moe_intermediate_size": 16,
    "attention_window": 8,
    "entity_vocab_size": 16,
    "entity_emb_size": 32,
}
"""Small sizes by the names of configurations; each configuration takes those it has."""


def write(folder: Path, model_type: str) -> None:
    """Write a model with random weights, as transformers saves it, and mean pooling."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModel

    size = tokenizer_files.word_piece(folder)
    settings = folder / "tokenizer_config.json"
    tokenizer = json.loads(settings.read_text("utf-8"))
    tokenizer_files.write_json(settings, {**tokenizer, "tokenizer_class": "TokenizersBackend"})
    torch.manual_seed(0)
    config = CONFIG_MAPPING[model_type](**_settings(model_type, size))
    model = AutoModel.from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_norm = "norm" in name.lower() and name.endswith("weight")
            parameter.normal_(mean=1.0 if is_norm else 0.0, std=0.2)
    model.save_pretrained(folder)
    sentence_files(folder, "mean", length=128)


def _settings(model_type: str, size: int) -> dict[str, Any]:
    from transformers import CONFIG_MAPPING

    defaults = CONFIG_MAPPING[model_type]()
    names = [
        name
        for name in SIZES
        if isinstance(getattr(defaults, name, None), int | list | None) and hasattr(defaults, name)
    ]
    vocabulary = [name for name in ("vocab_size", "n_words") if hasattr(defaults, name)]
    return {
        **{name: SIZES[name] for name in names},
        **dict.fromkeys(vocabulary, size),
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }


BERT_LIKE = ("query", "value")
PROJECTIONS = ("q_proj", "v_proj")
ARCHITECTURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "bart": ("facebook/bart-base", PROJECTIONS),
    "mbart": ("facebook/mbart-large-50", PROJECTIONS),
    "luke": ("studio-ousia/luke-base", BERT_LIKE),
    "xlm": ("FacebookAI/xlm-mlm-en-2048", ("q_lin", "v_lin")),
    "flaubert": ("flaubert/flaubert_base_cased", ("q_lin", "v_lin")),
    "data2vec-text": ("facebook/data2vec-text-base", BERT_LIKE),
    "megatron-bert": ("nvidia/megatron-bert-uncased-345m", BERT_LIKE),
    "rembert": ("google/rembert", BERT_LIKE),
    "fnet": ("google/fnet-base", ("projection",)),
    "roberta-prelayernorm": ("andreasmadsen/efficient_mlm_m0.40", BERT_LIKE),
    "roc_bert": ("weiweishi/roc-bert-base-zh", BERT_LIKE),
    "longformer": ("allenai/longformer-base-4096", BERT_LIKE),
    "led": ("allenai/led-base-16384", BERT_LIKE),
    "layoutlm": ("microsoft/layoutlm-base-uncased", BERT_LIKE),
    "yoso": ("uw-madison/yoso-4096", BERT_LIKE),
    "gemma2": ("BAAI/bge-multilingual-gemma2", PROJECTIONS),
    "phi": ("microsoft/phi-1_5", PROJECTIONS),
    "phi3": ("microsoft/Phi-3-mini-4k-instruct", ("qkv_proj",)),
    "mixtral": ("mistralai/Mixtral-8x7B-v0.1", PROJECTIONS),
    "qwen3_moe": ("Qwen/Qwen3-30B-A3B", PROJECTIONS),
    "mt5": ("google/mt5-base", ("q", "v")),
    "umt5": ("google/umt5-base", ("q", "v")),
    "longt5": ("google/long-t5-tglobal-base", ("q", "v")),
    "switch_transformers": ("google/switch-base-8", ("q", "v")),
    "modernbert-decoder": ("jhu-clsp/ettin-decoder-150m", PROJECTIONS),
    "smollm3": ("HuggingFaceTB/SmolLM3-3B", PROJECTIONS),
    "lfm2": ("LiquidAI/LFM2-350M", PROJECTIONS),
    "olmo2": ("allenai/OLMo-2-0425-1B", PROJECTIONS),
    "cohere": ("CohereLabs/c4ai-command-r-v01", PROJECTIONS),
    "granite": ("ibm-granite/granite-3.3-2b-base", PROJECTIONS),
    "nemotron": ("nvidia/Minitron-4B-Base", PROJECTIONS),
}
"""By model_type: (repository, layers that LoRA adapts)."""

for _model_type, (_repository, _targets) in ARCHITECTURES.items():
    declare(
        f"architecture-{_model_type}",
        (_repository,),
        write,
        {"model_type": _model_type},
        targets=_targets,
        resaves=False,
    )
