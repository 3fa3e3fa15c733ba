"""Bundles of models with custom code: the code travels, a version's approval does not."""

from __future__ import annotations

from pathlib import Path

import pytest

import registry
from registry.errors import ForeignCode
from tests.support.custom_code import model_with_code
from tests.support.refusals import raises


@pytest.fixture
def home(tmp_path: Path) -> registry.Registry:
    """A registry with one model whose code is approved."""
    reg = registry.init(tmp_path / "home")
    reg.add(model_with_code(tmp_path / "model"), "model", trust_code=True, measure=False)
    return reg


def approved(reg: registry.Registry) -> list[str]:
    """Return the code digests of the Approve entries."""
    return [row.body["code"] for row in reg.log() if row.kind == "Approve"]


def test_a_bundle_of_versions_brings_code_without_its_approval(
    home: registry.Registry, tmp_path: Path
) -> None:
    """The version is registered, and its code does not run before it is approved here."""
    home.bundle("model@1", tmp_path / "model.tar")
    (code,) = approved(home)
    other = registry.init(tmp_path / "other")
    other.pull(str(tmp_path / "model.tar"))
    assert other.resolve("model@1").digest == home.resolve("model@1").digest
    assert (other.checkout("model@1").folder / "modeling_own.py").is_file()
    assert approved(other) == []
    with raises(ForeignCode, code, f"registry approve {code}"):
        other.load("model@1")
    assert other.approve("model@1").code == code
    assert approved(other) == [code]


def test_a_bundle_of_a_whole_registry_brings_its_approvals(
    home: registry.Registry, tmp_path: Path
) -> None:
    """It is the same registry: a withdrawn approval stays withdrawn, too."""
    home.bundle(output=tmp_path / "whole.tar", everything=True)
    home.approve("model@1", undo=True)
    home.bundle(output=tmp_path / "later.tar", everything=True)
    (code, _) = approved(home)
    for name, changed in (("whole", False), ("later", True)):
        restored = registry.Registry(tmp_path / name)
        restored.pull(str(tmp_path / f"{name}.tar"))
        assert restored.resolve("model@1").digest == home.resolve("model@1").digest
        assert (restored.checkout("model@1").folder / "modeling_own.py").is_file()
        assert restored.approve(code).changed is changed
        assert restored.audit(full=True).findings == ()
