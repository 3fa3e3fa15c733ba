from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry.catalog import schema
from registry.catalog.apply import apply
from registry.catalog.reader import Catalog
from registry.catalog.writer import Writer
from registry.core.entry import Alias, Entry
from registry.errors import CatalogDiverged, StoreUnavailable
from tests.catalog.writing import Journal, fold, head_of, opened, writing
from tests.support.refusals import raises, text_of

NOBODY = 65534


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that other users can reach, as pytest's own cannot be."""
    folder = Path(tempfile.mkdtemp(prefix="st-registry-shared-"))
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        path.chmod(0o755)
    shutil.rmtree(folder)


def in_a_child(work: Callable[[], object]) -> int:
    """Exit code of a process that does this."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def without_rights(work: Callable[[], object]) -> int:
    """As in_a_child, by a user who may write nothing here."""

    def drop_and_work() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        work()

    return in_a_child(drop_and_work)


def test_a_catalog_is_durable_and_distrusts_its_file(tmp_path: Path) -> None:
    catalog = Catalog.create(tmp_path)

    with catalog.reading() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "trusted_schema",
                "cell_size_check",
                "mmap_size",
            )
        }

    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "mmap_size": 0,
    }


def test_what_a_failing_block_wrote_is_undone(journal: Journal) -> None:
    catalog = journal.catalogs[0]

    with pytest.raises(KeyError), writing(catalog) as connection:
        apply(
            connection,
            Entry(
                3,
                "c" * 32,
                "2026-01-02T03:04:05.000006Z",
                "anna",
                Alias("a", "b", None),
                journal.entries[-1].digest,
            ),
            journal.read,
        )
        raise KeyError

    assert head_of(catalog) == (2, journal.entries[-1].digest)


def test_a_reader_sees_one_state_while_others_write(journal: Journal) -> None:
    catalog = journal.catalogs[0]

    with catalog.reading() as connection:
        before = catalog.head(connection)
        journal.register("other", 1)
        after = catalog.head(connection)

    assert before == after == (2, journal.entries[1].digest)
    assert head_of(catalog) == (3, journal.entries[2].digest)


def test_threads_may_read_and_write_one_catalog(journal: Journal) -> None:
    heads: list[int] = []
    readers = [
        threading.Thread(target=lambda: heads.append(head_of(journal.catalogs[0])[0]))
        for _ in range(8)
    ]

    for reader in readers:
        reader.start()
    journal.register("other", 1)
    for reader in readers:
        reader.join()

    assert len(heads) == 8
    assert set(heads) <= {2, 3}


def test_a_child_process_uses_the_catalog_and_leaves_its_parent_s_alone(journal: Journal) -> None:
    catalog = journal.catalogs[0]

    code = in_a_child(lambda: sys.exit(head_of(catalog)[0]))
    journal.register("other", 1)

    assert code == 2
    assert head_of(catalog)[0] == 3


def test_a_child_process_writes_by_a_connection_of_its_own(journal: Journal) -> None:
    writer = Writer(journal.catalogs[0].path)
    number, previous = writer.head()

    def work() -> None:
        with writer.transaction() as connection:
            apply(
                connection,
                Entry(
                    number + 1,
                    "c" * 32,
                    "2026-01-02T03:04:05.000006Z",
                    "anna",
                    Alias("a", "b", None),
                    previous,
                ),
                journal.read,
            )

    code = in_a_child(work)

    assert code == 0
    assert writer.head()[0] == number + 1
    writer.close()


def test_a_catalog_is_read_by_who_may_not_write_there(
    shared_folder: Path, journal: Journal
) -> None:
    catalog = fold(journal, shared_folder / "catalog")
    catalog.close()
    catalog.path.chmod(0o644)
    (shared_folder / "catalog").chmod(0o555)

    code = without_rights(
        lambda: sys.exit(head_of(opened(shared_folder / "catalog", readonly=True))[0])
    )

    assert code == 2


def test_who_may_not_write_sees_what_a_writer_has_just_written(
    shared_folder: Path, journal: Journal
) -> None:
    catalog = Catalog.create(shared_folder / "catalog")
    catalog.path.chmod(0o644)
    writer = Writer(catalog.path)
    with writer.transaction() as connection:
        for entry in journal.entries:
            apply(connection, entry, journal.read)
    (shared_folder / "catalog").chmod(0o555)

    code = without_rights(
        lambda: sys.exit(head_of(opened(shared_folder / "catalog", readonly=True))[0])
    )

    assert Path(f"{catalog.path}-wal").stat().st_size > 0
    assert code == 2
    writer.close()


def test_a_catalog_opened_to_read_cannot_be_written(tmp_path: Path, journal: Journal) -> None:
    catalog = opened(tmp_path / "catalog", readonly=True)

    with (
        raises(StoreUnavailable, f"'{catalog.path}'", "attempt to write a readonly database"),
        catalog.reading() as connection,
    ):
        connection.execute(schema.skipped.delete())


def test_a_damaged_catalog_says_what_would_do(tmp_path: Path, journal: Journal) -> None:
    journal.catalogs[0].close()
    content = bytearray(journal.catalogs[0].path.read_bytes())
    content[:16] = b"no catalog at al"
    journal.catalogs[0].path.write_bytes(content)

    damaged = f"'{journal.catalogs[0].path.name}'"
    with raises(CatalogDiverged, damaged, "file is not a database", "registry repair"):
        head_of(opened(tmp_path / "catalog"))


def test_opening_a_catalog_does_not_import_alembic(tmp_path: Path, journal: Journal) -> None:
    code = (
        "import sys; from pathlib import Path; from registry.catalog.reader import Catalog\n"
        "catalog = Catalog.open(Path(sys.argv[1]))\n"
        "with catalog.reading() as connection: print(catalog.head(connection)[0], 'alembic' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "catalog")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "2 False\n"


def test_a_catalog_is_read_though_the_disk_has_no_room_left(tmp_path: Path) -> None:
    Catalog.create(tmp_path / "catalog").close()

    def look() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        catalog = opened(tmp_path / "catalog")
        assert head_of(catalog) == (0, None)
        with (
            raises(StoreUnavailable, f"'{catalog.path}'") as refused,
            writing(catalog),
        ):
            pass
        reasons = ("disk I/O error", "database or disk is full")
        assert any(reason in text_of(refused.value) for reason in reasons)

    assert in_a_child(look) == 0
