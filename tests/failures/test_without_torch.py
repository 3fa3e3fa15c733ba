"""Nets 1 and 2 never import torch; and they hold for every token list and every choice of flags, not for the cases at hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from registry.model_files.checks import tokenizer, training
from registry.runtime.vector_distance import drift
from tests.support import plain
from tests.support.hand import candidate, edit, parent

WORDS = ("zorvaxin", "quelora", "brontazide", "calvexumab", "metifenol")
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
HEAVY = ("torch", "transformers", "sentence_transformers", "peft")

ACT = """
import sys
from registry.cli import main
codes = [main(words) for words in {commands!r}]
print(codes, [name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""


def test_registering_checking_and_refusing_tokens_without_the_model_imports_no_torch(tmp_path):
    added = WORDS[:2]
    plain.base(tmp_path / "base")
    plain.base(tmp_path / "resized", added=added)
    plain.adapter(tmp_path / "adapter", tmp_path / "resized", added=added)
    broken = plain.adapter(tmp_path / "broken", tmp_path / "resized", added=tuple(reversed(added)))
    commands = [
        ["init"],
        ["add", str(tmp_path / "base"), "--as", "base", "--no-measure"],
        ["add", str(tmp_path / "resized"), "--as", "resized", "--parent", "base@1", "--no-measure"],
        ["add", str(tmp_path / "adapter"), "--as", "medical", "--no-measure"],
        ["add", str(broken), "--as", "broken"],
        ["check", str(tmp_path / "adapter"), "--no-measure"],
        ["check", str(broken), "--no-measure"],
        ["check", "medical@1", "--no-measure"],
        ["check", "--list"],
        ["show", "medical@1"],
        ["resize", "base@1", "--as", "more", "--token", "the"],
        ["resize", "base@1", "--as", "more", "--token", " "],
    ]

    done = subprocess.run(
        [sys.executable, "-c", ACT.format(commands=commands, heavy=HEAVY)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "REGISTRY_HOME": str(tmp_path / "home")},
    )

    assert done.stderr.splitlines()[-1] == "[0, 0, 0, 0, 6, 0, 5, 0, 0, 0, 2, 2] []"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A resized base with five tokens, and an adapter on it."""
    place = tmp_path_factory.mktemp("plain")
    base = plain.base(place / "resized", added=WORDS)
    return base, plain.adapter(place / "medical", base, added=WORDS)


@hypothesis.settings(max_examples=30)
@hypothesis.given(
    order=st.permutations(WORDS),
    flips=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(FLAGS)), max_size=3, unique=True),
)
def test_any_other_order_or_flag_of_the_tokens_is_refused_and_no_other(folders, order, flips):
    base, adapter = folders
    copied = Path(shutil.copytree(adapter, adapter.with_name("copied"), dirs_exist_ok=True))
    original = json.loads((adapter / "tokenizer.json").read_text())
    changed = json.loads(json.dumps(original))
    for place, word in enumerate(order):
        changed["added_tokens"][place - 5]["content"] = word
    for place, flag in flips:
        changed["added_tokens"][place - 5][flag] = not changed["added_tokens"][place - 5][flag]
    (copied / "tokenizer.json").write_text(json.dumps(changed))
    same = changed == original

    found = tokenizer.adapter_has_its_parents_tokenizer(candidate(copied, parent(base)))

    assert (found is None) == same


@hypothesis.settings(max_examples=30)
@hypothesis.given(ids=st.lists(st.integers(0, 31), min_size=1, max_size=8, unique=True))
def test_trained_rows_are_those_of_the_added_tokens_or_are_refused(folders, ids):
    base, adapter = folders
    added = [27, 28, 29, 30, 31]
    copied = Path(shutil.copytree(adapter, adapter.with_name("trained"), dirs_exist_ok=True))
    edit(copied / "adapter_config.json", lambda config: config.update(trainable_token_indices=ids))
    view = parent(base)
    view = type(view)(
        view.reference,
        view.files,
        view.layout,
        type(view.facts)(
            **{
                **vars(view.facts),
                "vocabulary": type(view.facts.vocabulary)(
                    view.facts.vocabulary.digest,
                    view.facts.vocabulary.size,
                    tuple(view.tokens[27:]),
                ),
            }
        ),
        view.tokens,
    )

    found = training.trains_the_added_tokens(candidate(copied, view))

    assert (found is None) == (sorted(ids) == added)


vectors = st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=3)


@hypothesis.given(one=vectors, two=vectors, scale=st.floats(0.1, 10))
def test_drift_is_a_distance_of_directions(one, two, scale):
    import numpy as np

    first, second = np.array(one), np.array(two)

    assert drift(first, first) == pytest.approx(0, abs=1e-9)
    assert 0 <= drift(first, second) <= 2 + 1e-9
    assert drift(first, second) == pytest.approx(drift(second, first), abs=1e-9)
    assert (
        drift(first * scale, second) == pytest.approx(drift(first, second), abs=1e-6)
        or np.linalg.norm(first) < 1e-3
    )


@pytest.mark.parametrize(
    ("one", "two", "far"),
    [
        ([1.0, 0.0], [0.0, 1.0], 1.0),
        ([1.0, 0.0], [-2.0, 0.0], 2.0),
        ([1.0], [1.0, 0.0], 0.0),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([0.0, 0.0], [1.0, 0.0], 1.0),
        ([[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]], 0.0),
        ([[1.0, 0.0]], [[0.0, 1.0]], 1.0),
        (0.25, 0.75, 0.5),
        ([float("nan"), 1.0], [1.0, 1.0], float("inf")),
    ],
)
def test_drift_of_every_form_of_encoding(one, two, far):
    import numpy as np

    assert drift(np.array(one), np.array(two)) == pytest.approx(far)
