from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from registry.catalog.apply import apply
from registry.catalog.migrate import REVISION, Migrations, file_name, packaged
from registry.catalog.reader import Catalog
from registry.catalog.rebuild import fill
from registry.catalog.writer import head
from registry.core.entry import Alias, Entry, Init
from registry.errors import BrokenChain, SchemaBehind, StoreUnavailable
from tests.catalog.writing import Journal, head_of, names_of, opened, writing
from tests.support.refusals import raises

NEXT = "9999"
OWN_FIRST, NEXT_FIRST = file_name(REVISION, 1), file_name(NEXT, 1)
NEXT_REVISION = f'''"""Who trusts what."""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{NEXT}", "{REVISION}", None, None


def upgrade() -> None:
    op.create_table("trust", sa.Column("name", sa.Text, primary_key=True))


def downgrade() -> None:
    op.drop_table("trust")
'''


@pytest.fixture
def next_revision(tmp_path: Path) -> Migrations:
    """The migrations of a later version of the package."""
    scripts = tmp_path / "migrations"
    shutil.copytree(packaged().scripts, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "9999_trust.py").write_text(NEXT_REVISION)
    return Migrations(scripts, NEXT)


def test_a_folder_without_a_catalog_has_none_to_open(tmp_path: Path) -> None:
    assert Catalog.open(tmp_path) is None
    assert Catalog.open(tmp_path / "missing") is None


def test_a_new_catalog_is_empty_and_leaves_nothing_else_behind(tmp_path: Path) -> None:
    catalog = Catalog.create(tmp_path)

    assert head_of(catalog) == (0, None)
    catalog.close()
    assert [path.name for path in tmp_path.iterdir()] == [OWN_FIRST]


def test_a_catalog_that_is_there_already_wins(tmp_path: Path, journal: Journal) -> None:
    again = Catalog.create(tmp_path / "catalog")

    assert head_of(again) == (2, journal.entries[-1].digest)


def test_a_catalog_can_be_filled_before_anybody_sees_it(tmp_path: Path, journal: Journal) -> None:
    seen: list[list[Path]] = []

    def fold_all(connection: Connection) -> None:
        seen.append(list((tmp_path / "new").glob("*.db")))
        fill(connection, journal.entries, journal.read)

    filled = Catalog.create(tmp_path / "new", fill=fold_all)

    assert seen == [[]]
    assert head_of(filled) == (2, journal.entries[-1].digest)


def test_a_catalog_whose_filling_fails_is_not_made(tmp_path: Path) -> None:
    def fail(connection: object) -> None:
        raise BrokenChain("entry 2 is damaged")

    with pytest.raises(BrokenChain):
        Catalog.create(tmp_path, fill=fail)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_sixteen_processes_open_a_cold_folder_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "catalog"
    context = multiprocessing.get_context("fork")
    start = context.Barrier(16)
    files = context.SimpleQueue()

    def work(who: int) -> None:
        start.wait()
        catalog = Catalog.open(folder) or Catalog.create(folder)
        files.put(catalog.path.stat().st_ino)
        with writing(catalog) as connection:
            number, previous = head(connection)
            apply(
                connection,
                Entry(
                    number + 1,
                    f"{who:032x}",
                    "2026-01-02T03:04:05.000006Z",
                    "anna",
                    Alias("a", "b", None) if number else Init("0"),
                    previous,
                ),
                Journal().read,
            )

    processes = [context.Process(target=work, args=(who,)) for who in range(16)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0] * 16
    assert len({files.get() for _ in processes}) == 1
    assert head_of(opened(folder))[0] == 16
    assert [path.name for path in folder.iterdir() if path.suffix == ".tmp"] == []


def test_a_new_generation_stands_beside_the_one_that_is_open(
    tmp_path: Path, journal: Journal
) -> None:
    old = journal.catalogs[0]

    new = Catalog.new_generation(tmp_path / "catalog")

    assert new.path.name == file_name(REVISION, 2)
    assert head_of(new) == (0, None)
    assert head_of(old)[0] == 2
    assert opened(tmp_path / "catalog").path == new.path


def test_an_upgrade_migrates_a_copy_and_leaves_the_open_file_alone(
    tmp_path: Path, journal: Journal, next_revision: Migrations
) -> None:
    old = journal.catalogs[0]
    inode = old.path.stat().st_ino

    new = Catalog.open(tmp_path / "catalog", migrations=next_revision)
    journal.register("later", 1)

    assert new is not None
    assert new.path.name == NEXT_FIRST
    assert names_of(new) == ["minilm"]
    with new.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM trust").scalar() == 0
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    assert old.path.stat().st_ino == inode
    assert names_of(old) == ["later", "minilm"]
    assert opened(tmp_path / "catalog").path == old.path


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database at all, but some words"),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_an_older_catalog_that_is_damaged_counts_as_none(
    tmp_path: Path, journal: Journal, next_revision: Migrations, damage: Any
) -> None:
    (old,) = journal.catalogs
    old.close()
    damage(old.path)

    assert Catalog.open(tmp_path / "catalog", migrations=next_revision) is None
    assert not (tmp_path / "catalog" / NEXT_FIRST).exists()


def test_a_catalog_of_a_later_revision_only_is_left_alone(
    tmp_path: Path, next_revision: Migrations
) -> None:
    folder = tmp_path / "catalog"
    Catalog.create(folder, migrations=next_revision).close()

    assert Catalog.open(folder) is None
    own = Catalog.create(folder)

    assert own.path.name == OWN_FIRST
    assert (folder / NEXT_FIRST).exists()


def test_an_older_catalog_is_not_migrated_where_nothing_may_be_written(
    tmp_path: Path, journal: Journal, next_revision: Migrations
) -> None:
    with raises(SchemaBehind, f"'{OWN_FIRST}'", f"'{tmp_path / 'catalog'}'", "registry list"):
        Catalog.open(tmp_path / "catalog", readonly=True, migrations=next_revision)

    assert not (tmp_path / "catalog" / NEXT_FIRST).exists()


def test_a_place_that_is_a_file_cannot_hold_a_catalog(tmp_path: Path) -> None:
    (tmp_path / "catalog").write_text("no folder")

    with raises(StoreUnavailable, f"'{tmp_path / 'catalog' / OWN_FIRST}'", "file exists"):
        Catalog.create(tmp_path / "catalog")


def test_a_catalog_may_lie_in_a_folder_with_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "50% of #1? ü"

    Catalog.create(folder).close()

    assert head_of(opened(folder)) == head_of(opened(folder, readonly=True)) == (0, None)


def test_a_whole_catalog_passes_sqlite_s_own_check(tmp_path: Path, journal: Journal) -> None:
    journal.catalogs[0].close()

    with sqlite3.connect(journal.catalogs[0].path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
