"""Entry format 2, facts schema 2 and marker format 2, on registries of version 0.1.0.

The present version reads the old forms and goes on. Version 0.1.0 refuses the new ones
without writing. A form newer than both is refused before anything is measured.
"""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import registry
from registry.core import facts as _facts
from registry.core.digest import Digest, canonical, digest_of
from registry.core.entry import Approve, Entry, FactsUpdate, Format
from registry.errors import NewerFormat
from registry.store.checkout import MARKER
from tests.support.custom_code import model_with_code
from tests.support.refusals import raises

REFERENCE = "minilm@1"


def entry_files(home: Path) -> list[Path]:
    return sorted((home / "journal").iterdir())


def contents(home: Path) -> dict[str, bytes]:
    """Return every file of a registry except locks and the logs of SQLite."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.name.endswith((".lock", "-wal", "-shm"))
    }


def append(home: Path, **fields: object) -> None:
    """Append an entry of any form to a journal, as another package would."""
    last = json.loads(entry_files(home)[-1].read_bytes())
    value = {
        **{key: last[key] for key in ("time", "by", "kind", "body", "format")},
        "id": "0" * 32,
        "number": last["number"] + 1,
        "previous": last["digest"],
        **fields,
    }
    content = canonical({**value, "digest": digest_of(canonical(value))})
    (home / "journal" / f"{value['number']:020}.json").write_bytes(content)


def test_the_first_entry_of_format_2_is_announced_once(copy_of) -> None:
    stored = copy_of("lineage")
    before = entry_files(stored.home)
    with registry.open(stored.home) as reg:
        reg.alias(REFERENCE, "first")
        announced = reg.warnings
        reg.alias(REFERENCE, "second")
        assert reg.warnings == ()

    assert [warning for warning in announced if "format 2" in warning and "0.1" in warning]
    entries = [json.loads(path.read_bytes()) for path in entry_files(stored.home)]
    assert {entry["format"] for entry in entries[: len(before)]} == {1}
    assert [entry["format"] for entry in entries[len(before) :]] == [2, 2]


def test_a_new_registry_announces_nothing(tmp_path: Path) -> None:
    with registry.init(tmp_path / "home") as reg:
        assert reg.home.journal.read(1).format == 2
        assert reg.warnings == ()


def test_an_entry_names_the_login_and_the_user_id_of_its_process(copy_of, monkeypatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    stored = copy_of("lineage")
    with registry.open(stored.home) as reg:
        reg.alias(REFERENCE, "prod-2")

    entry = json.loads(entry_files(stored.home)[-1].read_bytes())
    assert (entry["login"], entry["uid"]) == (pwd.getpwuid(os.getuid()).pw_name, os.getuid())
    assert entry["by"] == "Vera Rubin <vera@example.org>"


def test_neither_login_nor_user_id_leaves_with_a_version(copy_of, tmp_path) -> None:
    stored = copy_of("lineage")
    identity = ("ada-of-accounting", 4_242_424)
    with registry.open(stored.home) as reg:
        manifest = reg.show("minilm@1").version
        body = reg.home.journal.read(_registering(reg, manifest.digest)).body
        last = reg.home.journal.read(reg.home.journal.last())
        entry = Entry(
            last.number + 1,
            "1" * 32,
            last.time,
            "ada",
            replace(body, name="copied", number=1),
            last.digest,
            *identity,
        )
        reg.home.journal.append(entry)
        reg.bundle("copied@1", tmp_path / "versions.tar")
        reg.bundle((), tmp_path / "home.tar", everything=True)

    traces = [str(value).encode() for value in identity]
    versions, backup = (tmp_path / name for name in ("versions.tar", "home.tar"))
    assert b'"copied"' in versions.read_bytes()
    assert not any(trace in versions.read_bytes() for trace in traces)
    assert all(trace in backup.read_bytes() for trace in traces)


def _registering(reg: registry.Registry, digest: Digest) -> int:
    rows = [row for row in reg.log(kind="register") if row.body["manifest"] == digest]
    return rows[-1].entry


@pytest.mark.parametrize("lost", ["last", "earlier"])
def test_repair_restores_an_entry_of_format_2_from_the_catalog(copy_of, lost) -> None:
    stored = copy_of("lineage")
    with registry.open(stored.home) as reg:
        reg.alias(REFERENCE, "first")
        reg.alias(REFERENCE, "second")
    path = entry_files(stored.home)[-1 if lost == "last" else -2]
    content = path.read_bytes()
    path.unlink()

    with registry.open(stored.home) as reg:
        reg.repair()
        assert reg.audit().findings == ()

    assert path.read_bytes() == content


def test_the_new_kinds_of_entries_are_folded(copy_of) -> None:
    stored = copy_of("lineage")
    with registry.open(stored.home) as reg:
        home = reg.home
        version = reg.show("minilm@1").version
        old = _facts.parse(home.blobs.read(version.facts))
        new = replace(old, pipeline=digest_of(b"pipeline"))
        facts = home.blobs.add(new.to_bytes())
        home.record(lambda: FactsUpdate(version.name, version.number, facts, "schema 2"))
        home.record(lambda: Approve(digest_of(b"code"), "read by Ada"))
        home.record(lambda: Approve(digest_of(b"code"), undo=True))
        home.record(lambda: Format(()))

        assert reg.show("minilm@1").facts == new
        assert [row.kind for row in reg.log(limit=4)] == ["Format", "Approve", "Approve", "Facts"]
        before = reg.show("minilm@1", at=reg.log(limit=5)[-1].entry)
        assert before.facts == old
        rows = home.dump()
        home.renew()
        assert home.dump() == rows
        assert reg.audit().findings == ()


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["show", REFERENCE],
        ["load", REFERENCE],
        ["alias", REFERENCE, "again"],
        ["add", "FOLDER", "--as", "another", "--no-measure"],
    ],
    ids=lambda command: command[0],
)
def test_version_0_1_refuses_entries_of_format_2_without_writing(
    copy_of, old_package, command
) -> None:
    stored = copy_of("lineage")
    with registry.open(stored.home) as reg:
        reg.alias(REFERENCE, "first")
        folder = reg.checkout(REFERENCE, stored.root / "plain").folder
    before = contents(stored.home)

    run = partial(old_package.run, home=stored.home)
    arguments = [str(folder) if word == "FOLDER" else word for word in command]
    completed = run(*arguments, "--json")

    assert completed.code == 2, completed.err
    assert json.loads(completed.err)["error"]["kind"] == "NewerFormat"
    assert _durable(contents(stored.home)) == _durable(before)


def test_version_0_1_refuses_a_registry_with_custom_code(copy_of, old_package, tmp_path) -> None:
    stored = copy_of("lineage")
    folder = model_with_code(tmp_path / "coded")
    with registry.open(stored.home) as reg:
        reg.add(folder, "coded", trust_code=True, measure=False)
        features = [row.body["features"] for row in reg.log() if row.kind == "Format"]

    completed = old_package.run("checkout", "coded@1", "--json", home=stored.home)

    assert features == [["code"]]
    assert completed.code == 2, completed.err
    assert json.loads(completed.err)["error"]["kind"] == "NewerFormat"


def _durable(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.startswith("catalog/")}


@pytest.mark.slow
def test_version_0_1_goes_on_where_nothing_new_was_written(copy_of, old_package) -> None:
    stored = copy_of("lineage")
    with registry.open(stored.home) as reg:
        reg.list()
        reg.load(REFERENCE, device="cpu")
    run = partial(old_package.run, home=stored.home)

    assert run("list").code == 0
    assert run("checkout", REFERENCE).code == 0
    assert run("alias", REFERENCE, "again").code == 0
    with registry.open(stored.home) as reg:
        assert reg.resolve("minilm@again").reference == REFERENCE


@pytest.mark.slow
def test_a_checkout_has_the_marker_format_of_its_registry(copy_of, old_package) -> None:
    stored = copy_of("lineage")
    with registry.open(stored.home) as reg:
        first = reg.checkout(REFERENCE, stored.root / "first").folder
        reg.alias(REFERENCE, "written")
        second = reg.checkout(REFERENCE, stored.root / "second").folder
    markers = [json.loads((folder / MARKER).read_bytes()) for folder in (first, second)]

    assert [marker["format"] for marker in markers] == [1, 2]
    assert all(item["hashed_at"] > 0 for item in markers[1]["files"].values())
    merges = copy_of("merges")
    codes = [old_package.run("check", folder, home=merges.home).code for folder in (first, second)]
    assert codes[1] in (0, 2)


@pytest.mark.parametrize(
    "newer",
    [
        {"format": 3},
        {"kind": "Sweep", "format": 2},
        {"kind": "Format", "body": {"features": ["recipes"]}, "format": 2},
    ],
    ids=["format", "kind", "feature"],
)
def test_a_newer_form_is_refused_before_anything_is_measured_or_stored(copy_of, newer) -> None:
    stored = copy_of("lineage")
    with registry.open(stored.home) as reg:
        folder = reg.checkout(REFERENCE, stored.root / "plain").folder
        model = reg.load(REFERENCE, device="cpu")
    (folder / "README.md").write_text("Another model, so that it is not registered already.\n")
    append(stored.home, **newer)
    before = contents(stored.home)
    steps: list[str] = []

    with registry.open(stored.home) as reg:

        def note(step: str, current: int, total: int | None) -> None:
            steps.append(step)

        calls = [
            lambda: reg.add(folder, "another", progress=note),
            lambda: reg.save(model, "another", progress=note),
            lambda: reg.resize(REFERENCE, "another", ["zorvaxin-2"], progress=note),
            lambda: reg.load(REFERENCE, progress=note),
        ]
        for call in calls:
            with raises(NewerFormat, str(len(entry_files(stored.home)))):
                call()

    assert steps == []
    assert contents(stored.home) == before
