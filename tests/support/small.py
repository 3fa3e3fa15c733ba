"""Small models for the tests of resizing: every class, tied and untied, padded tables, and the tokenizers people use.

Built on the spot with a fixed seed, once in each run of the tests; a few hundred tokens, a few dozen dimensions.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "mat",
    "a",
    "dog",
    "innovation",
    "paris",
    "is",
    "capital",
    "of",
    "france",
    "heart",
    "##s",
    "##t",
    "card",
    "##io",
    "##mab",
    "zor",
    "##va",
    "##xin",
    "##e",
    "##r",
    "pre",
    "concatenate",
]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?-()[]"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXTS = ["the cat sat on the mat", "Paris is the capital of France", "a dog", "hearts!"]
NEW = ["zorvaxin", "cardiomab", "heartmat"]


_built: dict[str, Path] = {}


def built_once(build: Callable[..., Path]) -> Callable[..., Path]:
    """The same folder again is a copy of the first one: building takes ten times as long."""

    @functools.wraps(build)
    def copied(folder: Path, tokenizer: Any | None = None, *more: Any, **options: Any) -> Path:
        import torch

        told = tokenizer.backend_tokenizer.to_str() if tokenizer is not None else ""
        key = repr((build.__name__, told, type(tokenizer).__name__, more, sorted(options.items())))
        if key not in _built:
            place = Path(tempfile.mkdtemp(prefix="st-registry-small-"))
            atexit.register(shutil.rmtree, place, ignore_errors=True)
            _built[key] = build(place / "model", tokenizer, *more, **options)
        torch.manual_seed(0)
        shutil.copytree(
            _built[key].with_name("model-plain"), folder.with_name(f"{folder.name}-plain")
        )
        return Path(shutil.copytree(_built[key], folder))

    return copied


def word_piece() -> Any:
    """An uncased BERT tokenizer."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import BertTokenizer

    entries = [
        *SPECIALS,
        *dict.fromkeys(
            [*WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS if letter.isalnum())]
        ),
    ]
    raw = Tokenizer(
        models.WordPiece({entry: index for index, entry in enumerate(entries)}, unk_token="[UNK]")
    )
    raw.normalizer = normalizers.BertNormalizer(lowercase=True)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.decoder = decoders.WordPiece()
    return BertTokenizer(
        tokenizer_object=raw,
        vocab={entry: index for index, entry in enumerate(entries)},
        model_max_length=32,
    )


def byte_level() -> Any:
    """A byte-level BPE tokenizer, as RoBERTa and ModernBERT have it, trained on a few lines."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIALS,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    raw.train_from_iterator(
        [" the cat sat on the mat", " Paris is the capital of France", " innovation innovation"]
        * 5,
        trainer,
    )
    return _fast(PreTrainedTokenizerFast, raw)


def unigram() -> Any:
    """A Unigram tokenizer with `▁` before words, as XLM-RoBERTa and T5 have it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [(special, 0.0) for special in SPECIALS] + [("▁", -2.0)]
    pieces += [(f"▁{word}", -3.0) for word in ("the", "cat", "sat", "on", "mat", "innovation")]
    pieces += [(letter, -6.0 - index / 100) for index, letter in enumerate(LETTERS + "PF")]
    raw = Tokenizer(models.Unigram(pieces, unk_id=1, byte_fallback=False))
    raw.normalizer = normalizers.NFKC()
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Metaspace()
    return _fast(PreTrainedTokenizerFast, raw)


def transformer_folder(
    folder: Path,
    tokenizer: Any,
    architecture: str = "BertModel",
    *,
    rows: int | None = None,
    dtype: str = "float32",
    **settings: Any,
) -> Path:
    """A transformers model as its library saves it; rows may be more than the tokenizer has tokens."""
    import torch
    import transformers

    kind = {
        "Bert": transformers.BertConfig,
        "Robe": transformers.RobertaConfig,
        "Mode": transformers.ModernBertConfig,
        "EsmM": transformers.EsmConfig,
        "Long": transformers.LongformerConfig,
    }
    torch.manual_seed(0)
    config = kind[architecture[:4]](
        vocab_size=rows or len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=40,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
        **settings,
    )
    model = getattr(transformers, architecture)(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@built_once
def dense(
    folder: Path, tokenizer: Any | None = None, architecture: str = "BertModel", **options: Any
) -> Path:
    """A SentenceTransformer with mean pooling and normalisation."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    plain = transformer_folder(
        folder.with_name(folder.name + "-plain"), tokenizer or word_piece(), architecture, **options
    )
    module = Transformer(str(plain))
    SentenceTransformer(modules=[module, Pooling(16), Normalize()], device="cpu").save_pretrained(
        str(folder)
    )
    return folder


@built_once
def sparse(
    folder: Path,
    tokenizer: Any | None = None,
    architecture: str = "BertForMaskedLM",
    **options: Any,
) -> Path:
    """A SPLADE model that has encoded before it was saved, so that its pooling knows its dimension."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    plain = transformer_folder(
        folder.with_name(folder.name + "-plain"), tokenizer or word_piece(), architecture, **options
    )
    model = SparseEncoder(
        modules=[Transformer(str(plain), transformer_task="fill-mask"), SpladePooling()],
        device="cpu",
    )
    model.encode(["the cat"])
    model.save_pretrained(str(folder))
    return folder


@built_once
def cross(folder: Path, tokenizer: Any | None = None, **options: Any) -> Path:
    """A CrossEncoder with one score."""
    from sentence_transformers import CrossEncoder

    plain = transformer_folder(
        folder.with_name(folder.name + "-plain"),
        tokenizer or word_piece(),
        "BertForSequenceClassification",
        num_labels=1,
        **options,
    )
    CrossEncoder(str(plain), device="cpu").save_pretrained(str(folder))
    return folder


@built_once
def multi_vector(folder: Path, tokenizer: Any | None = None, **options: Any) -> Path:
    """A late-interaction model."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    plain = transformer_folder(
        folder.with_name(folder.name + "-plain"), tokenizer or word_piece(), **options
    )
    modules = [
        Transformer(str(plain)),
        MultiVectorMask(skiplist_words=["."]),
        Normalize("token_embeddings"),
    ]
    MultiVectorEncoder(modules=modules, device="cpu").save_pretrained(str(folder))
    return folder


def static(folder: Path, tokenizer: Any | None = None) -> Path:
    """A table of vectors and no transformer."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    torch.manual_seed(0)
    raw = (tokenizer or word_piece()).backend_tokenizer
    SentenceTransformer(
        modules=[StaticEmbedding(raw, embedding_dim=16)], device="cpu"
    ).save_pretrained(str(folder))
    return folder


def routed(folder: Path) -> Path:
    """A sparse model whose queries need no transformer."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Router, Transformer
    from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling

    plain = transformer_folder(
        folder.with_name(folder.name + "-plain"), word_piece(), "BertForMaskedLM"
    )
    document = [Transformer(str(plain), transformer_task="fill-mask"), SpladePooling()]
    router = Router.for_query_document(
        query_modules=[SparseStaticEmbedding(word_piece())], document_modules=document
    )
    SparseEncoder(modules=[router], device="cpu").save_pretrained(str(folder))
    return folder


def _fast(kind: Any, raw: Any) -> Any:
    return kind(
        tokenizer_object=raw,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=32,
    )
