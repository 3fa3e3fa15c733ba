"""Encoders of other architectures that sentence-transformers loads natively."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.zoo import bpe_files, tokenizer_files
from tests.zoo.encoders import roberta_weights
from tests.zoo.family import declare
from tests.zoo.weights import ENCODER, WIDTH, model_of, sentence_files, write_model

SHORT = {**ENCODER, "max_position_embeddings": 512}


def _bert_shaped(
    folder: Path, kind: str, *, tokens: dict[str, Any] | None = None, **settings: Any
) -> None:
    """Write a model of BERT's shape and tokenizer under another model_type."""
    size = tokenizer_files.word_piece(folder, **(tokens or {}))
    sizes = {**SHORT, **settings}
    model = model_of(f"{kind}Model", f"{kind}Config", **sizes, vocab_size=size)
    write_model(folder, model, files="SB")
    sentence_files(folder, normalize=False)


declare(
    "electra",
    ("cross-encoder/ms-marco-electra-base (encoder)", "google/electra-small-discriminator"),
    _bert_shaped,
    {"kind": "Electra", "embedding_size": WIDTH, "tokens": {"tokenizer_class": "ElectraTokenizer"}},
)
declare(
    "ernie",
    ("shibing624/text2vec-base-chinese-sentence", "nghuyong/ernie-3.0-base-zh"),
    _bert_shaped,
    {"kind": "Ernie", "task_type_vocab_size": 3, "use_task_id": True},
    resaves=False,
)
declare(
    "mobilebert",
    ("google/mobilebert-uncased",),
    _bert_shaped,
    {
        "kind": "MobileBert",
        "embedding_size": WIDTH,
        "intra_bottleneck_size": WIDTH,
        "num_feedforward_networks": 1,
        "tokens": {"tokenizer_class": "MobileBertTokenizer"},
    },
    resaves=False,
)
declare(
    "squeezebert",
    ("squeezebert/squeezebert-uncased",),
    _bert_shaped,
    {"kind": "SqueezeBert", "embedding_size": WIDTH},
    resaves=False,
)
declare(
    "convbert",
    ("YituTech/conv-bert-base",),
    _bert_shaped,
    {
        "kind": "ConvBert",
        "embedding_size": WIDTH,
        "head_ratio": 2,
        "tokens": {"tokenizer_class": "ConvBertTokenizer"},
    },
    resaves=False,
)
declare(
    "roformer",
    ("junnyu/roformer_chinese_sim_char_base",),
    _bert_shaped,
    {"kind": "RoFormer", "embedding_size": WIDTH},
    resaves=False,
)


def albert(folder: Path) -> None:
    """Write an ALBERT, whose layers share their weights."""
    size = tokenizer_files.albert(folder)
    model = model_of(
        "AlbertModel", "AlbertConfig", **SHORT, embedding_size=16, vocab_size=size, pad_token_id=0
    )
    write_model(folder, model, files="SB", positions="embeddings.position_ids")
    sentence_files(folder, normalize=False, length=100)


def camembert(folder: Path) -> None:
    """Write a CamemBERT."""
    size = tokenizer_files.camembert(folder)
    roberta_weights(folder, size, kind="CamembertModel")
    sentence_files(folder, normalize=False, length=512)


def deberta(folder: Path, **settings: Any) -> None:
    """Write a DeBERTa v3 or, with a convolution, a DeBERTa v2."""
    size = tokenizer_files.deberta_v2(folder)
    write_model(folder, deberta_model("DebertaV2Model", size, **settings))
    sentence_files(folder, normalize=False, length=512)


def deberta_of_2020(folder: Path) -> None:
    """Write a DeBERTa v1 with its byte-level BPE."""
    size = bpe_files.plain_bert_bpe(folder, tokenizer_class="DebertaTokenizer", second_type=1)
    model = model_of(
        "DebertaModel",
        "DebertaConfig",
        **SHORT,
        vocab_size=size,
        type_vocab_size=0,
        relative_attention=True,
        max_relative_positions=-1,
        pos_att_type=["c2p", "p2c"],
        position_biased_input=False,
        pooler_hidden_size=WIDTH,
    )
    write_model(folder, model)
    sentence_files(folder, normalize=False, length=512)


