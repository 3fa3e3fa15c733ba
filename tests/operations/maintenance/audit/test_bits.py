"""Flipped bits: each byte of a small store, and of its catalog. A flip is found, or the content is what it was to the last row.

THREATS, bars 5 and 6. Store, database and log are taken apart in memory, flip by flip. Every byte of the database takes minutes:
EVERY_BYTE=1 does that, and of entries every bit; else the header is flipped whole, and of the rest a byte in some, another share of
them each day.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

import pytest

import registry
from registry.catalog.compare import Snapshot, golden
from registry.catalog.rebuild import Tally
from registry.errors import CatalogDiverged, RegistryError
from registry.store.blobs import Blobs
from registry.store.journal import Journal
from registry.store.memory import MemoryBackend
from tests.operations.maintenance.audit.damage import (
    catalog_file,
    dump,
    entry_file,
    flipped,
    names,
    overwrite,
)

EVERY_BYTE = bool(os.environ.get("EVERY_BYTE"))
SAMPLED = 101
"""A byte in how many of the database is flipped, where not all are."""


def put(backend: MemoryBackend, name: str, content: bytes) -> None:
    with backend.stage() as staged:
        staged.write(content)
        staged.publish(name, replace=True)


def test_every_flipped_byte_of_every_entry_is_found(copied):
    backend, places = MemoryBackend(), 0
    journal = Journal(backend)
    for number in range(1, copied.home.journal.last() + 1):
        content, name = entry_file(copied, number).read_bytes(), f"journal/{number:020}.json"
        put(backend, name, content)
        assert journal.read(number) is not None
        for place in range(len(content)):
            for bit in range(8) if EVERY_BYTE else [place % 8]:
                put(backend, name, flipped(content, place, bit))
                with pytest.raises(RegistryError):
                    journal.read(number)
                places += 1
    assert places > 3000


def test_every_flipped_byte_of_every_blob_is_found(copied):
    """A blob is read by its digest alone, so one that holds other bytes is found whatever they are; of large ones a share, where not all."""
    backend, places = MemoryBackend(), 0
    blobs = Blobs(backend)
    for digest, stat in list(copied.home.blobs.all()):
        content = copied.home.blobs.read(digest)
        step = 1 if EVERY_BYTE else stat.size // 200 + 1
        for place in {stat.size - 1, *range(random.randrange(step), stat.size, step)}:
            put(
                backend,
                f"blobs/sha256/{digest.hex[:2]}/{digest.hex}",
                flipped(content, place, place % 8),
            )
            assert not blobs.verify(digest), f"byte {place} of {digest}"
            places += 1
    assert places > 1000


@pytest.fixture
def plain_catalog(copied, tmp_path):
    """The bytes of a catalog without a log, in pages of 512 bytes: of those that it has on the disk five sixths are empty."""
    copied.alias("medical@1", "prod")
    copied.annotate("medical@1", {"owner": "anna", "mrr": "0.5"})
    dump(copied)
    copied.close()
    path = tmp_path / "plain.db"
    shutil.copy(catalog_file(copied), path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        connection.execute("PRAGMA page_size=512")
        connection.execute("VACUUM")
    connection.close()
    return path.read_bytes()


def looked_at(content: bytes) -> Snapshot:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(content)
    return Snapshot(connection, "catalog")


def tally_of(content: bytes) -> Tally:
    tally = Tally()
    with looked_at(content) as snapshot:
        for table in snapshot.tables():
            for rows in snapshot.rows(table):
                tally.put(table, rows)
    return tally


def is_found(snapshot: Snapshot, expected: Tally) -> bool:
    """What audit asks of a catalog, in its order."""
    try:
        return (
            not snapshot.same_schema(golden())
            or bool(snapshot.counted().unlike(expected))
            or snapshot.broken_index() is not None
        )
    except CatalogDiverged:
        return True


@pytest.mark.slow
def test_every_flipped_bit_of_a_catalog_is_found_or_changes_no_row(plain_catalog):
    content, expected = plain_catalog, tally_of(plain_catalog)
    assert not is_found(looked_at(content), expected)
    start, step = (0, 1) if EVERY_BYTE else (time.localtime().tm_yday % SAMPLED, SAMPLED)
    places = [*range(100), *range(100 + start, len(content), step)]
    found, undetected, right = 0, [], answers(content)
    for place in places:
        changed = flipped(content, place, place % 8)
        if catalog_is_found(changed, expected):
            found += 1
        elif says_otherwise(changed, right):
            undetected.append(place)
    print(
        f"{len(places)} flips of a catalog of {len(content)} bytes: {found} found, {len(places) - found} harmless"
    )
    assert undetected == []
    assert found > 20


def says_otherwise(content: bytes, right: list[list[object]]) -> bool:
    try:
        return answers(content) != right
    except (sqlite3.Error, UnicodeDecodeError):
        return True


def test_a_cell_of_an_index_that_says_another_length_is_found_although_sqlite_finds_nothing(
    plain_catalog,
):
    """Found by the run over every byte: reading through that index failed, and integrity_check said ok."""
    expected, right = tally_of(plain_catalog), answers(plain_catalog)
    places = [
        match.end() for match in re.finditer(rb"model\.safetensors[\x01-\x7f]", plain_catalog)
    ]
    flips = [flipped(plain_catalog, place, bit) for place in places for bit in range(8)]

    broken = [content for content in flips if says_otherwise(content, right)]

    assert broken
    assert all(catalog_is_found(content, expected) for content in broken)


def catalog_is_found(content: bytes, expected: Tally) -> bool:
    try:
        with looked_at(content) as snapshot:
            return is_found(snapshot, expected)
    except (CatalogDiverged, sqlite3.Error):
        return True


QUESTIONS = (
    "SELECT * FROM entries ORDER BY number",
    "SELECT * FROM versions ORDER BY name, number, since",
    "SELECT * FROM files ORDER BY manifest, path",
    "SELECT digest FROM files ORDER BY digest",
    "SELECT * FROM aliases ORDER BY name, alias, since",
    "SELECT * FROM notes ORDER BY name, number, key",
    "SELECT content, id FROM tokens ORDER BY content, id",
    "SELECT digest FROM tensors ORDER BY digest",
    "SELECT * FROM facts ORDER BY digest",
    "SELECT * FROM edges ORDER BY name, number",
    "SELECT * FROM parents ORDER BY manifest",
    "SELECT * FROM models ORDER BY name",
)


def answers(content: bytes) -> list[list[object]]:
    """What a database says to every question, through its indexes too: what users of the catalog would see."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(content)
    return asked(connection)


