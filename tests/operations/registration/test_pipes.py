"""A pipe or a socket under a name of the home's: it is damage like any other, said and mended so, and nobody waits at it."""

from __future__ import annotations

import pytest

from registry.errors import BrokenChain, DigestMismatch, StoreUnavailable
from tests.operations.maintenance.audit.damage import blob, catalog_file, entry_file, names
from tests.support.pipes import pipe_at, socket_at
from tests.support.refusals import raises


def test_an_entry_is_damaged_and_comes_back(copied):
    with pipe_at(entry_file(copied, 3)):
        found = copied.audit().findings[0]
        copied.repair()

    assert (found.name, "a pipe, and no file" in found.what) == ("entry-damaged", True)
    assert names(copied) == []


def test_a_socket_is_no_entry_either(copied):
    socket_at(entry_file(copied, 3))

    assert "a socket, and no file" in copied.audit().findings[0].what


def test_an_entry_that_never_was_is_named_and_set_aside_where_the_journal_is_accepted(copied):
    with pipe_at(entry_file(copied, 5)):
        with raises(BrokenChain, str(entry_file(copied, 5))):
            copied.list()
        with raises(BrokenChain, str(entry_file(copied, 5))):
            copied.annotate("medical@1", {"a": "b"})
        copied.repair(accept_journal=True)

    assert names(copied) == []


def test_a_blob_is_damaged_and_adding_the_same_files_brings_it_back(copied, kept):
    adapter_config = blob(copied, "adapter_config.json")
    with pipe_at(adapter_config):
        with raises(DigestMismatch, f"sha256:{adapter_config.name}"):
            copied.read("medical@1:adapter_config.json")
        found = names(copied, full=True)
        copied.add(kept / "medical", "again", measure=False)

    assert found == ["blob-size"]
    assert names(copied, full=True) == []


def test_a_library_is_not_given_a_blob_to_wait_at(copied):
    place = blob(copied, "adapter_model.safetensors")
    digest = next(
        file.digest
        for file in copied.show("medical@1").files
        if file.path == "adapter_model.safetensors"
    )

    with pipe_at(place):
        assert copied.home.blobs.path(digest) is None


@pytest.mark.parametrize("suffix", ["", "-journal", "-wal"])
def test_a_catalog_is_damaged_and_made_anew(copied, suffix):
    copied.close()
    place = catalog_file(copied)

    with pipe_at(place.with_name(place.name + suffix)):
        found = names(copied)
        models = [model.name for model in copied.list()]

    assert found == ["catalog-damaged"]
    assert models == ["medical", "minilm", "minilm-medical"]
    assert "is a pipe, and not a database" in copied.warnings[0]
    assert names(copied) == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("adapter_config.json", "is missing or unreadable"),
        (".registry/marker.json", "no readable marker"),
    ],
)
def test_a_checkout_was_changed_and_is_made_anew(copied, path, said):
    folder = copied.checkout("medical@1").folder

    with pipe_at(folder / path):
        again = copied.checkout("medical@1")

    assert (again.folder, again.fresh) == (folder, True)
    assert said in copied.warnings[0]
    assert names(copied, full=True) == []


def test_settings_that_cannot_be_read_are_said_to_be_that(copied):
    copied.config("user.name", "anna")
    config = copied.settings.home / "local" / "config.json"

    with pipe_at(config), raises(StoreUnavailable, str(config)):
        copied.annotate("medical@1", {"a": "b"})
