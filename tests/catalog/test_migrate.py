from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from registry.catalog.migrate import REVISION, newest, newest_older, packaged
from registry.catalog.reader import Catalog
from registry.catalog.schema import metadata

GOLDEN = Path(__file__).parent / "golden_schema.sql"


def schema_text(connection: sa.Connection) -> str:
    """Everything that SQLite says of the schema, Alembic's own table left out."""
    found = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version' ORDER BY name"
    )
    # SQLite quotes the name of a table that a migration made again
    texts = [re.sub(r'^CREATE TABLE "(\w+)"', r"CREATE TABLE \1", row.sql) for row in found]
    return "".join(re.sub(r"[ \t]+\n", "\n", text) + ";\n\n" for text in texts)


def a_config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(packaged().scripts))
    config.attributes["connection"] = connection
    return config


@pytest.fixture
def migrated(tmp_path: Path) -> Catalog:
    return Catalog.create(tmp_path)


@pytest.fixture
def empty() -> sa.Engine:
    return sa.create_engine("sqlite://")


def test_the_migrations_make_what_the_tables_describe(migrated: Catalog) -> None:
    with migrated.reading() as connection:
        differences = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), metadata
        )

    assert differences == []


def test_the_migrations_and_the_tables_make_the_same_schema_to_the_letter(
    migrated: Catalog, empty: sa.Engine
) -> None:
    with empty.begin() as connection:
        metadata.create_all(connection)
        described = schema_text(connection)

    with migrated.reading() as connection:
        made = schema_text(connection)

    assert made == described


def test_a_change_of_the_schema_is_noticed(migrated: Catalog) -> None:
    with migrated.reading() as connection:
        made = schema_text(connection)

    assert made == GOLDEN.read_text()


def test_the_migrations_lead_down_to_nothing_and_up_again(empty: sa.Engine) -> None:
    with empty.begin() as connection:
        command.upgrade(a_config(connection), "head")
        first = schema_text(connection)
        command.downgrade(a_config(connection), "base")
        between = schema_text(connection)
        command.upgrade(a_config(connection), "head")
        second = schema_text(connection)

    assert between == ""
    assert first == second == GOLDEN.read_text()


def test_the_revision_that_the_package_names_is_the_newest_script() -> None:
    scripts = ScriptDirectory(str(packaged().scripts))

    assert scripts.get_current_head() == REVISION
    assert [script.revision for script in scripts.walk_revisions()] == sorted(
        (script.revision for script in scripts.walk_revisions()), reverse=True
    )


def test_the_newest_generation_of_the_own_revision_is_the_catalog(tmp_path: Path) -> None:
    for name in (
        "0001-000001.db",
        "0001-000010.db",
        "0001-000009.db",
        "0002-000011.db",
        "0001-000012.db.7.tmp",
        "notes.db",
    ):
        (tmp_path / name).touch()

    assert newest(tmp_path, "0001") == (10, tmp_path / "0001-000010.db")
    assert newest_older(tmp_path, "0002") == tmp_path / "0001-000010.db"
    assert newest_older(tmp_path, "0001") is None
    assert newest(tmp_path, "0003") == newest(tmp_path / "missing") == (0, None)
