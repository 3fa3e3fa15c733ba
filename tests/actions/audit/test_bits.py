"""Flipped bits: each byte of a small store, and of its catalog. A flip is found, or the content is what it was to the last row.

THREATS, bars 5 and 6. The database is taken apart in memory, flip by flip. Every byte of it takes minutes: REGISTRY_EVERY_BYTE=1
does that; else the header is flipped whole, and of the rest a byte in some, another share of them each day.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import sqlite3
import time

import pytest

import registry
from registry.catalog.comparing import Snapshot, golden
from registry.catalog.folding import Tally
from registry.errors import CatalogDiverged, RegistryError
from registry.store.journal import Journal
from registry.store.local import LocalBackend

from .damage import catalog_file, dump, flipped, names, overwrite

SAMPLED = 503
"""A byte in how many is flipped, where not all are."""


def test_every_flipped_bit_of_every_entry_is_found(copied):
    """Here a byte in three of each; REGISTRY_EVERY_BYTE=1 takes all."""
    home = copied.settings.home
    journal = Journal(LocalBackend(home))
    places = 0
    for number in range(1, journal.last() + 1):
        path = home / "journal" / f"{number:020}.json"
        content = path.read_bytes()
        path.chmod(0o644)
        step = 1 if os.environ.get("REGISTRY_EVERY_BYTE") else 3
        for place in range(number % step, len(content), step):
            path.write_bytes(flipped(content, place, place % 8))
            with pytest.raises(RegistryError):
                journal.read(number)
            places += 1
        path.write_bytes(content)
    assert places > 1000
    assert names(copied) == []


def test_every_flipped_bit_of_every_blob_is_found(copied):
    """A blob is read by its digest alone, so one that holds other bytes is found whatever they are; here for a byte in each 41."""
    random.seed(5)
    places = 0
    for digest, stat in list(copied.home.blobs.all()):
        path = copied.home.blobs.path(digest)
        content = path.read_bytes()
        path.chmod(0o644)
        for place in {0, stat.size - 1, *range(random.randrange(41), stat.size, 41)}:
            path.write_bytes(flipped(content, place, random.randrange(8)))
            assert not copied.home.blobs.verify(digest), f"byte {place} of {digest}"
            places += 1
        path.write_bytes(content)
    assert places > 1000
    assert names(copied, full=True) == []


@pytest.fixture
def plain_catalog(copied, tmp_path):
    """(bytes of a catalog without a log, its tally): what a checkpointed file is, but for the two bytes that say WAL."""
    copied.alias("medical@1", "prod")
    copied.annotate("medical@1", {"owner": "anna", "mrr": "0.5"})
    dump(copied)
    copied.close()
    path = tmp_path / "plain.db"
    shutil.copy(catalog_file(copied), path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()
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


def is_found(content: bytes, expected: Tally) -> bool:
    """What audit asks of a catalog, in its order."""
    try:
        with looked_at(content) as snapshot:
            return not snapshot.same_schema(golden()) or bool(snapshot.unlike(expected)) or snapshot.broken_index() is not None
    except (CatalogDiverged, sqlite3.Error):
        return True


def test_every_flipped_bit_of_a_catalog_is_found_or_changes_no_row(plain_catalog):
    content, expected = plain_catalog, tally_of(plain_catalog)
    assert not is_found(content, expected)
    start, step = (0, 1) if os.environ.get("REGISTRY_EVERY_BYTE") else (time.localtime().tm_yday % SAMPLED, SAMPLED)
    places = [*range(100), *range(100 + start, len(content), step)]
    undetected = []
    found = 0
    for place in places:
        changed = flipped(content, place, place % 8)
        if is_found(changed, expected):
            found += 1
        elif not same_content(changed, content):
            undetected.append(place)
    assert undetected == []
    assert found > 20


def same_content(one: bytes, two: bytes) -> bool:
    """Whether two databases say the same through every index too: what users of the catalog would see."""
    return answers(two) == answers(one)


QUESTIONS = (
    "SELECT * FROM entries ORDER BY number", "SELECT * FROM versions ORDER BY name, number, since", "SELECT * FROM files ORDER BY manifest, path",
    "SELECT digest FROM files ORDER BY digest", "SELECT * FROM aliases ORDER BY name, alias, since", "SELECT * FROM notes ORDER BY name, number, key",
    "SELECT content, id FROM tokens ORDER BY content, id", "SELECT digest FROM tensors ORDER BY digest", "SELECT * FROM facts ORDER BY digest",
    "SELECT * FROM edges ORDER BY name, number", "SELECT * FROM parents ORDER BY manifest", "SELECT * FROM models ORDER BY name",
)


@functools.lru_cache(2)
def answers(content: bytes) -> list[list[object]]:
    """What a database says to every question."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(content)
    try:
        return [connection.execute(question).fetchall() for question in QUESTIONS]
    finally:
        connection.close()


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_log_that_was_not_yet_written_back_is_missed_whole_or_in_part(copied, tmp_path, damage):
    """What a damaged or lost write-ahead log takes with it is told by the journal, every time."""
    copied.annotate("medical@1", {"first": "yes"})
    copied.alias("medical@1", "prod")
    place = catalog_file(copied)
    kept = {path.name: path.read_bytes() for path in place.parent.iterdir()}     # while it is open, so that the log is not written back
    log = kept[f"{place.name}-wal"]
    assert len(log) > 10_000
    copied.close()
    for place_of_flip in range(24, len(log), len(log) // 5) if damage == "flip" else [None]:
        reg = with_catalog(copied, tmp_path, kept, place.name, place_of_flip)
        found = names(reg)
        assert found == [] or set(found) <= {"catalog-behind", "catalog-damaged", "catalog-edited", "schema-edited"}
        if not found:
            assert dump(reg) == dump(copied)
        assert found or damage == "flip"
        reg.repair()
        assert names(reg) == []
        reg.close()


def with_catalog(copied, tmp_path, files, name, place):
    """A copy of the registry whose catalog is these files, a bit of the log flipped, or the log gone."""
    target = tmp_path / f"copy-{place}"
    shutil.copytree(copied.settings.home, target, symlinks=True, ignore=shutil.ignore_patterns("catalog"))
    (target / "catalog").mkdir()
    (target / "catalog" / name).write_bytes(files[name])
    if place is not None:
        (target / "catalog" / f"{name}-wal").write_bytes(flipped(files[f"{name}-wal"], place, place % 8))
    return registry.open(target)


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
