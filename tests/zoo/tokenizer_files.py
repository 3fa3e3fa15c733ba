"""Tokenizer files of published repositories, written in the spelling of their time.

Each function trains or lists a small vocabulary, writes the files into a folder and
returns the number of token ids. The JSON is written by hand where the spelling matters:
a library of today would write another one.
"""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.zoo.corpus import LETTERS, LINES, WORDS

Json = dict[str, Any]
BERT_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
QWEN_SPLIT = (
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)
LLAMA3_SPLIT = QWEN_SPLIT.replace("|\\p{N}|", "|\\p{N}{1,3}|")


def write_json(path: Path, content: object, *, indent: int | None = None) -> None:
    """Write JSON as the libraries do, without sorting its keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=indent), encoding="utf-8")


def special_token(
    token_id: int, content: str, *, lstrip: bool = False, normalized: bool = False
) -> Json:
    """Return an entry of `added_tokens` for a special token."""
    return {
        "id": token_id,
        "content": content,
        "single_word": False,
        "lstrip": lstrip,
        "rstrip": False,
        "normalized": normalized,
        "special": True,
    }


def template(
    single: Sequence[str], pair: Sequence[str], ids: Mapping[str, int], second_type: int = 0
) -> Json:
    """Return a TemplateProcessing; `$A` and `$B` are texts, other items tokens."""

    def items(pattern: Sequence[str]) -> list[Json]:
        type_id = 0
        pieces: list[Json] = []
        for name in pattern:
            if name == "$B":
                type_id = second_type
            if name.startswith("$"):
                pieces.append({"Sequence": {"id": name[1], "type_id": type_id}})
            else:
                pieces.append({"SpecialToken": {"id": name, "type_id": type_id}})
        return pieces

    tokens = sorted({name for name in (*single, *pair) if not name.startswith("$")})
    return {
        "type": "TemplateProcessing",
        "single": items(single),
        "pair": items(pair),
        "special_tokens": {
            name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in tokens
        },
    }


def decoder_entries(added_tokens: Iterable[Json]) -> Json:
    """Return `added_tokens_decoder` of tokenizer_config.json."""
    return {
        str(token["id"]): {key: token[key] for key in token if key != "id"}
        for token in added_tokens
    }


def mask_token(content: str = "<mask>", *, typed: bool = False) -> Json:
    """Return a mask token as a dictionary, with `__type` in tokenizer_config.json."""
    flags = {"single_word": False, "lstrip": True, "rstrip": False, "normalized": False}
    return {"content": content, **flags, **({"__type": "AddedToken"} if typed else {})}


def _document(**parts: Any) -> Json:
    return {"version": "1.0", "truncation": None, "padding": None, **parts}


# WordPiece


def word_pieces(*, is_cased: bool) -> list[str]:
    """Return words, pieces and letters without special tokens."""
    spell = str if is_cased else str.lower
    letters = [spell(letter) for letter in LETTERS]
    words = [spell(word) for word in WORDS]
    pieces = [f"##{spell(word)[-3:]}" for word in WORDS if len(word) > 5]
    continued = [f"##{letter}" for letter in letters if letter.isalnum()]
    return list(dict.fromkeys([*letters, *continued, *words, *pieces]))


def word_piece(
    folder: Path,
    *,
    is_cased: bool = False,
    config: str = "old",
    tokenizer_class: str = "BertTokenizer",
    length: int = 512,
    vocab_file: bool = True,
    json_file: bool = True,
    fixed_length: int | None = 128,
    unused: int = 0,
    **settings: Any,
) -> int:
    """Write a BERT tokenizer; `config` is `old` (name_or_path) or `new` (decoder)."""
    vocabulary = [*BERT_TOKENS, *(f"[unused{i}]" for i in range(unused))]
    vocabulary += word_pieces(is_cased=is_cased)
    ids = {token: index for index, token in enumerate(vocabulary)}
    added = [special_token(ids[token], token) for token in BERT_TOKENS]
    document = _document(
        added_tokens=added,
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": not is_cased,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor=template(
            ["[CLS]", "$A", "[SEP]"], ["[CLS]", "$A", "[SEP]", "$B", "[SEP]"], ids, second_type=1
        ),
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        model={
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    )
    if fixed_length:
        document["truncation"] = {
            "max_length": fixed_length,
            "strategy": "LongestFirst",
            "stride": 0,
        }
        document["padding"] = {
            "strategy": {"Fixed": fixed_length},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        }
    names = {
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    }
    common = {
        "do_lower_case": not is_cased,
        **names,
        "tokenize_chinese_chars": True,
        "strip_accents": None,
        "model_max_length": length,
        "tokenizer_class": tokenizer_class,
        **settings,
    }
    if config == "old":
        common |= {
            "do_basic_tokenize": True,
            "never_split": None,
            "special_tokens_map_file": "/root/.cache/special_tokens_map.json",
            "name_or_path": "nreimers/MiniLM-L6-H384-uncased",
        }
    else:
        common |= {
            "added_tokens_decoder": decoder_entries(added),
            "clean_up_tokenization_spaces": True,
        }
    if json_file:
        write_json(folder / "tokenizer.json", document)
    write_json(folder / "tokenizer_config.json", common)
    write_json(folder / "special_tokens_map.json", names)
    if vocab_file:
        (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    return len(vocabulary)


def mpnet(folder: Path, *, tokens_as_objects: bool = False, length: int = 512) -> int:
    """Write the tokenizer of MPNet: RoBERTa's special tokens, BERT's pieces."""
    vocabulary = [*ROBERTA_TOKENS, *(token for token in BERT_TOKENS if token != "[MASK]")]
    vocabulary += [*word_pieces(is_cased=False), "<mask>"]
    ids = {token: index for index, token in enumerate(vocabulary)}
    added = [special_token(ids[token], token) for token in ROBERTA_TOKENS[:3]]
    added.append(special_token(ids["<unk>"], "<unk>", normalized=True))
    added.append(special_token(ids["[UNK]"], "[UNK]"))
    added.append(special_token(ids["<mask>"], "<mask>", lstrip=True))
    document = _document(
        added_tokens=added,
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor={
            "type": "RobertaProcessing",
            "sep": ["</s>", ids["</s>"]],
            "cls": ["<s>", ids["<s>"]],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        model={
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    )
    plain = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "cls_token": "<s>",
        "unk_token": "[UNK]",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    }
    objects: Json = {
        key: {**mask_token(token, typed=True), "lstrip": token == "<mask>", "normalized": True}
        for key, token in plain.items()
    }
    write_json(folder / "tokenizer.json", document)
    write_json(
        folder / "tokenizer_config.json",
        {
            "do_lower_case": True,
            **(objects if tokens_as_objects else plain),
            "tokenize_chinese_chars": True,
            "strip_accents": None,
            "model_max_length": length,
            "special_tokens_map_file": None,
            "name_or_path": "microsoft/mpnet-base",
            "tokenizer_class": "MPNetTokenizer",
        },
    )
    write_json(folder / "special_tokens_map.json", {**plain, "mask_token": mask_token()})
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    return len(vocabulary)


# SentencePiece


@functools.cache
def sentence_piece_model(**settings: Any) -> bytes:
    """Train a SentencePiece Unigram model, with the real nmt_nfkc character map."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for line in LINES for _ in range(3)]),
        model_writer=written,
        model_type="unigram",
        vocab_size=420,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **settings,
    )
    return written.getvalue()


