"""The builders write models that the plain library loads; the page lists them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import lively
from tests.zoo import families
from tests.zoo.corpus import NEW_WORDS, TEXTS

ROOT = Path(__file__).parent.parent.parent


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
