"""Small models for the stored registries, made and trained by the plain libraries.

Two layers, width 16, some two hundred tokens; the package is not imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PIECES = (
    "##ma",
    "##xin",
    "##lora",
    "##zide",
    "##umab",
    "##nol",
    "##ne",
    "##s",
    "##ing",
    "##ed",
    "##er",
    "##ion",
    "##al",
)
WORDS = """the a an of and or in on with for to from is are was were not no patient doctor nurse
    takes gives dose doses daily twice once day week mg tablet heart failure blood pressure liver
    kidney pain fever cough chronic acute severe mild therapy treatment trial study result results
    high low new old first second drug drugs effect effects risk cat dog sat mat paris france
    capital city naive cafe zor quel bron cal met os per brain lung skin bone cell cells
    infection virus bacteria vaccine test tests positive negative after before during"""
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?-()[]%"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TRAINED_ON = (
    "zorvaxin is a new drug",
    "the patient takes quelora daily",
    "a cat sat on the mat",
    "brontazide for high blood pressure",
    "metifenol and osperidal in the trial",
)
WIDTH = 16


def dense(folder: Path, *, seed: int, prompts: Mapping[str, str] | None = None) -> Path:
    """Save a SentenceTransformer: BERT of two layers, mean pooling, normalized."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    module = Transformer(str(transformer(folder, "BertModel", seed)))
    SentenceTransformer(
        modules=[module, Pooling(WIDTH), Normalize()], device="cpu", prompts=dict(prompts or {})
    ).save_pretrained(str(folder))
    return folder


def sparse(folder: Path, *, seed: int) -> Path:
    """Save a SPLADE model. Its pooling knows its dimension once it has encoded."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    module = Transformer(
        str(transformer(folder, "BertForMaskedLM", seed)), transformer_task="fill-mask"
    )
    model = SparseEncoder(modules=[module, SpladePooling()], device="cpu")
    model.encode(["the patient"])
    model.save_pretrained(str(folder))
    return folder


def cross(folder: Path, *, seed: int) -> Path:
    """Save a CrossEncoder with one score."""
    from sentence_transformers import CrossEncoder

    plain = transformer(folder, "BertForSequenceClassification", seed, num_labels=1)
    CrossEncoder(str(plain), device="cpu").save_pretrained(str(folder))
    return folder


def transformer(folder: Path, architecture: str, seed: int, **settings: Any) -> Path:
    """Save a BERT with random weights next to a folder, by transformers."""
    import torch
    import transformers

    words = tokenizer()
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=40,
        pad_token_id=0,
        **settings,
    )
    model = getattr(transformers, architecture)(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    plain = folder.with_name(f"{folder.name}-transformer")
    model.save_pretrained(plain)
    words.save_pretrained(plain)
    return plain


def tokenizer() -> Any:
    """Return an uncased WordPiece tokenizer of some two hundred entries."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import BertTokenizer

    continued = [f"##{letter}" for letter in LETTERS if letter.isalnum()]
    entries = dict.fromkeys([*SPECIAL, *WORDS.split(), *PIECES, *LETTERS, *continued])
    vocabulary = {entry: index for index, entry in enumerate(entries)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    return BertTokenizer(tokenizer_object=backend, vocab=vocabulary, model_max_length=32)


def lora() -> Any:
    """Return the configuration of most adapters."""
    from peft import LoraConfig

    return LoraConfig(r=2, lora_alpha=4, target_modules=["query", "value"])


def train(base: Path | str, folder: Path, config: Any, *, seed: int = 3) -> Path:
    """Train an adapter by the plain libraries and save it."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.manual_seed(seed)
    model = SentenceTransformer(str(Path(base).absolute()), device="cpu")
    model.add_adapter(config)
    take_steps(model)
    model.save_pretrained(str(folder))
    return folder


def take_steps(model: Any) -> None:
    """Take five training steps that push the vectors of the texts apart."""
    import torch

    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.05)
    model.train()
    for _ in range(5):
        vectors = model(model.preprocess(list(TRAINED_ON)))["sentence_embedding"]
        loss = (vectors @ vectors.T).triu(1).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


def ids_of(folder: Path | str, words: Sequence[str]) -> list[int]:
    """Return the ids of added tokens."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder)).convert_tokens_to_ids(list(words))