def xlnet(folder: Path) -> None:
    """Write an XLNet. LoRA cannot adapt its attention, only its feed-forward layers."""
    model = model_of(
        "XLNetModel",
        "XLNetConfig",
        d_model=WIDTH,
        n_layer=2,
        n_head=4,
        d_inner=64,
        vocab_size=tokenizer_files.xlnet(folder),
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=5,
    )
    write_model(folder, model, files="SB")
    sentence_files(folder, normalize=False)


def esm(folder: Path) -> None:
    """Write an ESM 2, a model of proteins."""
    model = model_of(
        "EsmModel",
        "EsmConfig",
        **{**ENCODER, "max_position_embeddings": 1026},
        vocab_size=tokenizer_files.esm(folder),
        pad_token_id=1,
        mask_token_id=31,
        position_embedding_type="rotary",
        token_dropout=True,
        emb_layer_norm_before=False,
    )
    write_model(folder, model)
    sentence_files(folder, normalize=False)


def deberta_model(kind: str, size: int, **settings: Any) -> Any:
    """Return a DeBERTa v3 with random weights."""
    sizes: dict[str, Any] = {
        **SHORT,
        "type_vocab_size": 0,
        "relative_attention": True,
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "pooler_hidden_size": WIDTH,
    }
    return model_of(kind, "DebertaV2Config", **{**sizes, **settings}, vocab_size=size)


declare("paraphrase-albert-small-v2", ("sentence-transformers/paraphrase-albert-small-v2",), albert)
declare(
    "camembert",
    ("dangvantuan/sentence-camembert-base", "almanach/camembert-base"),
    camembert,
)
declare(
    "deberta-v3",
    ("microsoft/deberta-v3-base", "sileod/deberta-v3-base-tasksource-nli"),
    deberta,
    targets=("query_proj", "value_proj"),
)
declare(
    "deberta-v2",
    ("microsoft/deberta-v2-xlarge",),
    deberta,
    {"conv_kernel_size": 3, "conv_act": "gelu", "share_att_key": False},
    targets=("query_proj", "value_proj"),
    resaves=False,
)
declare(
    "deberta-v1",
    ("microsoft/deberta-base",),
    deberta_of_2020,
    targets=("dense",),
    resaves=False,
)
declare(
    "xlnet",
    ("xlnet/xlnet-base-cased",),
    xlnet,
    targets=("layer_1", "layer_2"),
    embeddings="word_embedding",
    resaves=False,
)
declare("esm2", ("facebook/esm2_t6_8M_UR50D",), esm, resaves=False)


def _unigram_bert_shaped(folder: Path, kind: str, **settings: Any) -> None:
    """Write Nyströmformer, BigBird, Funnel or RemBERT with ALBERT's tokenizer."""
    size = tokenizer_files.albert(folder)
    model = model_of(f"{kind}Model", f"{kind}Config", **{**SHORT, **settings}, vocab_size=size)
    write_model(folder, model)
    sentence_files(folder, normalize=False)


declare(
    "nystromformer",
    ("uw-madison/nystromformer-512",),
    _unigram_bert_shaped,
    {"kind": "Nystromformer", "num_landmarks": 512, "segment_means_seq_len": 512},
    resaves=False,
)
declare(
    "bigbird",
    ("google/bigbird-roberta-base",),
    _unigram_bert_shaped,
    {"kind": "BigBird", "attention_type": "original_full", "bos_token_id": 1, "eos_token_id": 2},
    resaves=False,
)


def _funnel(folder: Path) -> None:
    size = tokenizer_files.word_piece(folder)
    model = model_of(
        "FunnelModel",
        "FunnelConfig",
        d_model=WIDTH,
        n_head=4,
        d_head=8,
        d_inner=64,
        block_sizes=[1, 1],
        num_decoder_layers=1,
        vocab_size=size,
    )
    write_model(folder, model)
    sentence_files(folder, normalize=False)


