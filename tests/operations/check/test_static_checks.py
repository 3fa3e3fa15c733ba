"""Static checks of versions that were registered by older rules."""

from __future__ import annotations

import dataclasses

import pytest

import registry
from registry.operations.check.stages import Stage
from registry.operations.check.static_checks import structure
from registry.operations.shared.resolve import named
from tests.support import hand, plain


@pytest.mark.slow
def test_an_adapter_accepted_by_its_schema_1_digest_is_warned_of(tmp_path):
    base = plain.base(tmp_path / "base")
    hand.edit(base / "tokenizer_config.json", lambda config: config.update(do_lower_case=False))
    adapter = plain.adapter(tmp_path / "adapter", base)
    hand.edit(adapter / "tokenizer_config.json", lambda config: config.update(do_lower_case=False))
    (base / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    (adapter / "sentence_bert_config.json").write_text("{}")
    parent = hand.parent(base)
    read = hand.candidate(adapter, parent)
    folder = Stage("adapter", None, read.files, read.layout, read.inspection, parent)
    with registry.init(tmp_path / "home") as reg:
        reg.add(base, "minilm", measure=False)
        version = named(reg._home, "minilm@1")

    verdicts = [
        {outcome.check: outcome.verdict for outcome in structure(stage)}["adapter-tokenizer"]
        for stage in (folder, dataclasses.replace(folder, version=version))
    ]

    assert verdicts == ["failed", "warned"]
