"""Commands that read keep their number of SQL statements and their query plans.

Statements are recorded in the `sqlite3` module, below SQLAlchemy, for connections to
the catalog. Statements on databases in memory are not counted: Alembic issues them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import registry
from tests.snapshots.package import module_names
from tests.snapshots.snapshot import assert_same_json
from tests.support import plain
from tests.support.warm import Warm

COMMANDS = (
    ("list",),
    ("list", "--at", "12"),
    ("list", "medical"),
    ("list", "medical", "--at", "20"),
    ("list", "medical", "--sort", "eval_loss"),
    ("show", "medical@3"),
    ("show", "medical@prod"),
    ("show", "medical@3", "--at", "20"),
    ("resolve", "medical"),
    ("resolve", "medical@prod"),
    ("resolve", "medical@3^"),
    ("find", "zorvaxin"),
    ("find", "eval_loss < 0.5"),
    ("find", "./minilm-1"),
    ("log",),
    ("log", "medical"),
    ("log", "medical@prod"),
    ("log", "--graph", "-n", "5"),
    ("lineage", "minilm@1"),
    ("lineage", "medical@8"),
    ("tokens", "medical@8"),
    ("du",),
    ("du", "medical@8"),
    ("status", "--offline"),
    ("audit",),
    ("audit", "--full"),
)
ADDED = ("zorvaxin", "quelora")

PROGRAM = """
import contextlib, io, json, sqlite3, sys
from sqlite3 import dbapi2

executed, explained = [], {}
connect = sqlite3.connect

class Cursor(sqlite3.Cursor):
    def execute(self, sql, *parameters):
        explained.setdefault(sql, (self.connection.arguments, parameters))
        return super().execute(sql, *parameters)

class Connection(sqlite3.Connection):
    def cursor(self, factory=Cursor):
        return super().cursor(factory)

    def execute(self, sql, *parameters):
        return self.cursor().execute(sql, *parameters)

def recording(database, **keywords):
    connection = connect(database, **keywords, factory=Connection)
    connection.arguments = (database, keywords)
    if "/catalog/" in str(database):
        connection.set_trace_callback(executed.append)
    return connection

def plan_of(sql, arguments, parameters):
    database, keywords = arguments
    with contextlib.closing(connect(database, **keywords)) as connection:
        return connection.execute("EXPLAIN QUERY PLAN " + sql, *parameters).fetchall()

sqlite3.connect = dbapi2.connect = recording
from registry.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
    code = main(sys.argv[1:])
assert code == 0, err.getvalue()
sqlite3.connect = dbapi2.connect = connect
plans = [[sql, plan_of(sql, *call)] for sql, call in explained.items()
         if "/catalog/" in str(call[0][0]) and sql.split()[0].upper() in ("SELECT", "WITH")]
print(json.dumps([executed, plans]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a registry of 20 versions and the folders of its models."""
    root = tmp_path_factory.mktemp("statements")
    with registry.init(root / "home") as opened:
        for number in range(1, 7):
            model = plain.base(root / f"minilm-{number}", seed=number)
            opened.add(model, "minilm", metrics={"eval_loss": number / 10}, measure=False)
        for number in range(1, 5):
            model = plain.base(root / f"resized-{number}", seed=number, added=ADDED)
            opened.add(model, "resized", parent=f"minilm@{number}", measure=False)
        for number in range(1, 11):
            parent = number % 4 + 1
            model = plain.adapter(
                root / f"medical-{number}", root / f"resized-{parent}", seed=number, added=ADDED
            )
            opened.add(
                model,
                "medical",
                parent=f"resized@{parent}",
                metrics={"eval_loss": number / 20},
                measure=False,
            )
        opened.alias("medical@3", "prod", message="first")
        opened.alias("medical@8", "prod")
        opened.annotate("medical@8", {"owner": "anna"})
        opened.yank("medical@10", reason="trained on the test set")
        opened.delete("medical@9")
    return root


@pytest.fixture(scope="module")
def processes() -> Iterator[Warm]:
    """Start processes that have imported the package, so that each costs little."""
    warm = Warm(os.environ, ("sqlalchemy", "alembic", "yaml", *module_names()))
    yield warm
    warm.close()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_statements_of_a_command(
    command: tuple[str, ...],
    folder: Path,
    processes: Warm,
) -> None:
    ran = processes.run(*command, code=PROGRAM, cwd=folder, REGISTRY_HOME=str(folder / "home"))
    assert ran.code == 0, ran.err
    statements, plans = json.loads(ran.out)
    print(*(sql for sql, _ in plans), sep="\n\n")

    name = re.sub(r"[^a-z0-9]+", "-", " ".join(command).lower()).strip("-")
    assert_same_json(
        f"statements/{name}.json",
        {
            "executed": counts_by_verb(statements),
            "query plans": sorted(normalized_plan(rows) for _, rows in plans),
        },
    )


def counts_by_verb(statements: list[str]) -> dict[str, int]:
    """Return how many statements were executed by their first word."""
    counts: dict[str, int] = {}
    for statement in statements:
        verb = statement.split()[0].upper()
        # SQLAlchemy asks for the isolation level; how often depends on its release.
        if "read_uncommitted" not in statement:
            counts[verb] = counts.get(verb, 0) + 1
    return counts


def normalized_plan(rows: list[tuple[int, int, int, str]]) -> list[str]:
    """Return the lines of a plan, indented, alike for all releases of SQLite."""
    depths: dict[int, int] = {0: -1}
    lines = []
    for identifier, parent, _, text in rows:
        depths[identifier] = depths[parent] + 1
        if not text.startswith("BLOOM FILTER"):
            lines.append("  " * depths[identifier] + normalized_step(text))
    return lines


def normalized_step(text: str) -> str:
    """Return one step of a plan in the words of all releases of SQLite."""
    for pattern, replacement in (
        (r"\b(SCAN|SEARCH) TABLE ", r"\1 "),
        (r"\bSUBQUERY \d+", "SUBQUERY"),
        (r" LEFT-JOIN$| \(~\d+ rows?\)$", ""),
        (r"FOR (LAST( \d+)? TERMS?|RIGHT PART) OF", "FOR PART OF"),
    ):
        text = re.sub(pattern, replacement, text)
    return text