def parsed(model: bytes) -> Any:
    """Return a SentencePiece model as a protocol buffer message."""
    from sentencepiece import sentencepiece_model_pb2

    message = sentencepiece_model_pb2.ModelProto()
    message.ParseFromString(model)
    return message


def _pieces(message: Any) -> list[list[Any]]:
    return [[piece.piece, piece.score] for piece in message.pieces]


def metaspace(spelling: str) -> Json:
    """Return a Metaspace in the `oldest` (str_rep), an `old` or the newest spelling."""
    fields: dict[str, Json] = {
        "oldest": {"str_rep": "▁", "add_prefix_space": True},
        "old": {"add_prefix_space": True},
        "middle": {"add_prefix_space": True, "prepend_scheme": "always"},
        "today": {"prepend_scheme": "always", "split": True},
    }
    return {"type": "Metaspace", "replacement": "▁", **fields[spelling]}


def _sentence_piece_components(message: Any, form: str) -> Json:
    """Return normalizer, pre-tokenizer and decoder of a Unigram file in a form."""
    charsmap = base64.b64encode(message.normalizer_spec.precompiled_charsmap).decode()
    precompiled = {"type": "Precompiled", "precompiled_charsmap": charsmap}
    if form == "seq":
        replace = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}
        return {
            "normalizer": {"type": "Sequence", "normalizers": [precompiled, replace]},
            "pre_tokenizer": metaspace("today"),
            "decoder": metaspace("today"),
        }
    return {
        "normalizer": precompiled,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace(form)],
        },
        "decoder": metaspace(form),
    }


