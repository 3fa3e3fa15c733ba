"""A conversion of a tokenizer, repeated by another version of the library.

`stored/roberta/tokenizer-4.57.6.json` is what transformers 4.57.6 made of vocab.json and
merges.txt: it marks the special tokens as normalized, unlike transformers 5.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry import Registry
from registry.core.digest import digest_of
from registry.core.progress import silent
from registry.core.version import Version
from registry.model_files.folder import Folder
from registry.operations.registration.commit import register
from registry.operations.registration.pipeline import AddOptions, prepare
from registry.operations.registration.provenance import provenance
from registry.operations.shared.overlay import Overlay
from tests.zoo.encoders import roberta_weights
from tests.zoo.weights import sentence_files

pytestmark = pytest.mark.slow
STORED = Path(__file__).parent / "stored" / "roberta"
EARLIER = STORED / "tokenizer-4.57.6.json"
SOURCES = ("merges.txt", "vocab.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A RoBERTa without tokenizer.json."""
    model = tmp_path / "model"
    model.mkdir()
    for path in STORED.iterdir():
        if path != EARLIER:
            shutil.copyfile(path, model / path.name)
    roberta_weights(model, 405, files="S")
    sentence_files(model)
    return model


def register_as_before(reg: Registry, folder: Path, name: str) -> Version:
    """Register the conversion that another version of the library made."""
    files = Overlay(Folder(folder), {"tokenizer.json": EARLIER})
    described = [
        {"path": path, "size": len(content), "digest": digest_of(content)}
        for path in SOURCES
        for content in [(folder / path).read_bytes()]
    ]
    converted = {"format": 1, "files": described, "libraries": {"transformers": "4.57.6"}}
    with reg.home.adding():
        prepared = prepare(reg.home, files, None, model_class=None, write=True, progress=silent)
        added = register(
            reg.home,
            name,
            prepared,
            source=provenance(how="add", converted=converted),
            options=AddOptions(),
        )
    assert added.version is not None
    return added.version


def test_an_equivalent_earlier_conversion_is_reused(reg: Registry, folder: Path) -> None:
    """The same folder gives the same version again, although today's file differs."""
    earlier = register_as_before(reg, folder, "model")
    today = reg.add(folder, "today", convert=True, measure=False)
    assert today.version is not None
    assert today.version.digest != earlier.digest
    again = reg.add(folder, "model", convert=True, measure=False)
    assert again.already
    assert again.version == earlier
