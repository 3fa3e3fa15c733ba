"""Registries made by version 0.1.0 are read, loaded, audited and repaired as by 0.1.0.

What is expected was recorded by that version. `make.py` documents how it was made.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import pytest

import registry
from registry.catalog.migrate import REVISION
from tests.stored.conftest import command_in_this_process
from tests.stored.observe import (
    Run,
    encode,
    json_of,
    observe_audit,
    observe_catalog,
    observe_encodings,
    observe_pull,
    observe_repair,
    observe_status,
    token_ids,
)

UNDAMAGED = ("lineage", "merges", "hub")
REPOSITORIES = ("org/medical@v1", "org/medical@v2", "acme/medical", "alice/plain")


@pytest.mark.parametrize("name", UNDAMAGED)
def test_list_show_log_and_resolve_print_the_recorded_json(copy_of, name):
    stored = copy_of(name)

    assert_catalog_as_recorded(stored.run, stored.expected)


def assert_catalog_as_recorded(run: Run, expected: Mapping[str, Any]) -> None:
    """Compare the output of commands on a registry with the recorded output."""
    observed = observe_catalog(run)
    assert observed == {key: expected[key] for key in observed}


@pytest.mark.parametrize("name", UNDAMAGED)
def test_a_full_audit_reports_no_findings(copy_of, name):
    stored = copy_of(name)

    assert stored.expected["audit"]["findings"] == []
    assert observe_audit(stored.run) == stored.expected["audit"]


@pytest.mark.parametrize("name", UNDAMAGED)
def test_a_rebuilt_catalog_has_the_rows_of_the_stored_one(copy_of, name):
    stored = copy_of(name)
    files = sorted((stored.home / "catalog").glob("*.db"))
    with registry.open(stored.home) as reg:
        rows = reg.home.dump()
    # the stored catalog was migrated, and not made again from the journal
    migrated = stored.home / "catalog" / f"{REVISION}-000001.db"
    assert sorted((stored.home / "catalog").glob("*.db")) == [*files, migrated]
    shutil.rmtree(stored.home / "catalog")

    with registry.open(stored.home) as reg:
        assert reg.home.dump() == rows


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", UNDAMAGED)
def test_every_version_loads_and_encodes_as_recorded(copy_of, name):
    stored = copy_of(name)
    with registry.open(stored.home) as reg:
        for reference, expected in stored.expected["encodings"].items():
            model = reg.load(reference, device="cpu")
            plain = load_plainly(reg.checkout(reference).folder, type(model).__name__)

            assert token_ids(model) == token_ids(plain) == expected["ids"], reference
            numpy.testing.assert_array_equal(encode(model), encode(plain), reference)
            assert_near(observe_encodings(plain)["vectors"], expected["vectors"])
        yanked = [
            reference for reference, details in stored.expected["show"].items() if details["yanked"]
        ]
        assert all(any(reference in warning for reference in yanked) for warning in reg.warnings)


def test_a_stored_checkout_is_identified_and_loads_by_the_plain_library(copy_of):
    stored = copy_of("lineage")
    checkout = stored.root / "checkout"

    (match,) = json_of(stored.run, "find", checkout)
    vectors = observe_encodings(load_plainly(checkout, match["class"]))["vectors"]

    assert match["reference"] == "minilm-wide@1"
    assert_near(vectors, stored.expected["encodings"]["minilm-wide@1"]["vectors"])


def load_plainly(folder: Path, model_class: str) -> Any:
    """Load a folder by sentence-transformers alone."""
    import sentence_transformers

    return getattr(sentence_transformers, model_class)(
        str(folder), device="cpu", local_files_only=True
    )


def assert_near(vectors: Any, recorded: Any) -> None:
    """Compare vectors with rounded ones that another processor may have computed."""
    numpy.testing.assert_allclose(vectors, recorded, rtol=1e-4, atol=2e-5)


@pytest.mark.slow
def test_a_full_audit_reports_the_recorded_damage(copy_of):
    stored = copy_of("damaged")

    assert {finding["name"] for finding in stored.expected["audit"]["findings"]} == {
        "blob-damaged",
        "blob-missing",
        "catalog-damaged",
        "checkout-changed",
    }
    assert observe_audit(stored.run) == stored.expected["audit"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("source", ["lineage", "bundle", "nothing"])
def test_repair_restores_what_it_restored_from_the_same_source(copy_of, unpacked, source):
    stored = copy_of("damaged")
    sources = {
        "lineage": [unpacked("lineage") / "home"],
        "nothing": [],
        "bundle": [unpacked("bundles") / "versions.tar"],
    }[source]

    report = observe_repair(stored.run, *sources)

    expected = stored.expected["repair"][source]
    # Since 0.2 repair ends as `audit --full` does: a changed checkout is left.
    assert report == {**expected["report"], "code": expected["audit"]["code"]}
    assert observe_audit(stored.run) == expected["audit"]


@pytest.mark.slow
def test_a_repaired_registry_equals_the_undamaged_one(copy_of, unpacked):
    stored, undamaged = copy_of("damaged"), copy_of("lineage")

    observe_repair(stored.run, unpacked("lineage") / "home")

    assert_catalog_as_recorded(stored.run, undamaged.expected)
    with registry.open(stored.home) as reg, registry.open(undamaged.home) as original:
        assert reg.home.dump() == original.home.dump()
        # Its probes were missing, and the weights of its base were damaged.
        ids = token_ids(reg.load("medical@2", device="cpu"))
    assert ids == undamaged.expected["encodings"]["medical@2"]["ids"]


@pytest.mark.slow
def test_a_bundle_of_versions_is_imported_and_made_again_byte_for_byte(copy_of, unpacked, tmp_path):
    stored, bundle = copy_of("lineage"), unpacked("bundles") / "versions.tar"
    registry.init(tmp_path / "empty").close()
    run = command_in_this_process(tmp_path / "empty")

    imported = json_of(run, "pull", bundle)
    json_of(stored.run, "bundle", "medical@2", "words@1", "-o", tmp_path / "again.tar")

    assert {version["reference"] for version in imported["versions"]} == {"medical@2", "words@1"}
    assert sorted(imported["registered"]) == [
        "medical@2",
        "minilm-medical@1",
        "minilm-medical@2",
        "minilm-wide@2",
        "minilm@1",
        "minilm@2",
        "words@1",
    ]
    for reference in imported["registered"]:
        digest = stored.expected["show"][reference]["digest"]
        assert json_of(run, "resolve", reference)["digest"] == digest
    assert observe_audit(run)["findings"] == []
    assert (tmp_path / "again.tar").read_bytes() == bundle.read_bytes()


@pytest.mark.slow
def test_a_bundle_of_the_whole_registry_restores_it(copy_of, unpacked, tmp_path):
    stored = copy_of("lineage")
    run = command_in_this_process(tmp_path / "restored")

    json_of(run, "pull", unpacked("bundles") / "whole.tar")

    assert_catalog_as_recorded(run, stored.expected)
    # A bundle leaves out the blobs that only deleted versions have.
    audit, expected = observe_audit(run), stored.expected["audit"]
    assert audit["findings"] == []
    assert (audit["entries"], audit["head"]) == (expected["entries"], expected["head"])
    assert audit["blobs"] < expected["blobs"]


@pytest.mark.slow
def test_a_stored_receipt_agrees_with_the_journal_and_an_edited_one_does_not(
    copy_of, unpacked, tmp_path
):
    stored = copy_of("lineage")
    content = (unpacked("bundles") / "receipt.json").read_text()
    digest, number = json.loads(content)["digest"], json.loads(content)["number"]
    edited = tmp_path / "edited.json"
    edited.write_text(content.replace(digest, f"sha256:{'0' * 64}"))

    agreeing = observe_audit(stored.run, "--against", unpacked("bundles") / "receipt.json")
    differing = observe_audit(stored.run, "--against", edited)

    assert 1 < number < stored.expected["audit"]["entries"]
    assert agreeing == stored.expected["audit"]
    assert [finding["name"] for finding in differing["findings"]] == ["journal-rewritten"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("repository", REPOSITORIES)
def test_a_pull_from_a_stored_repository_registers_the_recorded_digests(
    copy_of, stored_hub, run_online, tmp_path, repository
):
    registry.init(tmp_path / "empty").close()

    pulled = observe_pull(run_online(tmp_path / "empty"), repository)

    assert pulled == copy_of("hub").expected["pull"][repository]


def test_published_versions_have_the_recorded_state_and_are_not_sent_again(
    copy_of, stored_hub, run_online
):
    stored = copy_of("hub")
    run = run_online(stored.home)

    assert observe_status(run) == stored.expected["status"]
    pushed = json_of(run, "push", "medical@2", "--to", "org/medical")
    assert [version["what"] for version in pushed["sent"]] == ["already"] * 3
    assert {request.method for request in stored_hub.requests} == {"GET"}


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("name", "base", "adapter"),
    [
        ("lineage", "minilm-wide@1", "medical@1"),
        ("merges", "medical-wide@1", "upper@1"),
        ("hub", "minilm-medical@1", "medical@2"),
    ],
)
def test_versions_are_added_to_a_stored_registry(copy_of, tmp_path, name, base, adapter):
    stored = copy_of(name)
    with registry.open(stored.home) as reg:
        entries = len(reg.log())
        size = reg.show(base).facts.vocabulary.size
        trained = change_adapter(
            reg.checkout(adapter, tmp_path / "trained").folder,
            reg.checkout(base, tmp_path / "base").folder,
        )

        added = reg.add(trained, "second-training", alias="candidate")
        resized = reg.resize(base, "wider", ["hylantrex"])
        reg.alias(adapter, "previous")

        assert [row.kind for row in reversed(reg.log())][entries:] == [
            "Register",
            "Alias",
            "Register",
            "Alias",
        ]
        assert (added.parent, added.evidence, resized.parent) == (base, "witnessed", base)
        assert reg.resolve(f"{adapter.partition('@')[0]}@previous").reference == adapter
        model = reg.load("wider@1", device="cpu")
        assert model.tokenizer("hylantrex")["input_ids"][1:-1] == [size]
        model = reg.load("second-training@candidate", device="cpu")
        assert reg.version_of(model).digest == added.digest
    report = observe_audit(stored.run)
    assert (report["code"], report["findings"]) == (0, [])


def test_an_adapter_trained_on_a_stored_checkout_has_it_as_witnessed_parent(copy_of, tmp_path):
    stored = copy_of("lineage")
    with registry.open(stored.home) as reg:
        adapter = reg.checkout("medical@1", tmp_path / "trained").folder

        added = reg.add(change_adapter(adapter, stored.root / "checkout"), "new", measure=False)

    assert (added.parent, added.evidence) == ("minilm-wide@1", "witnessed")


def change_adapter(adapter: Path, base: Path) -> Path:
    """Change the weights of an adapter's checkout, as training on a base would do."""
    from safetensors.numpy import load_file, save_file

    shutil.rmtree(adapter / ".registry")
    weights = adapter / "adapter_model.safetensors"
    tensors = {name: tensor * numpy.float32(1.5) for name, tensor in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    config = adapter / "adapter_config.json"
    fields = json.loads(config.read_text()) | {"base_model_name_or_path": str(base)}
    config.write_text(json.dumps(fields))
    return adapter
