from __future__ import annotations

import json
from pathlib import Path

import pytest

import registry
from tests.support import plain


@pytest.mark.parametrize(("name", "warned"), [("sentence_embedding", False), ("token_embeddings", True)])
def test_what_an_older_library_left_out_is_what_a_newer_one_writes(tmp_path: Path, name: str, warned: bool) -> None:
    base = plain.base(tmp_path / "base")
    adapter = plain.adapter(tmp_path / "adapter", base)
    (adapter / "2_Normalize").mkdir(exist_ok=True)
    (adapter / "2_Normalize" / "config.json").write_text(json.dumps({"module_input_name": name}))

    with registry.init(tmp_path / "home") as opened:
        opened.add(base, "minilm", measure=False)
        added = opened.add(adapter, "medical", parent="minilm@1", measure=False)

    assert any("Normalize.module_input_name" in warning for warning in added.warnings) == warned
