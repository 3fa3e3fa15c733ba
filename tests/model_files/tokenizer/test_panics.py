"""Files at which the tokenizers library panics are refused before it reads them."""

from __future__ import annotations

import base64
import json
import random
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from registry.errors import NotLoadable
from registry.model_files.folder import Folder
from registry.model_files.tokenizer.charsmap import damaged_charsmap
from registry.model_files.tokenizer.panics import cause_of_panic, refusing_panics
from tests.support import plain
from tests.support.hand import edit
from tests.support.refusals import raises

RULES = ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf")


def charsmap(rule: str) -> bytes:
    """Return the character map of a rule of sentencepiece."""
    import io

    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f g"] * 9),
        model_writer=model,
        vocab_size=12,
        hard_vocab_limit=False,
        normalization_rule_name=rule,
        minloglevel=2,
    )
    message = sentencepiece_model_pb2.ModelProto()
    message.ParseFromString(model.getvalue())
    return bytes(message.normalizer_spec.precompiled_charsmap)


def normalizer(content: bytes) -> dict[str, object]:
    encoded = base64.b64encode(content).decode()
    precompiled = {"type": "Precompiled", "precompiled_charsmap": encoded}
    return {"type": "Sequence", "normalizers": [{"type": "NFC"}, precompiled]}


def damages(content: bytes) -> Iterator[bytes]:
    """Yield maps that end in a panic of the library, in an abort or in damaged texts."""
    chosen = random.Random(0)
    size = struct.unpack("<I", content[:4])[0]
    yield content[:3]
    for length in (4, 5, 1000, size, size + 3):
        yield content[:length]
    for wrong in (0, 1, 6, len(content), 2**31, 2**32 - 4):
        yield struct.pack("<I", wrong) + content[4:]
    yield content[: 4 + size] + content[4 + size :][:50]
    yield content[:-1] + b"\xff"
    yield content[:4] + chosen.randbytes(size) + content[4 + size :]


@pytest.mark.parametrize("rule", RULES)
def test_the_maps_of_sentencepiece_are_intact(rule):
    content = charsmap(rule)

    assert damaged_charsmap(normalizer(content)) is None
    for damaged in damages(content):
        assert damaged_charsmap(normalizer(damaged)) is not None


def test_a_map_without_content_is_damaged():
    assert damaged_charsmap(None) is None
    for content in (None, "", "!", "AAAA"):
        damaged = {"type": "Precompiled", "precompiled_charsmap": content}
        assert damaged_charsmap(damaged) is not None


BPE = {"type": "BPE", "vocab": {"a": 0, "b": 1, "é": 2, "ab": 3}, "merges": [["a", "b"]]}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}],
    "pair": [],
    "special_tokens": {},
}
PANICS = [
    {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
    {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
    {"post_processor": TEMPLATE},
    {"post_processor": {**TEMPLATE, "single": [{"Sequence": {"id": "B", "type_id": 0}}]}},
    {"post_processor": {"type": "Sequence", "processors": [TEMPLATE]}},
    {"model": {**BPE, "continuing_subword_prefix": "##"}},
    {"model": {**BPE, "continuing_subword_prefix": "#", "merges": ["a é"]}},
]
READ = """
import json, sys
from tokenizers import Tokenizer
Tokenizer.from_str(sys.argv[1]).encode("a b")
"""


@pytest.mark.parametrize("component", PANICS)
def test_known_causes_are_those_at_which_the_library_panics(component):
    content = {
        "version": "1.0",
        "added_tokens": [],
        "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"},
        **component,
    }
    assert cause_of_panic(content) is not None

    command = [sys.executable, "-c", READ, json.dumps(content)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode != 0
    assert "panicked" in child.stderr


@pytest.mark.parametrize("content", ["\u200b", "\u0301", "\x07"])
def test_a_token_that_is_empty_after_normalisation_is_refused(tmp_path, content):
    import registry

    folder = plain.base(tmp_path / "model", added=(content,))
    with (
        registry.init(tmp_path / "home") as reg,
        raises(NotLoadable, repr(content), check="tokenizer-panic"),
    ):
        reg.add(folder, "base", measure=False)


def test_a_model_with_a_damaged_map_is_refused_before_the_library_reads_it(tmp_path, capfd):
    import registry

    folder = plain.base(tmp_path / "model")
    damaged = normalizer(struct.pack("<I", 2**32 - 4))
    edit(folder / "tokenizer.json", lambda content: content.update(normalizer=damaged))

    with registry.init(tmp_path / "home") as reg:
        with raises(NotLoadable, "tokenizer.json", check="tokenizer-panic"):
            reg.add(folder, "base")
        assert reg.list() == ()
    assert "panicked" not in capfd.readouterr().err


def test_a_panic_is_a_refusal_and_an_interrupt_is_not(capfd):
    from tokenizers import decoders

    with raises(NotLoadable, "index out of bounds"), refusing_panics():
        decoders.Strip(" ", 0, 9).decode([" "])
    assert "panicked" in capfd.readouterr().err
    with pytest.raises(KeyboardInterrupt), refusing_panics():
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), refusing_panics():
        1 / 0  # noqa: B018


def test_a_panic_of_a_loaded_tokenizer_ends_in_one_line(tmp_path):
    from registry.runtime.tokenizer_equivalence import load_tokenizer
    from tests.support.hand import lay

    folder = plain.base(tmp_path / "model")
    broken = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    edit(folder / "tokenizer.json", lambda content: content.update(normalizer=broken))
    edit(
        folder / "tokenizer_config.json",
        lambda config: config.update(tokenizer_class="PreTrainedTokenizerFast"),
    )
    with raises(NotLoadable):
        load_tokenizer(Folder(folder), lay(folder))