def _without_accents(message: Any, *, lowercase: bool) -> Json:
    """Return the normalizer of ALBERT and XLNet, which removes accents."""
    charsmap = base64.b64encode(message.normalizer_spec.precompiled_charsmap).decode()
    return {
        "type": "Sequence",
        "normalizers": [
            {"type": "Replace", "pattern": {"String": "``"}, "content": '"'},
            {"type": "Replace", "pattern": {"String": "''"}, "content": '"'},
            {"type": "NFKD"},
            {"type": "StripAccents"},
            *([{"type": "Lowercase"}] if lowercase else []),
            {"type": "Precompiled", "precompiled_charsmap": charsmap},
        ],
    }


def _unigram_model(pieces: list[list[Any]], unknown: int, form: str) -> Json:
    model = {"type": "Unigram", "unk_id": unknown, "vocab": pieces}
    return model if form in ("old", "oldest") else {**model, "byte_fallback": False}


def xlm_roberta(
    folder: Path,
    form: str = "old",
    *,
    tokenizer_class: str = "XLMRobertaTokenizer",
    config: str = "old",
    length: int = 512,
    spm_file: str | None = "sentencepiece.bpe.model",
    piece_count: int = 0,
    **settings: Any,
) -> int:
    """Write a Unigram tokenizer with fairseq's special tokens and `<mask>` last.

    Rare words fill it up to `piece_count` pieces.
    """
    model = sentence_piece_model()
    message = parsed(model)
    pieces = [[token, 0.0] for token in ROBERTA_TOKENS]
    pieces += _pieces(message)[3:]
    pieces += [[f"▁q{index:x}", -20.0] for index in range(piece_count - len(pieces) - 1)]
    pieces.append(["<mask>", 0.0])
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    added = [special_token(ids[token], token) for token in ROBERTA_TOKENS]
    added.append(special_token(ids["<mask>"], "<mask>", lstrip=True, normalized=form == "seq"))
    single, pair = ["<s>", "$A", "</s>"], ["<s>", "$A", "</s>", "</s>", "$B", "</s>"]
    document = _document(
        added_tokens=added,
        **_sentence_piece_components(message, form),
        post_processor=template(single, pair, ids),
        model=_unigram_model(pieces, ids["<unk>"], form),
    )
    names: Json = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "cls_token": "<s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
    }
    fields: Json = {**names, "model_max_length": length, "tokenizer_class": tokenizer_class}
    if config == "old":
        fields |= {
            "mask_token": mask_token(typed=True),
            "special_tokens_map_file": None,
            "name_or_path": "xlm-roberta-base",
        }
    else:
        fields |= {
            "mask_token": "<mask>",
            "added_tokens_decoder": decoder_entries(added),
            "clean_up_tokenization_spaces": True,
        }
    write_json(folder / "tokenizer.json", document)
    write_json(folder / "tokenizer_config.json", {**fields, **settings})
    write_json(folder / "special_tokens_map.json", {**names, "mask_token": mask_token()})
    if spm_file:
        (folder / spm_file).write_bytes(model)
    return len(pieces)


def camembert(folder: Path) -> int:
    """Write CamemBERT's Unigram tokenizer, whose first entries are marked NOTUSED."""
    model = sentence_piece_model()
    message = parsed(model)
    pieces = [["<s>NOTUSED", 0.0], ["<pad>", 0.0], ["</s>NOTUSED", 0.0], ["<unk>", 0.0]]
    pieces += [["<unk>NOTUSED", -100.0], ["<s>", 0.0], ["</s>", 0.0]]
    pieces += [*_pieces(message)[3:], ["<mask>", 0.0]]
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    names = ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>")
    added = [special_token(ids[token], token) for token in names]
    added.append(special_token(ids["<mask>"], "<mask>", lstrip=True))
    single, pair = ["<s>", "$A", "</s>"], ["<s>", "$A", "</s>", "</s>", "$B", "</s>"]
    plain: Json = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "cls_token": "<s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
    }
    write_json(
        folder / "tokenizer.json",
        _document(
            added_tokens=added,
            **_sentence_piece_components(message, "old"),
            post_processor=template(single, pair, ids),
            model=_unigram_model(pieces, ids["<unk>"], "old"),
        ),
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            **plain,
            "mask_token": mask_token(typed=True),
            "additional_special_tokens": ["<s>NOTUSED", "</s>NOTUSED"],
            "model_max_length": 512,
            "special_tokens_map_file": None,
            "name_or_path": "camembert-base",
            "tokenizer_class": "CamembertTokenizer",
        },
    )
    write_json(folder / "special_tokens_map.json", {**plain, "mask_token": mask_token()})
    (folder / "sentencepiece.bpe.model").write_bytes(model)
    return len(pieces)


