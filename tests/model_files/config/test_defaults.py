from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import registry
from tests.support import lively, plain, small
from tests.support.hand import edit


@pytest.mark.parametrize(
    ("name", "warned"), [("sentence_embedding", False), ("token_embeddings", True)]
)
def test_what_an_older_library_left_out_is_what_a_newer_one_writes(
    tmp_path: Path, name: str, warned: bool
) -> None:
    base = plain.base(tmp_path / "base")
    adapter = plain.adapter(tmp_path / "adapter", base)
    (adapter / "2_Normalize").mkdir(exist_ok=True)
    (adapter / "2_Normalize" / "config.json").write_text(json.dumps({"module_input_name": name}))

    with registry.init(tmp_path / "home") as opened:
        opened.add(base, "minilm", measure=False)
        added = opened.add(adapter, "medical", parent="minilm@1", measure=False)

    assert any("Normalize.module_input_name" in warning for warning in added.warnings) == warned


@pytest.mark.parametrize("build", [small.dense, small.sparse, small.multi_vector])
def test_a_class_has_the_similarity_of_its_class_where_its_folder_names_none(
    tmp_path: Path, build: Any
) -> None:
    folder = build(tmp_path / "base")
    name = lively.loaded(
        folder, json.loads((folder / "config_sentence_transformers.json").read_text())["model_type"]
    ).similarity_fn_name
    silent = Path(shutil.copytree(folder, tmp_path / "silent"))
    for place, value in ((folder, name), (silent, None)):
        edit(
            place / "config_sentence_transformers.json",
            lambda config, value=value: config.update(similarity_fn_name=value),
        )

    with registry.init(tmp_path / "home") as opened:
        opened.add(silent, "base", measure=False)
        added = opened.add(folder, "model", parent="base@1", measure=False)
        found = opened.diff("base@1", "model@1")

    assert added.warnings == ()
    assert not [change for change in found.settings if change.area == "similarity"]


def test_a_model_of_pylate_has_the_similarity_that_pylate_calls_otherwise(tmp_path: Path) -> None:
    folder = small.multi_vector(tmp_path / "base")
    edit(
        folder / "config_sentence_transformers.json",
        lambda config: config.update(similarity_fn_name="MaxSim"),
    )

    with registry.init(tmp_path / "home") as opened:
        opened.add(folder, "base")

        assert opened.load("base@1").similarity_fn_name == "maxsim"


def test_a_dtype_that_no_file_names_is_that_of_the_weights(tmp_path: Path) -> None:
    named = small.dense(tmp_path / "named")
    silent = Path(shutil.copytree(named, tmp_path / "silent"))
    edit(silent / "config.json", lambda config: config.pop("dtype"))
    assert str(lively.loaded(silent, "SentenceTransformer").dtype) == "torch.float32"

    with registry.init(tmp_path / "home") as opened:
        opened.add(silent, "base", measure=False)
        added = opened.add(named, "model", parent="base@1", measure=False)
        found = opened.diff("base@1", "model@1")

    assert added.warnings == ()
    assert not found.settings and found.advice.keep
