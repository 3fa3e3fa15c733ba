"""Families published as pickles or without tokenizer.json, through the whole story."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.zoo import families
from tests.zoo.story import NOT_APPLICABLE, PASSED, Story

pytestmark = pytest.mark.slow


class ConvertedStory(Story):
    """A story that begins with `add --convert`."""

    def _add(self) -> None:
        hint = self.member.model_class if self.member.has_class_hint else None
        self.registry.add(self.folder, "m", model_class=hint, convert=True)


def without(*paths: str) -> Callable[[Path], None]:
    """Remove files."""

    def edit(folder: Path) -> None:
        for path in paths:
            (folder / path).unlink()

    return edit


def pickled(folder: Path, *, shards: int = 1, is_zip: bool = True) -> None:
    """Replace the safetensors file of a transformer by pickles."""
    import torch
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").unlink(missing_ok=True)
    if shards == 1:
        torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=is_zip)
        return
    weight_map: dict[str, str] = {}
    for number in range(shards):
        shard = f"pytorch_model-{number + 1:05}-of-{shards:05}.bin"
        part = {name: tensors[name] for name in sorted(tensors)[number::shards]}
        torch.save(part, folder / shard)
        weight_map |= dict.fromkeys(part, shard)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def simcse_bert(folder: Path) -> None:
    """Leave what the repository has: no modules.json, vocab.txt and a pickle."""
    without("modules.json", "config_sentence_transformers.json", "tokenizer.json")(folder)
    shutil.rmtree(folder / "1_Pooling")
    pickled(folder, is_zip=False)


def contriever(folder: Path) -> None:
    """Name an architecture that the library does not have."""
    simcse_bert(folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": ["Contriever"]}))


def deberta(folder: Path) -> None:
    """Leave the SentencePiece file and a pickle, as microsoft/deberta-v3-base does."""
    without("tokenizer.json")(folder)
    pickled(folder)


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("bge-m3", without("tokenizer.json")),
        ("all-MiniLM-L6-v2", simcse_bert),
        ("simcse-roberta", without("tokenizer.json")),
        ("all-MiniLM-L6-v2", contriever),
        ("splade-cocondenser", lambda folder: None),
        ("gtr-t5", without("2_Dense/model.safetensors")),
        ("layout-of-2019-pickle", lambda folder: None),
        ("all-distilroberta-v1", lambda folder: pickled(folder, shards=3)),
        ("deberta-v3", deberta),
    ],
    ids=[
        "bge-m3",
        "simcse-bert",
        "simcse-roberta",
        "contriever",
        "splade",
        "gtr-t5",
        "layout-of-2019",
        "roberta-shards",
        "deberta-v3",
    ],
)
def test_a_converted_model_passes_every_step(
    tmp_path: Path, name: str, edit: Callable[[Path], None]
) -> None:
    """Each step equals the plain library on the original folder, to the bit."""
    folder = families.build(name, tmp_path / "model")
    edit(folder)
    member = families.split_name(name)[0]
    if not (folder / "modules.json").exists():
        member = replace(member, has_class_hint=True)
    story = ConvertedStory(member, folder, tmp_path, is_published=False)
    outcomes = story.run()
    assert set(outcomes.values()) <= {PASSED, NOT_APPLICABLE}, (outcomes, story.messages)