def t5(folder: Path, form: str = "old", *, extra_ids: int = 100) -> int:
    """Write T5's Unigram tokenizer: `<extra_id_*>` last, `</s>` behind each text."""
    model = sentence_piece_model(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    message = parsed(model)
    extra = [f"<extra_id_{extra_ids - 1 - index}>" for index in range(extra_ids)]
    pieces = [*_pieces(message), *([token, 0.0] for token in extra)]
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    added = [special_token(ids[token], token) for token in ("<pad>", "</s>", "<unk>", *extra)]
    names = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    more = {"additional_special_tokens": list(reversed(extra))}
    write_json(
        folder / "tokenizer.json",
        _document(
            added_tokens=added,
            **_sentence_piece_components(message, form),
            post_processor=template(["$A", "</s>"], ["$A", "</s>", "$B", "</s>"], ids),
            model=_unigram_model(pieces, ids["<unk>"], form),
        ),
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            **names,
            "extra_ids": extra_ids,
            **more,
            "model_max_length": 512,
            "special_tokens_map_file": "/root/.cache/special_tokens_map.json",
            "name_or_path": "models/t5",
            "tokenizer_class": "T5Tokenizer",
        },
    )
    write_json(folder / "special_tokens_map.json", {**names, **more})
    (folder / "spiece.model").write_bytes(model)
    return len(pieces)


def albert(folder: Path) -> int:
    """Write ALBERT's Unigram tokenizer: lower case, no accents, BERT's template."""
    model = sentence_piece_model(
        pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols="[CLS],[SEP],[MASK]"
    )
    message = parsed(model)
    pieces = _pieces(message)
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    added = [special_token(ids[token], token) for token in ("<pad>", "<unk>", "[CLS]", "[SEP]")]
    added.append(special_token(ids["[MASK]"], "[MASK]", lstrip=True))
    components = _sentence_piece_components(message, "old")
    components["normalizer"] = _without_accents(message, lowercase=True)
    names = {
        "bos_token": "[CLS]",
        "eos_token": "[SEP]",
        "unk_token": "<unk>",
        "sep_token": "[SEP]",
        "pad_token": "<pad>",
        "cls_token": "[CLS]",
    }
    write_json(
        folder / "tokenizer.json",
        _document(
            added_tokens=sorted(added, key=lambda token: token["id"]),
            **components,
            post_processor=template(
                ["[CLS]", "$A", "[SEP]"],
                ["[CLS]", "$A", "[SEP]", "$B", "[SEP]"],
                ids,
                second_type=1,
            ),
            model=_unigram_model(pieces, ids["<unk>"], "old"),
        ),
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            "do_lower_case": True,
            "remove_space": True,
            "keep_accents": False,
            **names,
            "mask_token": mask_token("[MASK]", typed=True),
            "model_max_length": 512,
            "special_tokens_map_file": None,
            "name_or_path": "nreimers/albert-small-v2",
            "tokenizer_class": "AlbertTokenizer",
        },
    )
    write_json(folder / "special_tokens_map.json", {**names, "mask_token": mask_token("[MASK]")})
    (folder / "spiece.model").write_bytes(model)
    return len(pieces)