def asked(connection: sqlite3.Connection) -> list[list[object]]:
    try:
        return [connection.execute(question).fetchall() for question in QUESTIONS]
    finally:
        connection.close()


@pytest.fixture
def unwritten(copied):
    """(the file of a catalog, its log with the last two entries, its tally), copied while it was open, so that the log is not written back."""
    copied.annotate("medical@1", {"first": "yes"})
    copied.alias("medical@1", "prod")
    place = catalog_file(copied)
    main, log = place.read_bytes(), Path(f"{place}-wal").read_bytes()
    with Snapshot.of(place) as snapshot:
        tally = Tally()
        for table in snapshot.tables():
            for rows in snapshot.rows(table):
                tally.put(table, rows)
    assert len(log) > 10_000
    return main, log, tally


def test_a_flipped_bit_of_a_log_that_was_not_yet_written_back_is_found_or_changes_no_row(
    unwritten, tmp_path
):
    """SQLite itself ends a log where a sum is wrong, says nothing, and the entries in it are gone: the journal tells."""
    main, log, expected = unwritten
    step = 1 if EVERY_BYTE else len(log) // 40
    found, undetected = 0, []
    places = [
        *range(0, 56, 1 if EVERY_BYTE else 5),
        *range(56 + time.localtime().tm_yday % step, len(log), step),
    ]
    with tempfile.TemporaryDirectory(dir="/dev/shm" if EVERY_BYTE else tmp_path) as folder:
        path = Path(folder) / "catalog.db"
        path.write_bytes(main)
        Path(f"{path}-wal").write_bytes(log)
        right = asked(sqlite3.connect(path))
        for place in places:
            path.write_bytes(main)
            Path(f"{path}-wal").write_bytes(flipped(log, place, place % 8))
            Path(f"{path}-shm").unlink(missing_ok=True)
            with Snapshot.of(path) as snapshot:
                is_told = is_found(snapshot, expected)
            found += is_told
            if not is_told and asked(sqlite3.connect(path)) != right:
                undetected.append(place)
    print(
        f"{len(places)} flips of a log of {len(log)} bytes: {found} found, {len(places) - found} harmless"
    )
    assert undetected == []
    assert found > len(places) // 2


def test_a_log_that_is_lost_is_told_by_the_journal_and_any_command_heals_it(
    copied, unwritten, tmp_path
):
    main, _, _ = unwritten
    before, place = dump(copied), catalog_file(copied).name
    copied.close()
    target = tmp_path / "copy"
    shutil.copytree(
        copied.settings.home, target, symlinks=True, ignore=shutil.ignore_patterns("catalog")
    )
    (target / "catalog").mkdir()
    (target / "catalog" / place).write_bytes(main)

    with registry.open(target) as reg:
        audited = reg.audit()
        assert audited.findings == ()
        assert any("as of entry" in note for note in audited.notes)
        assert dump(reg) == before
        assert names(reg) == []


@pytest.mark.parametrize("place", [18, 19, 28, 60, 68, 92, 100])
def test_a_flip_in_the_files_header_as_it_lies_there_is_found_or_harmless(copied, place):
    before = dump(copied)
    copied.close()
    path = catalog_file(copied)
    content = path.read_bytes()
    for bit in (0, 3, 6):
        overwrite(path, flipped(content, place, bit))
        found = names(copied)
        copied.close()
        assert found or dump(copied) == before
        copied.close()
        for other in path.parent.iterdir():
            if other != path:
                other.unlink()
