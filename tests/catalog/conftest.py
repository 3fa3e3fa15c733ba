"""A registry's worth of versions, made once and only read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from registry.core.entry import Alias, Annotate, Delete, Yank
from registry.core.facts import Token
from tests.catalog.writing import Journal, a_digest, a_journal

TOKENS = (
    Token(100, "zorvaxin", special=True),
    Token(101, "100%_Mibrutan", single_word=True, normalized=True),
)
HUB = {"hub": {"repository": "org/minilm", "commit": "c" * 40}}


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    """minilm@1 -> team/Med@1 -> medical@1 (2 yanked, 3 a checkpoint, 4 deleted) -> merged@1; old@1 deleted, hidden@1 yanked."""
    journal = a_journal(tmp_path_factory.mktemp("home") / "catalog")
    base = journal.register("minilm", 1, source=HUB, message="from the Hub")
    resized = journal.register(
        "team/Med",
        1,
        kind="resized",
        tokens=TOKENS,
        parents=(("resized-from", base.digest, "minilm@1"),),
    )
    parents = (("base", resized.digest, "team/Med@1"),)
    adapters = [
        journal.register(
            "medical",
            number,
            kind="adapter",
            tokens=TOKENS,
            parents=parents,
            checkpoint=number == 3,
            probes=a_digest(f"probes {number}"),
            source={"metrics": {"eval_mrr": f"0.{number}", "eval_loss": f"{2 / number}"}},
        )
        for number in (1, 2, 3, 4)
    ]
    journal.register(
        "merged",
        1,
        kind="merged",
        tokens=TOKENS,
        model_class="SparseEncoder",
        parents=(("adapter", adapters[0].digest, "medical@1"), *parents),
    )
    journal.register("old", 1)
    journal.register("hidden", 1)
    journal.register("copy", 1, "minilm@1")
    for body in (
        Alias("medical", "prod", 1, "good"),
        Alias("medical", "dev", 2),
        Alias("minilm", "prod", 1),
        Annotate("medical", 1, {"owner": "Anna", "mrr": "0.5"}),
        Yank("medical", 2, "wrong labels"),
        Yank("hidden", 1),
        Delete("medical", 4),
        Delete("old", 1),
    ):
        journal.write(body, by="bob")
    return journal


@pytest.fixture
def catalog(story: Journal) -> Iterator[Connection]:
    """A reader of the story's catalog."""
    with story.catalogs[0].reading() as connection:
        yield connection
