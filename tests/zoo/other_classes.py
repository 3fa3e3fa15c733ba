"""SparseEncoder, MultiVectorEncoder, CrossEncoder, static embeddings and Router."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.zoo import bpe_files, tokenizer_files
from tests.zoo.decoders import write_qwen
from tests.zoo.encoders import bert_weights, modern_bert_weights, roberta_weights
from tests.zoo.family import declare
from tests.zoo.rarer_encoders import deberta_model
from tests.zoo.tokenizer_files import Json, write_json
from tests.zoo.weights import (
    ENCODER,
    WIDTH,
    dense_module,
    model_of,
    sentence_files,
    write_model,
)

MODELS = "sentence_transformers.models"


# SparseEncoder


def splade(
    folder: Path, *, files: str = "S", config: str = "new", kind: str = "Bert", **settings: Any
) -> None:
    """Write a SPLADE model."""
    is_bert = kind == "Bert"
    size = tokenizer_files.word_piece(
        folder, config=config, tokenizer_class="BertTokenizer" if is_bert else "DistilBertTokenizer"
    )
    sizes: Json = {**ENCODER, "max_position_embeddings": 512}
    if not is_bert:
        sizes = {"dim": WIDTH, "hidden_dim": 64, "n_layers": 2, "n_heads": 4}
    model = model_of(f"{kind}ForMaskedLM", f"{kind}Config", **sizes, vocab_size=size)
    write_model(folder, model, files=files)
    sparse = "sentence_transformers.sparse_encoder.models"
    write_json(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": f"{sparse}.MLMTransformer"},
            {"idx": 1, "name": "1", "path": "1_SpladePooling", "type": f"{sparse}.SpladePooling"},
        ],
    )
    write_json(
        folder / "1_SpladePooling" / "config.json",
        {
            "pooling_strategy": "max",
            "activation_function": "relu",
            "word_embedding_dimension": None,
            **settings,
        },
    )
    write_json(
        folder / "config_sentence_transformers.json",
        {
            "model_type": "SparseEncoder",
            "__version__": {
                "sentence_transformers": "5.0.0",
                "transformers": "4.50.3",
                "pytorch": "2.6.0",
            },
            "prompts": {"query": "", "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "dot",
        },
    )
    write_json(
        folder / "sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": False}
    )


def _router(folder: Path) -> None:
    """Write an inference-free SPLADE: a table for queries, an MLM for documents."""
    from tests.support import small

    small.routed(folder / "router")
    shutil.rmtree(folder / "router-plain")
    shutil.copytree(folder / "router", folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "router")


declare(
    "splade-v3",
    ("naver/splade-v3", "naver/splade_v2_max"),
    splade,
    model_class="SparseEncoder",
)
declare(
    "splade-cocondenser",
    ("naver/splade-cocondenser-ensembledistil",),
    splade,
    {"files": "B", "config": "old"},
    model_class="SparseEncoder",
    resaves=False,
)
declare(
    "splade-distilbert",
    ("opensearch-project/opensearch-neural-sparse-encoding-v2-distill",),
    splade,
    {"kind": "DistilBert", "activation_function": "log1p_relu"},
    model_class="SparseEncoder",
    targets=("q_lin", "v_lin"),
    resaves=False,
)


# MultiVectorEncoder


def modern_colbert(folder: Path, *, model_type: str | None) -> None:
    """Write a ColBERT saved by PyLate before 5.0."""
    size = bpe_files.modern_bert(folder)
    modern_bert_weights(folder, size + 19)
    dense_module(
        folder / "1_Dense",
        WIDTH,
        16,
        has_bias=False,
        activation="torch.nn.modules.linear.Identity",
    )
    write_json(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": f"{MODELS}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
        ],
    )
    write_json(
        folder / "config_sentence_transformers.json",
        {
            **({"model_type": model_type} if model_type else {}),
            "__version__": {
                "sentence_transformers": "3.4.1",
                "transformers": "4.48.2",
                "pytorch": "2.5.1",
            },
            "prompts": {},
            "default_prompt_name": None,
            "similarity_fn_name": "MaxSim",
            "query_prefix": "[Q] ",
            "document_prefix": "[D] ",
            "query_length": 32,
            "document_length": 300,
            "attend_to_expansion_tokens": False,
            "skiplist_words": list("!\"#$%&'()"),
        },
    )
    write_json(
        folder / "sentence_bert_config.json", {"max_seq_length": 299, "do_lower_case": False}
    )


def stanford_colbert(folder: Path) -> None:
    """Write a ColBERT in the form of the Stanford code, without modules.json."""
    size = tokenizer_files.word_piece(folder, fixed_length=None, unused=6)
    import torch

    model = model_of(
        "BertModel", "BertConfig", **ENCODER, vocab_size=size, max_position_embeddings=512
    )
    write_model(
        folder,
        model,
        files="S",
        rename=lambda name: f"bert.{name}",
        config={"architectures": ["HF_ColBERT"]},
    )
    from safetensors.torch import load_file, save_file

    generator = torch.Generator().manual_seed(2)
    tensors = load_file(folder / "model.safetensors")
    tensors["linear.weight"] = torch.randn(16, WIDTH, generator=generator) * 0.2
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    torch.save(tensors, folder / "pytorch_model.bin")
    write_json(
        folder / "artifact.metadata",
        {
            "query_token_id": "[unused0]",
            "doc_token_id": "[unused1]",
            "query_token": "[Q]",
            "doc_token": "[D]",
            "dim": 16,
            "similarity": "cosine",
            "query_maxlen": 32,
            "doc_maxlen": 180,
            "mask_punctuation": True,
            "attend_to_mask_tokens": False,
        },
    )


MODERN: dict[str, Any] = {"targets": ("Wqkv", "Wo"), "embeddings": "tok_embeddings"}
declare(
    "GTE-ModernColBERT",
    ("lightonai/GTE-ModernColBERT-v1", "lightonai/Reason-ModernColBERT"),
    modern_colbert,
    {"model_type": None},
    model_class="MultiVectorEncoder",
    **MODERN,
)
declare(
    "ModernColBERT-with-model-type",
    ("lightonai/LateOn (PyLate 1.3)",),
    modern_colbert,
    {"model_type": "ColBERT"},
    model_class="MultiVectorEncoder",
    resaves=False,
    **MODERN,
)
declare(
    "ColBERTv2",
    ("colbert-ir/colbertv2.0", "answerdotai/answerai-colbert-small-v1"),
    stanford_colbert,
    model_class="MultiVectorEncoder",
)


# CrossEncoder


def labels(count: int) -> Json:
    """Return the label maps of config.json."""
    return {
        "id2label": {str(index): f"LABEL_{index}" for index in range(count)},
        "label2id": {f"LABEL_{index}": index for index in range(count)},
    }


def _ms_marco(folder: Path, *, version: int) -> None:
    size = tokenizer_files.word_piece(folder, config="new" if version == 4 else "old")
    identity = "torch.nn.modules.linear.Identity"
    settings: Json = {"sentence_transformers": {"activation_fn": identity, "version": "4.0.1"}}
    if version < 4:
        settings = {"sbert_ce_default_activation_function": identity}
    bert_weights(
        folder,
        size,
        kind="BertForSequenceClassification",
        files="S" if version == 4 else "SB",
        positions=None if version == 4 else "bert.embeddings.position_ids",
        num_labels=1,
        config={**labels(1), **settings},
    )


def _bge_reranker(folder: Path, *, form: str, max_positions: int = 514) -> None:
    size = tokenizer_files.xlm_roberta(folder, form, config="old" if form == "old" else "new")
    model = model_of(
        "XLMRobertaForSequenceClassification",
        "XLMRobertaConfig",
        **ENCODER,
        vocab_size=size,
        max_position_embeddings=max_positions,
        pad_token_id=1,
        type_vocab_size=1,
        num_labels=1,
    )
    positions = "roberta.embeddings.position_ids" if form == "old" else None
    write_model(folder, model, files="SB", positions=positions, config=labels(1))


def _gte_reranker(folder: Path) -> None:
    size = bpe_files.modern_bert(folder)
    modern_bert_weights(folder, size + 19, "ForSequenceClassification", num_labels=1)


def _deberta_reranker(folder: Path, *, count: int) -> None:
    size = tokenizer_files.deberta_v2(folder)
    model = deberta_model("DebertaV2ForSequenceClassification", size, num_labels=count)
    write_model(folder, model, config=labels(count))


def _stsb(folder: Path) -> None:
    size = bpe_files.roberta(folder)
    kind = "RobertaForSequenceClassification"
    roberta_weights(
        folder, size, kind=kind, settings={"num_labels": 1}, files="SB", config=labels(1)
    )


def _electra(folder: Path) -> None:
    size = tokenizer_files.word_piece(folder, tokenizer_class="ElectraTokenizer")
    model = model_of(
        "ElectraForSequenceClassification",
        "ElectraConfig",
        **ENCODER,
        embedding_size=WIDTH,
        vocab_size=size,
        max_position_embeddings=512,
        num_labels=1,
    )
    write_model(folder, model, files="SB", config=labels(1))


def _qwen_reranker(folder: Path) -> None:
    write_qwen(folder, bpe_files.qwen(folder, "old", appends_end=False), head="ForCausalLM")


def _jina_reranker(folder: Path) -> None:
    size = tokenizer_files.xlm_roberta(folder, "middle", config="new")
    model = model_of(
        "XLMRobertaForSequenceClassification",
        "XLMRobertaConfig",
        **ENCODER,
        vocab_size=size,
        max_position_embeddings=514,
        num_labels=1,
    )
    code = "jinaai/jina-reranker-v2-base-multilingual--"
    config = {
        "auto_map": {
            "AutoConfig": f"{code}configuration_xlm_roberta.XLMRobertaFlashConfig",
            "AutoModelForSequenceClassification": (
                f"{code}modeling_xlm_roberta.XLMRobertaForSequenceClassification"
            ),
        }
    }
    write_model(folder, model, config={**labels(1), **config})


CROSS: dict[str, Any] = {"model_class": "CrossEncoder"}
declare(
    "ms-marco-MiniLM",
    ("cross-encoder/ms-marco-MiniLM-L6-v2", "cross-encoder/ms-marco-MiniLM-L12-v2"),
    _ms_marco,
    {"version": 2},
    **CROSS,
)
declare(
    "ms-marco-v4",
    ("cross-encoder/ms-marco-MiniLM-L6-v2 (main)", "tomaarsen/reranker-MiniLM-L12-gooaq-bce"),
    _ms_marco,
    {"version": 4},
    resaves=False,
    **CROSS,
)
declare(
    "bge-reranker-base",
    ("BAAI/bge-reranker-base", "BAAI/bge-reranker-large"),
    _bge_reranker,
    {"form": "old"},
    **CROSS,
)
declare(
    "bge-reranker-v2-m3",
    ("BAAI/bge-reranker-v2-m3",),
    _bge_reranker,
    {"form": "middle", "max_positions": 8194},
    resaves=False,
    **CROSS,
)
declare(
    "gte-reranker-modernbert",
    ("Alibaba-NLP/gte-reranker-modernbert-base",),
    _gte_reranker,
    **CROSS,
    **MODERN,
)
declare(
    "mxbai-rerank",
    ("mixedbread-ai/mxbai-rerank-base-v1",),
    _deberta_reranker,
    {"count": 1},
    targets=("query_proj", "value_proj"),
    resaves=False,
    **CROSS,
)
declare(
    "nli-deberta-v3",
    ("cross-encoder/nli-deberta-v3-base",),
    _deberta_reranker,
    {"count": 3},
    targets=("query_proj", "value_proj"),
    resaves=False,
    **CROSS,
)
declare(
    "stsb-roberta",
    ("cross-encoder/stsb-roberta-base", "cross-encoder/quora-distilroberta-base"),
    _stsb,
    resaves=False,
    **CROSS,
)
declare(
    "ms-marco-electra",
    ("cross-encoder/ms-marco-electra-base",),
    _electra,
    resaves=False,
    **CROSS,
)
declare(
    "Qwen3-Reranker",
    ("Qwen/Qwen3-Reranker-0.6B",),
    _qwen_reranker,
    has_class_hint=True,
    targets=("q_proj", "v_proj"),
    embeddings="embed_tokens",
    resaves=False,
    **CROSS,
)
declare(
    "jina-reranker-v2",
    ("jinaai/jina-reranker-v2-base-multilingual",),
    _jina_reranker,
    resaves=False,
    **CROSS,
)


# Static embeddings


def _static(folder: Path, *, multilingual: bool) -> None:
    """Write a StaticEmbedding in a folder of its own, with tokenizer.json alone."""
    import torch
    from safetensors.torch import save_file

    inner = folder / "0_StaticEmbedding"
    inner.mkdir()
    if multilingual:
        size = tokenizer_files.xlm_roberta(inner, "today", spm_file=None)
    else:
        size = tokenizer_files.word_piece(inner, vocab_file=False, fixed_length=None)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (inner / name).unlink()
    generator = torch.Generator().manual_seed(0)
    table = {"embedding.weight": torch.randn(size, WIDTH, generator=generator)}
    save_file(table, inner / "model.safetensors", metadata={"format": "pt"})
    kind = f"{MODELS}.StaticEmbedding"
    write_json(folder / "modules.json", [{"idx": 0, "name": "0", "path": inner.name, "type": kind}])
    write_json(
        folder / "config_sentence_transformers.json",
        {
            "__version__": {
                "sentence_transformers": "3.3.0.dev0",
                "transformers": "4.45.2",
                "pytorch": "2.5.0",
            },
            "prompts": {},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )


def _model2vec(folder: Path, *, quantized: bool) -> None:
    """Write a potion model; a quantized one has int8 rows, a mapping and weights."""
    import torch
    from safetensors.torch import save_file

    size = tokenizer_files.word_piece(folder, vocab_file=False, fixed_length=None)
    generator = torch.Generator().manual_seed(0)
    if quantized:
        tensors = {
            "embeddings": torch.randint(-127, 127, (64, WIDTH), generator=generator).to(torch.int8),
            "mapping": torch.randint(0, 64, (size,), generator=generator),
            "weights": torch.rand(size, generator=generator, dtype=torch.float64),
        }
    else:
        tensors = {"embeddings": torch.randn(size, WIDTH, generator=generator)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(
        folder / "config.json",
        {
            "model_type": "model2vec",
            "architectures": ["StaticModel"],
            "tokenizer_name": "baai/bge-base-en-v1.5",
            "apply_pca": 256,
            "apply_zipf": True,
            "hidden_dim": WIDTH,
            "seq_length": 1000000,
            "normalize": True,
        },
    )
    write_json(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": ".", "type": f"{MODELS}.StaticEmbedding"},
            {"idx": 1, "name": "1", "path": "1_Normalize", "type": f"{MODELS}.Normalize"},
        ],
    )


STATIC: dict[str, Any] = {"targets": ()}
declare(
    "static-retrieval-mrl-en",
    ("sentence-transformers/static-retrieval-mrl-en-v1",),
    _static,
    {"multilingual": False},
    **STATIC,
)
declare(
    "static-similarity-mrl-multilingual",
    ("sentence-transformers/static-similarity-mrl-multilingual-v1",),
    _static,
    {"multilingual": True},
    resaves=False,
    **STATIC,
)
declare(
    "potion-base-8M",
    ("minishlab/potion-base-8M", "minishlab/potion-retrieval-32M"),
    _model2vec,
    {"quantized": False},
    **STATIC,
)
declare(
    "potion-quantized",
    ("minishlab/potion-base-8M (quantized)",),
    _model2vec,
    {"quantized": True},
    resaves=False,
    **STATIC,
)


# Router


def _two_routes(folder: Path) -> None:
    """Write a Router with a BERT for queries and an MPNet for documents."""
    routes: dict[str, list[str]] = {}
    types: dict[str, str] = {}
    for route in ("query", "document"):
        inner = folder / f"{route}_0_Transformer"
        inner.mkdir()
        if route == "query":
            bert_weights(inner, tokenizer_files.word_piece(inner), files="S")
        else:
            size = tokenizer_files.mpnet(inner)
            model = model_of(
                "MPNetModel",
                "MPNetConfig",
                **ENCODER,
                vocab_size=size,
                max_position_embeddings=514,
            )
            write_model(inner, model)
        sentence_files(inner, normalize=False, versions=None)
        (inner / "modules.json").unlink()
        pooling = f"{route}_1_Pooling"
        (inner / "1_Pooling").rename(folder / pooling)
        routes[route] = [inner.name, pooling]
        types |= {inner.name: f"{MODELS}.Transformer", pooling: f"{MODELS}.Pooling"}
    write_json(
        folder / "router_config.json",
        {
            "types": types,
            "structure": routes,
            "parameters": {"default_route": "query", "allow_empty_key": True},
        },
    )
    write_json(
        folder / "modules.json",
        [{"idx": 0, "name": "0", "path": "", "type": f"{MODELS}.Router"}],
    )
    write_json(
        folder / "config_sentence_transformers.json",
        {
            "__version__": {
                "sentence_transformers": "5.0.0",
                "transformers": "4.50.3",
                "pytorch": "2.6.0",
            },
            "prompts": {"query": "", "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )


declare(
    "router-inference-free",
    ("opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill",),
    _router,
    model_class="SparseEncoder",
    resaves=False,
)
declare("router-two-tokenizers", (), _two_routes, resaves=False)
