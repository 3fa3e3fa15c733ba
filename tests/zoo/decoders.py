"""Decoders as sentence encoders: last-token or weighted pooling, bfloat16, prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.zoo import bpe_files
from tests.zoo.family import declare
from tests.zoo.tokenizer_files import write_json
from tests.zoo.weights import DECODER, ENCODER, WIDTH, model_of, sentence_files, write_model

TARGETS = ("q_proj", "v_proj")
INSTRUCTION = "Instruct: Given a query, retrieve relevant passages\nQuery:"
OLD_ROPE = ("rope_parameters", "layer_types")


def qwen(
    folder: Path,
    form: str = "old",
    *,
    generation: int = 3,
    dtype: str = "bfloat16",
    spare: int = 0,
    shards: int = 1,
    tokens: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    pooling: str = "last",
    prompts: dict[str, str] | None = None,
    length_file: bool = False,
) -> None:
    """Write a Qwen2 or Qwen3 encoder, whose tensors have no `model.` prefix."""
    size = bpe_files.qwen(folder, form, **(tokens or {}))
    write_qwen(folder, size, generation, dtype, spare, shards, config)
    sentence_files(
        folder,
        pooling,
        length=512,
        prompts=prompts or {"query": INSTRUCTION, "document": ""},
        similarity="cosine",
        versions=("3.4.1", "4.51.3"),
        length_file=length_file,
    )


def write_qwen(
    folder: Path,
    size: int,
    generation: int = 3,
    dtype: str = "bfloat16",
    spare: int = 0,
    shards: int = 1,
    config: dict[str, Any] | None = None,
    head: str = "Model",
) -> None:
    """Write the weights and config.json of a Qwen2 or Qwen3."""
    sizes = DECODER if generation == 3 else {**ENCODER, "num_key_value_heads": 2}
    model = model_of(
        f"Qwen{generation}{head}",
        f"Qwen{generation}Config",
        std=0.1,
        **sizes,
        vocab_size=size + spare,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=size - 5,
        eos_token_id=size - 5,
    )
    write_model(
        folder,
        model,
        dtype=dtype,
        shards=shards,
        rename=lambda name: name.removeprefix("model."),
        without=OLD_ROPE,
        config={
            "architectures": [f"Qwen{generation}ForCausalLM"],
            "rope_theta": 1000000,
            "rope_scaling": None,
            "sliding_window": None,
            "transformers_version": "4.51.3",
            **(config or {}),
        },
    )


QWEN: dict[str, Any] = {"targets": TARGETS, "embeddings": "embed_tokens"}
declare("Qwen3-Embedding-0.6B", ("Qwen/Qwen3-Embedding-0.6B",), qwen, **QWEN)
declare(
    "Qwen3-Embedding-today",
    ("Qwen/Qwen3-Embedding-0.6B (fine-tuned)",),
    qwen,
    {"form": "today", "dtype": "float32"},
    resaves=False,
    **QWEN,
)
declare(
    "Qwen3-Embedding-4B",
    ("Qwen/Qwen3-Embedding-4B", "Qwen/Qwen3-Embedding-8B"),
    qwen,
    {"spare": 60, "shards": 2},
    **QWEN,
)
declare(
    "gte-Qwen2-instruct",
    ("Alibaba-NLP/gte-Qwen2-1.5B-instruct", "Alibaba-NLP/gte-Qwen2-7B-instruct"),
    qwen,
    {
        "generation": 2,
        "dtype": "float32",
        "tokens": {"appends_end": False},
        "config": {
            "auto_map": {
                "AutoModel": "modeling_qwen.Qwen2Model",
                "AutoModelForCausalLM": "modeling_qwen.Qwen2ForCausalLM",
            }
        },
    },
    resaves=False,
    **QWEN,
)
declare(
    "KaLM-embedding",
    ("HIT-TMG/KaLM-embedding-multilingual-mini-instruct-v1",),
    qwen,
    {
        "generation": 2,
        "dtype": "bfloat16",
        "tokens": {"appends_end": False},
        "pooling": "mean",
        "length_file": True,
        "config": {"architectures": ["Qwen2Model"]},
    },
    resaves=False,
    **QWEN,
)
declare(
    "qwen2-split-special-tokens",
    (),
    qwen,
    {
        "generation": 2,
        "dtype": "float32",
        "tokens": {"split_special_tokens": True},
        "length_file": True,
    },
    resaves=False,
    **QWEN,
)


def gemma(folder: Path, *, image_token: bool) -> None:
    """Write an EmbeddingGemma, with or without a token that has an id and no row."""
    size = bpe_files.byte_fallback(folder, "gemma", image_token=image_token)
    model = model_of(
        "Gemma3TextModel",
        "Gemma3TextConfig",
        std=0.1,
        **DECODER,
        vocab_size=size,
        max_position_embeddings=2048,
        use_bidirectional_attention=True,
        query_pre_attn_scalar=8,
        sliding_window=512,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    write_model(
        folder,
        model,
        config={"transformers_version": "4.57.0.dev0", "architectures": ["Gemma3TextModel"]},
    )
    identity = "torch.nn.modules.linear.Identity"
    dense = {"has_bias": False, "activation": identity}
    sentence_files(
        folder,
        length=2048,
        dense=[
            {"in_features": WIDTH, "out_features": 64, **dense},
            {"in_features": 64, "out_features": WIDTH, "seed": 2, **dense},
        ],
        prompts={"query": "task: search result | query: ", "document": "title: none | text: "},
        similarity="cosine",
        versions=("5.1.0", "4.57.0.dev0"),
    )
    (folder / "tokenizer.model").write_bytes(b"not a real SentencePiece model")


for _has_image_token in (True, False):
    declare(
        "embeddinggemma-300m" + ("" if _has_image_token else "-without-image-token"),
        ("google/embeddinggemma-300m",),
        gemma,
        {"image_token": _has_image_token},
        targets=TARGETS,
        embeddings="embed_tokens",
        resaves=not _has_image_token,
    )


def mistral(folder: Path) -> None:
    """Write an e5-mistral: BPE with byte fallback, LoRA merged, last-token pooling."""
    size = bpe_files.byte_fallback(folder, "llama")
    sizes = {**ENCODER, "num_key_value_heads": 2}
    model = model_of(
        "MistralModel",
        "MistralConfig",
        std=0.1,
        **sizes,
        vocab_size=size,
        max_position_embeddings=4096,
        sliding_window=4096,
    )
    write_model(
        folder,
        model,
        dtype="float32",
        shards=2,
        without=OLD_ROPE,
        config={"rope_theta": 10000.0, "architectures": ["MistralModel"]},
    )
    sentence_files(
        folder,
        "last",
        length=4096,
        prompts={"sts_query": "Instruct: Retrieve semantically similar text.\nQuery: "},
        versions=("2.4.0.dev0", "4.37.0"),
    )


def mixtral(folder: Path) -> None:
    """Write a Mixtral. Its files hold single experts, the model one table of all."""
    size = bpe_files.byte_fallback(folder, "llama")
    model = model_of(
        "MixtralModel",
        "MixtralConfig",
        std=0.1,
        **{**ENCODER, "num_key_value_heads": 2},
        num_local_experts=4,
        num_experts_per_tok=2,
        vocab_size=size,
        max_position_embeddings=4096,
    )
    config = {"rope_theta": 1000000.0, "architectures": ["MixtralModel"]}
    write_model(folder, model, dtype="float32", without=OLD_ROPE, config=config)
    sentence_files(folder, "last", length=512, versions=("3.0.1", "4.44.2"))


def llama3(folder: Path) -> None:
    """Write a Llama 3 encoder."""
    size = bpe_files.llama3(folder)
    sizes = {**ENCODER, "num_key_value_heads": 2}
    model = model_of(
        "LlamaModel",
        "LlamaConfig",
        std=0.1,
        **sizes,
        vocab_size=size,
        max_position_embeddings=8192,
        bos_token_id=size - 4,
        eos_token_id=size - 3,
    )
    config = {"rope_theta": 500000.0, "rope_scaling": None, "architectures": ["LlamaModel"]}
    write_model(folder, model, dtype="bfloat16", without=OLD_ROPE, config=config)
    sentence_files(folder, "mean", length=512, versions=("3.0.1", "4.44.2"))


declare(
    "e5-mistral",
    ("intfloat/e5-mistral-7b-instruct", "Salesforce/SFR-Embedding-Mistral"),
    mistral,
    targets=TARGETS,
    embeddings="embed_tokens",
)
declare(
    "mixtral",
    ("mistralai/Mixtral-8x7B-v0.1 (encoder)",),
    mixtral,
    targets=TARGETS,
    embeddings="embed_tokens",
    resaves=False,
)
declare(
    "llama-3-encoder",
    ("McGill-NLP/LLM2Vec-Meta-Llama-3-8B-Instruct-mntp (merged)",),
    llama3,
    targets=TARGETS,
    embeddings="embed_tokens",
)


def sgpt(folder: Path, kind: str) -> None:
    """Write an SGPT: GPT-Neo, GPT-NeoX, GPT-2, OPT or BLOOM, weighted mean pooling."""
    sizes: dict[str, Any] = {}
    if kind == "GPTNeo":
        size = bpe_files.gpt2(folder)
        sizes = {
            "hidden_size": WIDTH,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "max_position_embeddings": 256,
        }
    elif kind == "GPTNeoX":
        size = bpe_files.gpt_neox(folder)
        sizes = {**ENCODER, "max_position_embeddings": 256, "rotary_pct": 0.25}
    elif kind == "GPT2":
        size = bpe_files.gpt2(folder)
        sizes = {"n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": 256}
    elif kind == "OPT":
        size = bpe_files.gpt2(folder, has_start=True)
        sizes = {
            "hidden_size": WIDTH,
            "word_embed_proj_dim": WIDTH,
            "ffn_dim": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 256,
        }
    else:
        size = bpe_files.bloom(folder)
        sizes = {"hidden_size": WIDTH, "n_layer": 2, "n_head": 4}
    model = model_of(f"{kind}Model", f"{kind}Config", std=0.1, vocab_size=size, **sizes)
    write_model(folder, model)
    sentence_files(folder, "weightedmean", normalize=False, length=75, versions=("2.3.0", "4.20.0"))


declare(
    "SGPT-gpt-neo",
    ("Muennighoff/SGPT-125M-weightedmean-nli-bitfit",),
    sgpt,
    {"kind": "GPTNeo"},
    targets=TARGETS,
    embeddings="wte",
)
declare(
    "SGPT-gpt-neox",
    ("EleutherAI/pythia-70m", "EleutherAI/pythia-160m"),
    sgpt,
    {"kind": "GPTNeoX"},
    targets=("query_key_value",),
    embeddings="embed_in",
    resaves=False,
)
declare(
    "SGPT-gpt2",
    ("openai-community/gpt2",),
    sgpt,
    {"kind": "GPT2"},
    targets=("c_attn",),
    embeddings="wte",
    resaves=False,
)
declare(
    "SGPT-opt",
    ("facebook/opt-125m",),
    sgpt,
    {"kind": "OPT"},
    targets=TARGETS,
    embeddings="embed_tokens",
    resaves=False,
)
declare(
    "SGPT-bloom",
    ("bigscience/sgpt-bloom-7b1-msmarco",),
    sgpt,
    {"kind": "Bloom"},
    targets=("query_key_value",),
    resaves=False,
)


def _stella_1_5b(folder: Path) -> None:
    """Write a Qwen2 whose own code replaces classes that the library has."""
    code = "modeling_qwen.Qwen2Model"
    qwen(folder, generation=2, dtype="float32", config={"auto_map": {"AutoModel": code}})
    (folder / "modeling_qwen.py").write_text("class Qwen2Model: ...\n")
    write_json(folder / "2_Dense_1024" / "config.json", {})


declare("stella-1.5B", ("NovaSearch/stella_en_1.5B_v5",), _stella_1_5b, resaves=False, **QWEN)