declare(
    "funnel",
    ("funnel-transformer/small",),
    _funnel,
    targets=("q_head", "v_head"),
    resaves=False,
)


def _euro_bert(folder: Path) -> None:
    size = bpe_files.plain_bert_bpe(folder)
    model = model_of(
        "EuroBertModel",
        "EuroBertConfig",
        **{**DECODER_SIZES, "max_position_embeddings": 512},
        vocab_size=size,
        pad_token_id=0,
    )
    write_model(folder, model, without=("rope_parameters",), config={"rope_theta": 250000.0})
    sentence_files(folder, length=512, versions=("4.1.0", "4.51.0"))


DECODER_SIZES = {**ENCODER, "num_key_value_heads": 2}
declare(
    "EuroBERT",
    ("EuroBERT/EuroBERT-210m (encoder)",),
    _euro_bert,
    targets=("q_proj", "v_proj"),
    embeddings="embed_tokens",
    resaves=False,
)


def _gte_multilingual(folder: Path, *, auto_map: bool) -> None:
    """Write a gte-multilingual under its native model_type."""
    size = tokenizer_files.xlm_roberta(folder, "middle", config="new", length=8192)
    model = model_of(
        "GteModel", "GteConfig", **ENCODER, vocab_size=size, max_position_embeddings=8192
    )
    config = {"auto_map": {"AutoConfig": "configuration.NewConfig"}} if auto_map else {}
    write_model(folder, model, config=config)
    sentence_files(folder, "cls", length=8192, versions=("2.7.0", "4.39.1"))


def _jina_v3(folder: Path) -> None:
    size = tokenizer_files.xlm_roberta(folder, "middle", config="new", length=8192)
    model = model_of(
        "JinaEmbeddingsV3Model",
        "JinaEmbeddingsV3Config",
        **ENCODER,
        vocab_size=size,
        max_position_embeddings=512,
    )
    write_model(folder, model)
    sentence_files(folder, length=512, versions=("3.1.0", "4.45.0"))


declare(
    "gte-multilingual-native",
    ("alibaba-nlp-community/gte-multilingual-base",),
    _gte_multilingual,
    {"auto_map": False},
    targets=("q_proj", "v_proj"),
    resaves=False,
)
declare(
    "jina-embeddings-v3-native",
    ("jinaai/jina-embeddings-v3-hf",),
    _jina_v3,
    targets=("q_proj", "v_proj"),
    resaves=False,
)


def _custom_code(folder: Path, style: str) -> None:
    """Write a model that needs Python files which the libraries do not have."""
    size = tokenizer_files.word_piece(folder)
    model = model_of("BertModel", "BertConfig", **SHORT, vocab_size=size)
    references = {
        "jina-v2": {
            "AutoConfig": "jinaai/jina-bert-implementation--configuration_bert.JinaBertConfig",
            "AutoModel": "jinaai/jina-bert-implementation--modeling_bert.JinaBertModel",
        },
        "stella": {
            "AutoConfig": "configuration.NewConfig",
            "AutoModel": "modeling.NewModel",
        },
    }
    kind = {"jina-v2": "bert", "stella": "new"}[style]
    write_model(folder, model, config={"auto_map": references[style], "model_type": kind})
    if style == "stella":
        (folder / "configuration.py").write_text("class NewConfig: ...\n")
        (folder / "modeling.py").write_text("class NewModel: ...\n")
    sentence_files(folder, normalize=False)


declare(
    "jina-embeddings-v2",
    ("jinaai/jina-embeddings-v2-base-en", "jinaai/jina-embeddings-v2-small-en"),
    _custom_code,
    {"style": "jina-v2"},
    resaves=False,
)
declare(
    "stella-400M",
    ("NovaSearch/stella_en_400M_v5", "Alibaba-NLP/gte-large-en-v1.5"),
    _custom_code,
    {"style": "stella"},
    resaves=False,
)
