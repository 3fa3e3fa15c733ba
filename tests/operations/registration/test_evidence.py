"""Declared parents against recorded, Hub and path evidence of what an adapter was
trained on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from safetensors.numpy import save_file

import registry
from registry.errors import AmbiguousParent, Invalid, ParentMismatch, ParentNotFound
from tests.operations.conftest import ADDED
from tests.support import hand, plain
from tests.support.refusals import raises


def named(folder: Path, base: str | Path, revision: str | None = None) -> Path:
    """Let an adapter's configuration name another base; its times stay as they are."""
    path = folder / "adapter_config.json"
    stat = path.stat()
    config = json.loads(path.read_text())
    path.write_text(
        json.dumps({**config, "base_model_name_or_path": str(base), "revision": revision})
    )
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return folder


@pytest.fixture
def versions(reg, tmp_path):
    """res@1 and res@2: equal tokens, other weights."""
    for number in (1, 2):
        folder = plain.base(tmp_path / f"res-{number}", seed=number, added=ADDED)
        reg.add(folder, "res", measure=False)
    return reg


@pytest.fixture
def adapter(tmp_path) -> Path:
    return plain.adapter(tmp_path / "adapter", tmp_path / "res-1", added=ADDED)


def parent_of(reg, reference: str = "medical@1") -> tuple[str, str]:
    edge = reg.resolve(reference).parents[0]
    return edge.reference, edge.evidence


@pytest.fixture(params=["marker", "path", "relative", "commit", "folder"])
def evident(request, versions, adapter, tmp_path, monkeypatch):
    """An adapter of which evidence of each kind names res@1, and the kind that is
    recorded.
    """
    if request.param == "folder":
        return adapter, "path"
    if request.param == "commit":
        cache, commit = tmp_path / "hub", "c" * 40
        snapshot = cache / "models--org--base" / "snapshots" / commit
        shutil.copytree(plain.base(tmp_path / "published", seed=7, added=ADDED), snapshot)
        monkeypatch.setenv("HF_HUB_CACHE", str(cache))
        versions.add(snapshot, "res", measure=False)
        return named(adapter, "org/base", commit), "hub"
    folder = versions.checkout("res@1").folder
    if request.param == "path":
        shutil.rmtree(folder)
    return named(adapter, folder.name if request.param == "relative" else folder), "witnessed"


def test_a_bare_name_means_the_version_that_evidence_names(versions, evident):
    folder, kind = evident
    trained_on = "res@3" if kind == "hub" else "res@1"
    versions.add(plain.base(folder.parent / "later", seed=9, added=ADDED), "res", measure=False)

    versions.add(folder, "medical", parent="res", measure=False)

    assert parent_of(versions) == (trained_on, kind)


def test_a_declaration_against_evidence_is_refused_and_recorded_if_forced(versions, evident):
    folder, kind = evident
    trained_on = "res@3" if kind == "hub" else "res@1"
    with raises(ParentMismatch, trained_on, "res@2", check="parent-evidence"):
        versions.add(folder, "medical", parent="res@2", measure=False)
    versions.alias("res@2", "prod")
    with raises(ParentMismatch, trained_on, "res@2", check="parent-evidence"):
        versions.add(folder, "medical", parent="res@prod", measure=False)

    added = versions.add(
        folder, "medical", parent="res@2", force=["parent-evidence"], measure=False
    )

    assert parent_of(versions) == ("res@2", "given")
    assert added.version.forced == ("parent-evidence",)
    [record] = added.version.source["fix"]
    assert trained_on in record
    assert str(versions.resolve(trained_on).digest.short) in record


def test_a_declaration_that_agrees_is_recorded_with_its_evidence(versions, evident):
    folder, kind = evident
    trained_on = "res@3" if kind == "hub" else "res@1"

    versions.add(folder, "medical", parent=trained_on, measure=False)

    assert parent_of(versions) == (trained_on, kind)
    assert versions.resolve("medical@1").forced == ()


@pytest.mark.parametrize("is_there", [True, False])
def test_an_equal_name_in_another_registry_is_another_base(versions, adapter, tmp_path, is_there):
    with registry.init(tmp_path / "other") as other:
        other.add(plain.base(tmp_path / "foreign", seed=5, added=ADDED), "res", measure=False)
        folder = other.checkout("res@1").folder
        digest = other.resolve("res@1").digest
    if not is_there:
        shutil.rmtree(folder)
    named(adapter, folder)

    for declared in ("res", "res@1"):
        with raises((ParentMismatch, AmbiguousParent)) as refused:
            versions.add(adapter, "medical", parent=declared, measure=False)
        if refused.type is ParentMismatch:
            assert digest.short in str(refused.value)


