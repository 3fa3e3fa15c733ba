"""BERT, MPNet, XLM-RoBERTa, RoBERTa, T5 and ModernBERT as sentence encoders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.zoo import bpe_files, tokenizer_files
from tests.zoo.family import declare
from tests.zoo.tokenizer_files import write_json
from tests.zoo.weights import (
    ENCODER,
    WIDTH,
    drop,
    model_of,
    old_layer_norm,
    sentence_files,
    write_model,
)

POSITIONS = "embeddings.position_ids"
OLD_BERT = {"gradient_checkpointing": False, "position_embedding_type": "absolute"}


# BERT


def bert(
    folder: Path,
    *,
    tokens: dict[str, Any] | None = None,
    weights: dict[str, Any] | None = None,
    **sentence: Any,
) -> None:
    """Write a BERT sentence encoder with a WordPiece tokenizer."""
    bert_weights(folder, tokenizer_files.word_piece(folder, **(tokens or {})), **(weights or {}))
    sentence_files(folder, **sentence)


def bert_weights(
    folder: Path,
    size: int,
    *,
    kind: str = "BertModel",
    layers: int = 2,
    files: str = "SB",
    dtype: str = "float32",
    positions: str | None = POSITIONS,
    other_backends: bool = True,
    rename: Callable[[str], str | None] = str,
    config: dict[str, Any] | None = None,
    **settings: Any,
) -> None:
    """Write the weights and config.json of a BERT."""
    sizes = {**ENCODER, "num_hidden_layers": layers, "max_position_embeddings": 512}
    write_model(
        folder,
        model_of(kind, "BertConfig", **sizes, vocab_size=size, **settings),
        files=files,
        dtype=dtype,
        positions=positions,
        rename=rename,
        other_backends=other_backends,
        config={**OLD_BERT, **(config or {})},
    )


def _all_minilm(folder: Path) -> None:
    bert(folder, length=256)
    (folder / "train_script.py").write_text("# the training script of the repository\n")


def _raw_bert(folder: Path) -> None:
    size = tokenizer_files.word_piece(folder, fixed_length=None)
    bert_weights(folder, size, kind="BertForMaskedLM", positions=None, rename=old_layer_norm)


def _layout_of_2019(folder: Path, *, files: str) -> None:
    inner = folder / "0_Transformer"
    size = tokenizer_files.word_piece(inner)
    bert_weights(inner, size, files=files, other_backends=False)
    sentence_files(folder, transformer="0_Transformer", normalize=False, versions=None)
    write_json(folder / "config.json", {"__version__": "0.3.9"})


declare(
    "all-MiniLM-L6-v2",
    (
        "sentence-transformers/all-MiniLM-L6-v2",
        "sentence-transformers/all-MiniLM-L12-v2",
        "sentence-transformers/multi-qa-MiniLM-L6-cos-v1",
    ),
    _all_minilm,
)
declare(
    "paraphrase-MiniLM-L3-v2",
    ("sentence-transformers/paraphrase-MiniLM-L3-v2",),
    bert,
    {"weights": {"layers": 3}, "normalize": False},
    resaves=False,
)
declare(
    "bert-1-layer",
    ("prajjwal1/bert-tiny",),
    bert,
    {"weights": {"layers": 1, "files": "S"}},
    resaves=False,
)
declare(
    "bge-v1.5",
    ("BAAI/bge-small-en-v1.5", "BAAI/bge-base-en-v1.5", "BAAI/bge-large-en-v1.5"),
    bert,
    {
        "pooling": "cls",
        "length": 512,
        "lowercase": True,
        "tokens": {"config": "new", "fixed_length": None},
        "versions": ("2.2.2", "4.28.1"),
    },
)
declare(
    "bge-without-lowercase",
    ("avsolatorio/GIST-Embedding-v0", "avsolatorio/GIST-small-Embedding-v0"),
    bert,
    {
        "pooling": "cls",
        "length": 512,
        "tokens": {"config": "new", "fixed_length": None},
        "versions": ("2.3.1", "4.37.0"),
    },
)
declare(
    "cased-with-lowercase",
    ("sentence-transformers/msmarco-roberta-base-ance-firstp",),
    bert,
    {"weights": {"files": "S"}, "lowercase": True, "tokens": {"is_cased": True}},
    resaves=False,
)
declare(
    "e5-base-v2",
    ("intfloat/e5-small-v2", "intfloat/e5-base-v2", "intfloat/e5-large-v2"),
    bert,
    {"length": 512, "versions": None},
)
declare(
    "gte-base",
    ("thenlper/gte-small", "thenlper/gte-base", "thenlper/gte-large"),
    bert,
    {"weights": {"files": "S", "dtype": "float16"}, "length": 512, "versions": None},
    trained_with="SGD",
)
declare(
    "snowflake-arctic-embed-m",
    ("Snowflake/snowflake-arctic-embed-m", "Snowflake/snowflake-arctic-embed-xs"),
    bert,
    {
        "weights": {"files": "S", "positions": None, "rename": drop("pooler")},
        "pooling": "cls",
        "length": 512,
        "tokens": {"config": "new"},
        "versions": ("2.7.0", "4.39.0"),
        "prompts": {"query": "Represent this sentence for searching relevant passages: "},
    },
)
declare(
    "mxbai-embed-large",
    ("mixedbread-ai/mxbai-embed-large-v1", "WhereIsAI/UAE-Large-V1"),
    bert,
    {
        "weights": {"files": "S", "dtype": "float16", "positions": None},
        "pooling": "cls",
        "normalize": False,
        "length": 512,
        "tokens": {"config": "new"},
        "versions": ("2.6.1", "4.39.3"),
        "prompts": {"query": "Represent this sentence: ", "passage": ""},
    },
    trained_with="SGD",
)
declare(
    "text2vec-base-chinese",
    ("shibing624/text2vec-base-chinese", "moka-ai/m3e-base"),
    bert,
    {"weights": {"files": "B"}, "normalize": False, "length": 256},
    resaves=False,
)
declare(
    "bert-nli-max-tokens",
    ("sentence-transformers/bert-base-nli-max-tokens",),
    bert,
    {"weights": {"files": "S"}, "pooling": "max", "normalize": False},
    resaves=False,
)
declare(
    "LaBSE",
    ("sentence-transformers/LaBSE",),
    bert,
    {
        "tokens": {"is_cased": True},
        "pooling": "cls",
        "length": 256,
        "dense": [{"in_features": WIDTH, "out_features": WIDTH, "files": "SB"}],
    },
)
declare(
    "raw-bert",
    ("google-bert/bert-base-uncased", "google-bert/bert-base-cased"),
    _raw_bert,
    has_class_hint=True,
)
declare(
    "layout-of-2019",
    ("sentence-transformers/bert-base-nli-mean-tokens",),
    _layout_of_2019,
    {"files": "S"},
    reloads_adapter=False,
)
declare(
    "layout-of-2019-pickle",
    ("sentence-transformers/bert-base-wikipedia-sections-mean-tokens",),
    _layout_of_2019,
    {"files": "B"},
    reloads_adapter=False,
    resaves=False,
)
declare(
    "vocab-txt-only",
    ("nreimers/MiniLM-L6-H384-uncased",),
    bert,
    {"weights": {"files": "S"}, "normalize": False, "tokens": {"json_file": False}},
    resaves=False,
)
declare(
    "length-null",
    ("sentence-transformers/bert-base-nli-stsb-mean-tokens",),
    bert,
    {"weights": {"files": "S"}, "normalize": False, "length": None},
    resaves=False,
)


# MPNet and DistilBERT


def mpnet(folder: Path, *, tokens_as_objects: bool = False, **sentence: Any) -> None:
    """Write an MPNet sentence encoder."""
    model = model_of(
        "MPNetModel",
        "MPNetConfig",
        **ENCODER,
        vocab_size=tokenizer_files.mpnet(folder, tokens_as_objects=tokens_as_objects),
        max_position_embeddings=514,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    config = {"architectures": ["MPNetForMaskedLM"]}
    write_model(folder, model, files="SB", positions=POSITIONS, config=config, other_backends=True)
    sentence_files(folder, **sentence)


def distilbert(
    folder: Path, *, is_cased: bool = False, files: str = "SB", lone: bool = False, **sentence: Any
) -> None:
    """Write a DistilBERT encoder; a lone one has an MLM head and no modules."""
    size = tokenizer_files.word_piece(
        folder, is_cased=is_cased, tokenizer_class="DistilBertTokenizer"
    )
    model = model_of(
        "DistilBertForMaskedLM" if lone else "DistilBertModel",
        "DistilBertConfig",
        dim=WIDTH,
        hidden_dim=64,
        n_layers=2,
        n_heads=4,
        max_position_embeddings=512,
        vocab_size=size,
    )
    config = {"architectures": ["DistilBertForMaskedLM"]} if lone else {}
    write_model(
        folder,
        model,
        files=files,
        config={**config, "tie_weights_": True, "sinusoidal_pos_embds": False},
    )
    if not lone:
        sentence_files(folder, **sentence)


declare(
    "all-mpnet-base-v2",
    (
        "sentence-transformers/all-mpnet-base-v2",
        "sentence-transformers/paraphrase-mpnet-base-v2",
    ),
    mpnet,
    {"length": 384},
    targets=("attn.q", "attn.v"),
)
declare(
    "multi-qa-mpnet",
    ("sentence-transformers/multi-qa-mpnet-base-dot-v1",),
    mpnet,
    {"tokens_as_objects": True, "pooling": "cls", "normalize": False, "length": 512},
    targets=("attn.q", "attn.v"),
)
declare(
    "distiluse-multilingual",
    (
        "sentence-transformers/distiluse-base-multilingual-cased-v1",
        "sentence-transformers/distiluse-base-multilingual-cased-v2",
    ),
    distilbert,
    {
        "is_cased": True,
        "dense": [{"in_features": WIDTH, "out_features": 16, "files": "SB"}],
        "normalize": False,
    },
    targets=("q_lin", "v_lin"),
)
declare(
    "msmarco-distilbert",
    ("sentence-transformers/msmarco-distilbert-base-tas-b",),
    distilbert,
    {"files": "S", "pooling": "cls", "normalize": False, "length": 512},
    targets=("q_lin", "v_lin"),
    resaves=False,
)
declare(
    "raw-distilbert",
    ("distilbert/distilbert-base-uncased",),
    distilbert,
    {"files": "S", "lone": True},
    targets=("q_lin", "v_lin"),
    has_class_hint=True,
    resaves=False,
)


# XLM-RoBERTa


def xlmr(
    folder: Path,
    form: str = "old",
    *,
    kind: str = "XLMRoberta",
    rows: int = 0,
    files: str = "SB",
    dtype: str = "float32",
    positions: str | None = POSITIONS,
    tokens: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    max_positions: int = 514,
    layers: int = 2,
    **sentence: Any,
) -> None:
    """Write an XLM-RoBERTa or, with kind Bert, a multilingual MiniLM."""
    is_bert = kind == "Bert"
    model = model_of(
        f"{kind}Model",
        f"{kind}Config",
        **{**ENCODER, "num_hidden_layers": layers},
        vocab_size=tokenizer_files.xlm_roberta(folder, form, **(tokens or {})) + rows,
        max_position_embeddings=max_positions,
        pad_token_id=0 if is_bert else 1,
        type_vocab_size=2 if is_bert else 1,
    )
    write_model(
        folder,
        model,
        files=files,
        dtype=dtype,
        positions=positions,
        config={"position_embedding_type": "absolute", **(config or {})},
    )
    sentence_files(folder, **sentence)


def _bge_m3(folder: Path, *, files: str) -> None:
    import torch

    xlmr(
        folder,
        files=files,
        positions=None,
        max_positions=8194,
        tokens={"config": "new", "length": 8192},
        pooling="cls",
        length=8192,
        versions=("2.2.2", "4.33.0"),
    )
    for name in ("colbert_linear.pt", "sparse_linear.pt"):
        torch.save({"weight": torch.ones(2, WIDTH), "bias": torch.ones(2)}, folder / name)


for _form in ("old", "oldest", "seq", "today"):
    declare(
        "multilingual-e5-base" if _form == "old" else f"multilingual-e5-base-{_form}",
        ("intfloat/multilingual-e5-base", "intfloat/multilingual-e5-large"),
        xlmr,
        {"form": _form, "length": 512, "versions": None},
        resaves=_form == "old",
    )
for _form in ("today", "seq"):
    declare(
        "paraphrase-multilingual-MiniLM" + ("-seq" if _form == "seq" else ""),
        ("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",),
        xlmr,
        {
            "form": _form,
            "kind": "Bert",
            "rows": 35,
            "tokens": {"tokenizer_class": "PreTrainedTokenizerFast"},
            "normalize": False,
        },
        resaves=_form == "today",
    )
declare(
    "multilingual-e5-small",
    ("intfloat/multilingual-e5-small",),
    xlmr,
    {
        "kind": "Bert",
        "rows": 35,
        "config": {"tokenizer_class": "XLMRobertaTokenizer"},
        "length": 512,
        "versions": None,
    },
)
declare(
    "paraphrase-multilingual-mpnet",
    ("sentence-transformers/paraphrase-multilingual-mpnet-base-v2",),
    xlmr,
    {"form": "today", "rows": 3, "normalize": False},
    resaves=False,
)
declare(
    "multilingual-e5-large-instruct",
    ("intfloat/multilingual-e5-large-instruct",),
    xlmr,
    {
        "form": "middle",
        "files": "S",
        "dtype": "float16",
        "positions": None,
        "tokens": {"config": "new", "additional_special_tokens": []},
        "length": 512,
        "versions": ("2.4.0", "4.37.0"),
    },
    trained_with="SGD",
    resaves=False,
)
declare(
    "snowflake-arctic-embed-l-v2",
    ("Snowflake/snowflake-arctic-embed-l-v2.0",),
    xlmr,
    {
        "form": "middle",
        "files": "S",
        "positions": None,
        "max_positions": 8194,
        "tokens": {"config": "new", "length": 8192},
        "pooling": "cls",
        "length": 8192,
        "versions": ("3.3.1", "4.46.3"),
        "prompts": {"query": "query: "},
        "similarity": "cosine",
    },
)
declare("bge-m3", ("BAAI/bge-m3",), _bge_m3, {"files": "B"}, resaves=False)
declare("bge-m3-safetensors", ("BAAI/bge-m3 (refs/pr)",), _bge_m3, {"files": "S"})


declare(
    "xlm-roberta-250002-pieces",
    ("FacebookAI/xlm-roberta-base", "intfloat/multilingual-e5-base"),
    xlmr,
    {
        "form": "middle",
        "files": "S",
        "tokens": {"config": "new", "piece_count": 250002},
        "layers": 1,
        "length": 512,
    },
    is_large=True,
    resaves=False,
)


# RoBERTa


def roberta(
    folder: Path,
    form: str = "old",
    *,
    files: str = "SB",
    length: int | None = 512,
    tokens: dict[str, Any] | None = None,
    **sentence: Any,
) -> None:
    """Write a RoBERTa sentence encoder."""
    size = bpe_files.roberta(folder, form, **(tokens or {}))
    roberta_weights(folder, size, files=files, positions=POSITIONS)
    sentence_files(folder, length=length, **sentence)


def roberta_weights(
    folder: Path,
    size: int,
    *,
    kind: str = "RobertaModel",
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Write the weights and config.json of a RoBERTa or a CamemBERT."""
    model = model_of(
        kind,
        "CamembertConfig" if kind.startswith("Camembert") else "RobertaConfig",
        **(settings or {}),
        **ENCODER,
        vocab_size=size,
        max_position_embeddings=514,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    write_model(folder, model, **options)


def _raw_roberta(folder: Path, *, files: str = "S") -> None:
    size = bpe_files.roberta(folder, "old")
    roberta_weights(
        folder,
        size,
        kind="RobertaForMaskedLM",
        files=files,
        positions="roberta.embeddings.position_ids",
    )


for _form in ("old", "today"):
    declare(
        "all-distilroberta-v1" + ("-today" if _form == "today" else ""),
        (
            "sentence-transformers/all-distilroberta-v1",
            "sentence-transformers/all-roberta-large-v1",
        ),
        roberta,
        {"form": _form},
        resaves=_form == "old",
    )
declare(
    "granite-embedding-english",
    ("ibm-granite/granite-embedding-30m-english", "ibm-granite/granite-embedding-125m-english"),
    roberta,
    {
        "form": "today",
        "files": "S",
        "pooling": "cls",
        "versions": ("3.2.0", "4.46.3"),
        "tokens": {"clean_up_tokenization_spaces": False, "max_length": 512},
        "similarity": "cosine",
    },
    resaves=False,
)
declare(
    "granite-embedding-multilingual",
    ("ibm-granite/granite-embedding-107m-multilingual",),
    xlmr,
    {
        "form": "middle",
        "files": "S",
        "tokens": {"config": "new"},
        "pooling": "cls",
        "length": 512,
        "versions": ("3.2.0", "4.46.3"),
    },
    resaves=False,
)
declare(
    "roberta-without-tokenizer-json",
    ("sentence-transformers/roberta-base-nli-stsb-mean-tokens",),
    roberta,
    {"files": "S", "tokens": {"json_file": False}, "normalize": False},
    resaves=False,
)
declare(
    "raw-roberta", ("FacebookAI/roberta-base",), _raw_roberta, has_class_hint=True, resaves=True
)
declare(
    "simcse-roberta",
    ("princeton-nlp/sup-simcse-roberta-base", "princeton-nlp/unsup-simcse-bert-base-uncased"),
    _raw_roberta,
    {"files": "B"},
    has_class_hint=True,
    resaves=False,
)


# T5


def sentence_t5(
    folder: Path, form: str = "old", *, dtype: str = "float16", dense_dtype: str = "float32"
) -> None:
    """Write sentence-t5 or, with dense_dtype float16, gtr-t5."""
    model = model_of(
        "T5EncoderModel",
        "T5Config",
        std=0.1,
        d_model=WIDTH,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        vocab_size=tokenizer_files.t5(folder, form) + 28,
    )
    name = "encoder.embed_tokens.weight" if dense_dtype == "float16" else "shared.weight"
    write_model(
        folder,
        model,
        files="SB",
        dtype=dtype,
        rename=lambda stored: name if stored == "shared.weight" else stored,
        config={"architectures": ["T5EncoderModel"], "_name_or_path": "models/sentence-t5-base"},
    )
    identity = "torch.nn.modules.linear.Identity"
    dense = {"in_features": WIDTH, "out_features": WIDTH, "has_bias": False, "files": "SB"}
    sentence_files(
        folder,
        length=256,
        dense=[{**dense, "activation": identity, "dtype": dense_dtype}],
        versions=("2.2.0", "4.7.0"),
    )


declare(
    "sentence-t5",
    ("sentence-transformers/sentence-t5-base", "sentence-transformers/sentence-t5-large"),
    sentence_t5,
    targets=("q", "v"),
    embeddings="shared",
    trained_with="SGD",
)
for _form in ("old", "seq", "today"):
    declare(
        f"sentence-t5-float32-{_form}",
        ("sentence-transformers/sentence-t5-base",),
        sentence_t5,
        {"form": _form, "dtype": "float32"},
        targets=("q", "v"),
        embeddings="shared",
        resaves=_form == "old",
    )
declare(
    "gtr-t5",
    ("sentence-transformers/gtr-t5-base", "sentence-transformers/gtr-t5-large"),
    sentence_t5,
    {"dense_dtype": "float16"},
    targets=("q", "v"),
    embeddings="shared",
    trained_with="SGD",
)


# ModernBERT

OLD_MODERN_BERT = {
    "global_rope_theta": 160000.0,
    "local_rope_theta": 10000.0,
    "global_attn_every_n_layers": 3,
}


def modern_bert(
    folder: Path, form: str = "today", *, lone: bool = False, layers: int = 2, **sentence: Any
) -> None:
    """Write a ModernBERT with 19 spare rows; a lone one has an MLM head, no modules."""
    size = bpe_files.modern_bert(folder, form)
    modern_bert_weights(folder, size + 19, "ForMaskedLM" if lone else "Model", layers)
    if not lone:
        sentence_files(folder, length_file=True, **{"length": 8192, **sentence})


def modern_bert_weights(
    folder: Path, size: int, head: str = "Model", layers: int = 2, **settings: Any
) -> None:
    """Write the weights of a ModernBERT, and config.json as transformers 4.48 did."""
    model = model_of(
        f"ModernBert{head}",
        "ModernBertConfig",
        **{**ENCODER, "num_hidden_layers": layers},
        vocab_size=size,
        max_position_embeddings=8192,
        pad_token_id=3,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
        **settings,
    )
    write_model(
        folder,
        model,
        without=("rope_parameters", "layer_types"),
        config={**OLD_MODERN_BERT, "transformers_version": "4.48.0"},
    )


MODERN: dict[str, Any] = {"targets": ("Wqkv", "Wo"), "embeddings": "tok_embeddings"}
for _form in ("today", "old"):
    declare(
        "gte-modernbert-base" + ("-old" if _form == "old" else ""),
        ("Alibaba-NLP/gte-modernbert-base",),
        modern_bert,
        {
            "form": _form,
            "pooling": "cls",
            "normalize": False,
            "versions": ("3.3.1", "4.48.0"),
            "similarity": "cosine",
        },
        resaves=_form == "old",
        **MODERN,
    )
declare(
    "modernbert-embed-base",
    ("nomic-ai/modernbert-embed-base",),
    modern_bert,
    {
        "prompts": {"query": "search_query: ", "document": "search_document: "},
        "versions": ("3.3.1", "4.48.0"),
        "similarity": "cosine",
    },
    **MODERN,
)
declare(
    "granite-embedding-english-r2",
    ("ibm-granite/granite-embedding-english-r2", "ibm-granite/granite-embedding-small-english-r2"),
    modern_bert,
    {"pooling": "cls", "versions": ("5.0.0", "4.54.1"), "layers": 3},
    resaves=False,
    **MODERN,
)
declare(
    "raw-modernbert",
    ("answerdotai/ModernBERT-base", "jhu-clsp/ettin-encoder-150m"),
    modern_bert,
    {"lone": True},
    has_class_hint=True,
    **MODERN,
)


# Names that other libraries wrote, now native


def nomic(folder: Path, *, auto_map: bool = True) -> None:
    """Write a nomic-embed-text with the tensor names of its own repository."""
    size = tokenizer_files.word_piece(folder, length=8192)
    model = model_of(
        "NomicBertModel",
        "NomicBertConfig",
        **ENCODER,
        vocab_size=size + 6,
        max_position_embeddings=8192,
    )
    config: dict[str, Any] = {"architectures": ["NomicBertModel"]}
    if auto_map:
        code = "nomic-ai/nomic-bert-2048--"
        config["auto_map"] = {
            "AutoConfig": f"{code}configuration_hf_nomic_bert.NomicBertConfig",
            "AutoModel": f"{code}modeling_hf_nomic_bert.NomicBertModel",
            "AutoModelForMaskedLM": f"{code}modeling_hf_nomic_bert.NomicBertForPreTraining",
        }
    write_model(folder, model, config=config)
    sentence_files(folder, length=8192, normalize=False, versions=("2.4.0", "4.37.2"), prompts={})


declare(
    "nomic-embed-text-v1.5",
    ("nomic-ai/nomic-embed-text-v1", "nomic-ai/nomic-embed-text-v1.5"),
    nomic,
    targets=("q_proj", "v_proj"),
    resaves=False,
)
declare(
    "nomic-embed-text-without-auto-map",
    ("nomic-ai/nomic-embed-text-v1.5",),
    nomic,
    {"auto_map": False},
    targets=("q_proj", "v_proj"),
)


def nomic_experts(folder: Path) -> None:
    """Write a nomic-embed-text-v2-moe: every second layer needs code of its own."""
    import torch
    from safetensors.torch import load_file, save_file

    nomic(folder)
    size = tokenizer_files.xlm_roberta(folder, "middle", config="new", length=512)
    (folder / "vocab.txt").unlink()
    weights = folder / "model.safetensors"
    replaced = "encoder.layers.1.mlp."
    tensors = {name: rows for name, rows in load_file(weights).items() if replaced not in name}
    generator = torch.Generator().manual_seed(3)
    shapes = {
        "embeddings.word_embeddings.weight": (size, WIDTH),
        f"{replaced}experts.mlp.w1": (8 * 64, WIDTH),
        f"{replaced}experts.mlp.w2": (8 * 64, WIDTH),
        f"{replaced}experts.bias": (WIDTH,),
        f"{replaced}router.layer.weight": (8, WIDTH),
    }
    tensors |= {
        name: torch.randn(shape, generator=generator) * 0.2 for name, shape in shapes.items()
    }
    save_file(tensors, weights, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {"vocab_size": size, "num_experts": 8, "moe_top_k": 2, "moe_every_n_layers": 2}
    write_json(folder / "config.json", config)


declare(
    "nomic-embed-text-v2-moe",
    ("nomic-ai/nomic-embed-text-v2-moe",),
    nomic_experts,
    targets=("q_proj", "v_proj"),
    resaves=False,
)
