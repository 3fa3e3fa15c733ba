"""pull of models with custom code: refused, approved by a flag, never by the Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.errors import is_one_error
from tests.operations.hub.foreign.test_pull_converted import publish
from tests.support import lively, plain
from tests.support.custom_code import MODEL, change, model_with_code
from tests.support.hub.lines import Place
from tests.support.hub_server import HubServer


def hint_of(error: str) -> list[str]:
    """Return the arguments of the command at the end of a hint."""
    return error.strip().rpartition("registry pull ")[2].split()


def approvals(place: Place) -> list[dict[str, Any]]:
    """Return the Approve entries of a registry."""
    return [entry for entry in place.log() if entry["kind"] == "Approve"]


def test_code_is_refused_before_weights_are_fetched_and_the_hint_approves_it(
    there: Place, hub: HubServer, tmp_path: Path
) -> None:
    """The files and digests are printed first; approval is one journal entry."""
    folder = model_with_code(tmp_path / "coded")
    publish(hub, "org/coded", folder)

    refused = there.run("pull", "hf://org/coded", "--as", "own")
    assert is_one_error(refused.err)
    assert hub.asked("model.safetensors") == []
    assert approvals(there) == []
    command = hint_of(refused.err)
    assert command == ["hf://org/coded", "--as", "own", "--trust-code"]
    approved = there.run("pull", *command)

    assert approved.code == 0, approved.err
    for path in ("modeling_own.py", "configuration_own.py"):
        assert f"code: {path} sha256:" in approved.err
    (entry,) = approvals(there)
    assert entry["code"] in approved.err
    with there.registry as reg:
        files = [file.path for file in reg.show("own@1").files]
        assert "modeling_own.py" in files and "configuration_own.py" in files
        again = reg.add(folder, "again", measure=False)
        assert again.digest == reg.resolve("own@1").digest


@pytest.mark.slow
def test_a_line_with_code_needs_an_approval_of_its_own(
    there: Place, hub: HubServer, tmp_path: Path
) -> None:
    """The approval of the publisher does not travel."""
    folder = model_with_code(tmp_path / "coded")
    with there.registry as reg:
        reg.add(folder, "coded", trust_code=True, measure=False)
    there.ok("push", "coded@1", "--to", "org/coded")
    assert not any(b'"Approve"' in content for content in hub.files("org/coded").values())
    (entry,) = approvals(there)

    elsewhere = there.empty(tmp_path / "elsewhere")
    refused = elsewhere.run("pull", "hf://org/coded")
    assert is_one_error(refused.err)
    assert entry["code"] in refused.err
    elsewhere.ok("pull", *hint_of(refused.err))
    assert [other["code"] for other in approvals(elsewhere)] == [entry["code"]]
    assert elsewhere.digests() == there.digests()

    never = there.empty(tmp_path / "never")
    refused = never.run("pull", "hf://org/coded", "--trust-code", REGISTRY_CODE="never")
    assert is_one_error(refused.err)
    assert approvals(never) == []


def with_ignored_code(folder: Path) -> Path:
    """Make a model with an auto_map that replaces a class of the library."""
    plain.base(folder)
    change(folder / "config.json", auto_map={"AutoModel": "modeling_own.OwnModel"})
    (folder / "modeling_own.py").write_text("raise SystemExit(9)")
    return folder


def test_a_version_whose_code_was_ignored_is_pulled_without_it(
    there: Place, hub: HubServer, tmp_path: Path
) -> None:
    """The decision is recorded with the version, and nothing of its code is stored."""
    publish(hub, "org/foreign", with_ignored_code(tmp_path / "model"))
    refused = there.run("pull", "hf://org/foreign")
    assert "registry pull hf://org/foreign --ignore-code" in refused.err
    there.ok("pull", "hf://org/foreign", "--ignore-code")
    with there.registry as reg:
        version = reg.resolve("foreign@1")
        assert version.forced == ("custom-code",)
        assert version.source["converted"]["files"][0]["path"] == "modeling_own.py"
    there.ok("push", "foreign@1", "--to", "org/copy")
    elsewhere = there.empty(tmp_path / "elsewhere")
    elsewhere.ok("pull", "hf://org/copy")
    assert elsewhere.digests() == there.digests()
    assert approvals(elsewhere) == []


@pytest.mark.slow
def test_a_resized_base_is_pulled_without_the_ignored_code_of_its_parent(
    there: Place, hub: HubServer, tmp_path: Path
) -> None:
    """Its configuration still has the auto_map."""
    with there.registry as reg:
        folder = with_ignored_code(tmp_path / "model")
        reg.add(folder, "foreign", ignore_code=True, measure=False)
        reg.resize("foreign@1", "resized", ["zorvaxin"])
    there.ok("push", "resized@1", "--to", "org/resized", "--parents-to", "org")
    elsewhere = there.empty(tmp_path / "elsewhere")
    elsewhere.ok("pull", "hf://org/resized")
    assert elsewhere.digests() == there.digests()


@pytest.mark.slow
def test_auto_map_is_ignored_only_if_the_library_loads_the_model_completely(
    there: Place, hub: HubServer, tmp_path: Path
) -> None:
    """A tensor that the library's class does not use means that its code is needed."""
    import numpy
    from safetensors.numpy import load_file, save_file

    folder = plain.base(tmp_path / "model")
    references = {"AutoConfig": "x.BertConfig", "AutoModel": "x.BertModel"}
    change(folder / "config.json", auto_map=references)
    publish(hub, "org/native", folder)
    there.ok("pull", "hf://org/native")
    with there.registry as reg:
        assert reg.resolve("native@1").forced == ()
        assert reg.resolve("native@1").probes is not None

    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.0.attention.self.gate.weight"] = numpy.ones((8, 8), "float32")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    publish(hub, "org/gated", folder)
    refused = there.run("pull", "hf://org/gated")
    assert is_one_error(refused.err)
    assert "gate.weight" in refused.err
    there.ok("pull", "hf://org/gated", "--ignore-code")
    with there.registry as reg:
        assert reg.resolve("gated@1").forced == ("custom-code",)