def test_the_same_files_registered_elsewhere_are_the_same_base(versions, adapter, tmp_path):
    """Another parent gives another manifest digest, and the same model."""
    with registry.init(tmp_path / "other") as other:
        other.add(plain.base(tmp_path / "root"), "root", measure=False)
        other.add(tmp_path / "res-1", "res", parent="root@1", measure=False)
        folder = other.checkout("res@1").folder
        assert other.resolve("res@1").digest != versions.resolve("res@1").digest
    named(adapter, folder)

    versions.add(adapter, "medical", parent="res", measure=False)

    assert parent_of(versions) == ("res@1", "witnessed")


def test_a_bare_name_without_evidence_is_refused_if_several_versions_fit(versions, adapter):
    named(adapter, "/nowhere/base")

    with raises(AmbiguousParent, "res@1", "res@2", "--parent"):
        versions.add(adapter, "medical", parent="res", measure=False)


@pytest.mark.parametrize("state", ["yanked", "checkpoint", "other tokens"])
def test_a_bare_name_without_evidence_means_the_only_version_that_fits(
    reg, adapter_of_second, state
):
    reg, folder = adapter_of_second(state)

    reg.add(folder, "medical", parent="res", measure=False)

    assert parent_of(reg) == ("res@2", "given")


@pytest.fixture
def adapter_of_second(reg, tmp_path):
    def make(state):
        words = plain.WORDS if state != "other tokens" else tuple(reversed(plain.WORDS[5:]))
        words = (*plain.WORDS[:5], *words) if state == "other tokens" else words
        first = plain.base(tmp_path / "1", seed=1, words=words, added=ADDED)
        second = plain.base(tmp_path / "2", seed=2, added=ADDED)
        reg.add(first, "res", measure=False)
        reg.add(second, "res", measure=False)
        if state == "yanked":
            reg.yank("res@1", reason="bad")
        if state == "checkpoint":
            reg.delete("res@1")
        if state == "other tokens":
            reg.add(
                plain.base(tmp_path / "3", seed=3, words=words, added=ADDED), "res", measure=False
            )
        return reg, named(plain.adapter(tmp_path / "adapter", second, added=ADDED), "/nowhere/x")

    return make


def test_a_check_of_a_folder_reports_a_declaration_against_evidence(versions, adapter):
    named(adapter, versions.checkout("res@1").folder)

    checked = versions.check(adapter, parent="res@2", measure=False)

    [outcome] = [item for item in checked.outcomes if item.check == "parent-evidence"]
    assert outcome.verdict == "failed"
    assert "res@1" in outcome.message


def move(source: Path, target: Path) -> None:
    shutil.rmtree(target)
    source.rename(target)


def copy(source: Path, target: Path) -> None:
    shutil.rmtree(target)
    subprocess.run(["cp", "-a", source, target], check=True)


def unpack(source: Path, target: Path) -> None:
    archive = target.parent / "base.tar"
    subprocess.run(["tar", "cf", archive, "-C", source, "."], check=True)
    shutil.rmtree(target)
    target.mkdir()
    subprocess.run(["tar", "xpf", archive, "-C", target], check=True)