def xlnet(folder: Path) -> int:
    """Write XLNet's Unigram tokenizer: `<sep><cls>` behind a text, padding left."""
    model = sentence_piece_model(
        unk_id=0, bos_id=1, eos_id=2, pad_id=5, control_symbols="<cls>,<sep>,<mask>,<eod>,<eop>"
    )
    message = parsed(model)
    pieces = _pieces(message)
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    special = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")
    added = [special_token(ids[token], token, lstrip=token == "<mask>") for token in special]
    end = template(["$A", "<sep>", "<cls>"], ["$A", "<sep>", "$B", "<sep>", "<cls>"], ids, 1)
    end["single"][-1]["SpecialToken"]["type_id"] = 2
    end["pair"][-1]["SpecialToken"]["type_id"] = 2
    names: Json = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "sep_token": "<sep>",
        "pad_token": "<pad>",
        "cls_token": "<cls>",
        "additional_special_tokens": ["<eop>", "<eod>"],
    }
    write_json(
        folder / "tokenizer.json",
        _document(
            added_tokens=added,
            **{
                **_sentence_piece_components(message, "old"),
                "normalizer": _without_accents(message, lowercase=False),
            },
            post_processor=end,
            model=_unigram_model(pieces, ids["<unk>"], "old"),
        ),
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            "do_lower_case": False,
            "remove_space": True,
            "keep_accents": False,
            **names,
            "mask_token": mask_token(typed=True),
            "model_max_length": 512,
            "padding_side": "left",
            "special_tokens_map_file": None,
            "name_or_path": "xlnet-base-cased",
            "tokenizer_class": "XLNetTokenizer",
        },
    )
    write_json(folder / "special_tokens_map.json", {**names, "mask_token": mask_token()})
    (folder / "spiece.model").write_bytes(model)
    return len(pieces)


def esm(folder: Path) -> int:
    """Write ESM's tokenizer: amino acids in vocab.txt, without a tokenizer.json."""
    tokens = ["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<mask>"]
    (folder / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {"do_lower_case": False, "model_max_length": 512, "tokenizer_class": "EsmTokenizer"},
    )
    names = {name: f"<{name}>" for name in ("unk", "pad", "cls", "mask", "eos")}
    write_json(
        folder / "special_tokens_map.json",
        {f"{name}_token": content for name, content in names.items()},
    )
    return len(tokens)


def deberta_v2(folder: Path, *, json_file: bool = True) -> int:
    """Write the Unigram tokenizer of DeBERTa v2 and v3: `[MASK]` behind the pieces."""
    model = sentence_piece_model(
        pad_id=0, bos_id=1, eos_id=2, unk_id=3, bos_piece="[CLS]", eos_piece="[SEP]",
        pad_piece="[PAD]", unk_piece="[UNK]",
    )  # fmt: skip
    message = parsed(model)
    pieces = [*_pieces(message), ["[MASK]", 0.0]]
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    added = [special_token(ids[token], token) for token in ("[PAD]", "[CLS]", "[SEP]")]
    added.append(special_token(ids["[UNK]"], "[UNK]", normalized=True))
    added.append(special_token(ids["[MASK]"], "[MASK]"))
    charsmap = base64.b64encode(message.normalizer_spec.precompiled_charsmap).decode()
    names = {
        "bos_token": "[CLS]",
        "eos_token": "[SEP]",
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    }
    document = _document(
        added_tokens=added,
        normalizer={
            "type": "Sequence",
            "normalizers": [
                {"type": "Strip", "strip_left": True, "strip_right": True},
                {"type": "Precompiled", "precompiled_charsmap": charsmap},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        pre_tokenizer={"type": "Sequence", "pretokenizers": [metaspace("middle")]},
        decoder=metaspace("middle"),
        post_processor=template(
            ["[CLS]", "$A", "[SEP]"], ["[CLS]", "$A", "[SEP]", "$B", "[SEP]"], ids, second_type=1
        ),
        model=_unigram_model(pieces, ids["[UNK]"], "middle"),
    )
    if json_file:
        write_json(folder / "tokenizer.json", document)
    write_json(
        folder / "tokenizer_config.json",
        {
            "added_tokens_decoder": decoder_entries(added),
            "do_lower_case": False,
            **names,
            "model_max_length": 512,
            "sp_model_kwargs": {},
            "split_by_punct": False,
            "vocab_type": "spm",
            "clean_up_tokenization_spaces": False,
            "tokenizer_class": "DebertaV2Tokenizer",
        },
    )
    write_json(folder / "special_tokens_map.json", names)
    write_json(folder / "added_tokens.json", {"[MASK]": ids["[MASK]"]})
    (folder / "spm.model").write_bytes(model)
    return len(pieces)