@pytest.mark.slow
def test_code_of_another_repository_is_fetched_at_a_commit(
    there: Place, hub: HubServer, tmp_path: Path
) -> None:
    """The commit is recorded, and later changes of the repository do not matter."""
    folder = model_with_code(tmp_path / "model", repository="acme/impl.v1")
    publish(hub, "org/coded", folder)
    commit = publish(hub, "acme/impl.v1", tmp_path / "code")
    refused = there.run("pull", "hf://org/coded")
    assert is_one_error(refused.err)
    there.ok("pull", *hint_of(refused.err))
    there.ok("add", folder, "--as", "local", "--trust-code", "--no-measure")

    with there.registry as reg:
        version = reg.resolve("coded@1")
        assert version.digest == reg.resolve("local@1").digest
        recorded = {file["path"]: file for file in version.source["converted"]["files"]}
        for path in ("modeling_own.py", "configuration_own.py"):
            assert recorded[path]["repository"] == "acme/impl.v1"
            assert recorded[path]["commit"] == commit
        assert recorded["config.json"]["size"] == (folder / "config.json").stat().st_size
        checkout = reg.checkout("coded@1").folder
    assert (checkout / "code" / "acme__impl_dot_v1" / "modeling_own.py").is_file()
    auto_map = json.loads((checkout / "config.json").read_text())["auto_map"]
    assert auto_map["AutoModel"] == "code/acme__impl_dot_v1/modeling_own.OwnModel"

    hub.commit("acme/impl.v1", {"modeling_own.py": MODEL.format(scale="9.0").encode()})
    changed = there.run("pull", "hf://org/coded", "--as", "changed", "--trust-code")
    assert changed.code == 0
    with there.registry as reg:
        assert reg.resolve("changed@1").digest != version.digest


@pytest.mark.slow
def test_pulled_code_loads_as_the_plain_library_loads_it(
    there: Place, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code of another repository, offline, to the bit; also resized, and pushed on."""
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "hf"))
    monkeypatch.syspath_prepend(str(tmp_path / "hf"))
    texts = ("the patient takes one dose a day", "new doses")
    local = model_with_code(tmp_path / "local" / "model")
    expected = lively.encodings(
        lively.loaded(local, "SentenceTransformer", trust_remote_code=True), texts
    )
    folder = model_with_code(tmp_path / "apart" / "model", repository="acme/impl")
    publish(hub, "acme/coded", folder)
    publish(hub, "acme/impl", tmp_path / "apart" / "code")
    there.ok("pull", "hf://acme/coded", "--trust-code")
    with there.registry as reg:
        reg.resize("coded@1", "resized", ["zorvaxin"])
        for reference in ("coded@1", "resized@1"):
            assert lively.encodings(reg.load(reference), texts) == expected
            checkout = reg.checkout(reference).folder
            plainly = lively.loaded(checkout, "SentenceTransformer", trust_remote_code=True)
            assert lively.encodings(plainly, texts) == expected
    there.ok("push", "resized@1", "--to", "org/resized", "--parents-to", "org")
    elsewhere = there.empty(tmp_path / "elsewhere")
    elsewhere.ok("pull", "hf://org/resized", "--trust-code")
    assert len(approvals(elsewhere)) == 1
    with elsewhere.registry as reg:
        assert lively.encodings(reg.load("resized@1"), texts) == expected