def move_file(source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.is_file():
            path.replace(target / path.name)


def link_files(source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.is_file():
            (target / path.name).unlink()
            os.link(path, target / path.name)


def move_above(source: Path, target: Path) -> None:
    shutil.move(target.parent, target.parent.with_name("before"))
    source.parent.rename(target.parent)
    (target.parent / source.name).rename(target)


def move_far_above(source: Path, target: Path) -> None:
    """Only the folder above the model's own is replaced, and then gets another entry."""
    other = target.parent.with_name("prepared")
    other.mkdir()
    shutil.copytree(source, other / target.name)
    target.parent.rename(target.parent.with_name("before"))
    other.rename(target.parent)
    (target.parent / "more").mkdir()


def link_folder(source: Path, target: Path) -> None:
    shutil.rmtree(target)
    target.symlink_to(source)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "replace",
    [move, copy, unpack, move_file, link_files, move_above, move_far_above, link_folder],
    ids=lambda item: item.__name__,
)
def test_an_older_base_that_was_moved_to_the_path_is_no_evidence(reg, tmp_path, replace):
    """All of these keep the modification times."""
    older = plain.base(tmp_path / "store" / "older", seed=1, added=ADDED)
    base = plain.base(tmp_path / "models" / "base", seed=2, added=ADDED)
    reg.add(older, "older", measure=False)
    reg.add(base, "res", measure=False)
    (tmp_path / "out").mkdir()
    adapter = plain.adapter(tmp_path / "out" / "adapter", base, added=ADDED)
    reg.add(adapter, "before", measure=False)
    assert parent_of(reg, "before@1") == ("res@1", "path")
    time.sleep(0.02)
    replace(older, base)

    with raises(ParentNotFound, str(base), "--parent older@1"):
        reg.add(adapter, "medical", measure=False)
    reg.add(adapter, "medical", parent="older@1", measure=False)
    assert parent_of(reg) == ("older@1", "given")


def test_a_moved_adapter_keeps_the_evidence(reg, tmp_path):
    base = plain.base(tmp_path / "models" / "base", added=ADDED)
    reg.add(base, "res", measure=False)
    (tmp_path / "elsewhere").mkdir()
    adapter = plain.adapter(tmp_path / "models" / "adapter", base, added=ADDED)
    time.sleep(0.02)
    plain.base(tmp_path / "models" / "later", seed=4)
    copied = Path(shutil.copytree(adapter, tmp_path / "elsewhere" / "adapter"))

    reg.add(copied, "medical", measure=False)

    assert parent_of(reg) == ("res@1", "path")


def test_a_check_that_is_unknown_is_still_refused(versions, adapter):
    with pytest.raises(Invalid):
        versions.add(adapter, "medical", parent="res@2", force=["parent"], measure=False)


def test_an_audit_names_what_was_registered_against_evidence(versions, adapter, tmp_path):
    """As versions before 0.2 registered it: declared, without a check and without its
    id.
    """
    folder = versions.checkout("res@1").folder
    digest = versions.resolve("res@1").digest
    shutil.rmtree(folder)
    named(adapter, "/nowhere/base")
    versions.add(adapter, "medical", parent="res@2", measure=False)
    versions.add(named(adapter, folder), "right", parent="res@1", measure=False)
    assert not versions.audit().findings
    log = tmp_path / "home" / "local" / "sources.jsonl"
    log.write_text(log.read_text().replace("/nowhere/base", str(folder)))

    versions.add(named(adapter, "/nowhere/base"), "copy", parent="res@2", measure=False)

    finding, copy = versions.audit().findings

    assert finding.name == "parent-evidence"
    assert {finding.versions, copy.versions} == {("medical@1",), ("copy@1",)}
    assert "res@1" in finding.what
    assert digest.short in finding.what
    assert "--parent res@1" in finding.mend


def test_an_audit_does_not_name_what_was_forced(versions, adapter):
    named(adapter, versions.checkout("res@1").folder)
    versions.add(adapter, "medical", parent="res@2", force=["parent-evidence"], measure=False)

    assert not versions.audit().findings


def test_a_base_that_was_resized_in_memory_is_no_evidence(reg, tmp_path):
    """The configuration names what was loaded; the tokens show that it was changed
    then.
    """
    reg.add(plain.base(tmp_path / "base"), "minilm", measure=False)
    reg.add(plain.base(tmp_path / "resized", added=ADDED), "resized", measure=False)
    adapter = plain.adapter(tmp_path / "adapter", tmp_path / "resized", added=ADDED)
    named(adapter, reg.checkout("minilm@1").folder)

    reg.add(adapter, "medical", parent="resized", measure=False)

    assert parent_of(reg) == ("resized@1", "given")


def test_a_half_precision_adapter_on_a_float32_base_is_reported(versions, adapter):
    named(adapter, versions.checkout("res@1").folder)
    whole = versions.add(adapter, "medical", measure=False)
    assert not any("F16" in line for line in whole.warnings)
    values = hand.tensors(adapter / "adapter_model.safetensors")
    half = {name: value.astype("float16") for name, value in values.items()}
    save_file(half, adapter / "adapter_model.safetensors")

    added = versions.add(adapter, "half", parent="res@1", measure=False)

    assert any("F16" in line and "registry.save" in line for line in added.warnings)
