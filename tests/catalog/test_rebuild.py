"""One fold, two ways to keep its rows: whatever the journal, a catalog that followed it and one made at once are equal row for row."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from registry.catalog.compare import Snapshot, golden
from registry.catalog.reader import Catalog
from registry.catalog.rebuild import Tallying, fill
from registry.core.entry import Alias, Annotate, Delete, Probes, Publish, Yank
from registry.core.facts import Token
from registry.errors import EntryRefused
from tests.catalog.writing import Journal, a_digest, a_journal

NAMES, NUMBERS = st.sampled_from(["minilm", "team/med"]), st.integers(1, 3)
STEPS = st.one_of(
    st.tuples(
        st.just("register"),
        NAMES,
        NUMBERS,
        st.sampled_from([(), (Token(100, "zorvaxin", special=True),)]),
    ),
    st.builds(
        Alias,
        NAMES,
        st.sampled_from(["prod", "dev"]),
        st.one_of(st.none(), NUMBERS),
        st.just("why"),
    ),
    st.builds(Yank, NAMES, NUMBERS, st.just("wrong"), st.booleans()),
    st.builds(
        Annotate,
        NAMES,
        NUMBERS,
        st.dictionaries(
            st.sampled_from(["owner", "mrr"]), st.sampled_from(["anna", "0.5", "1e3", None])
        ),
    ),
    st.builds(
        Probes, NAMES, NUMBERS, st.sampled_from([a_digest("probes 1"), a_digest("probes 2")])
    ),
    st.builds(Publish, NAMES, NUMBERS, st.sampled_from(["org/one", "org/two"]), st.just("c" * 40)),
    st.builds(Delete, NAMES, NUMBERS),
)
CLOCKS = st.sampled_from(
    ["2026-01-02T03:04:05.000000Z", "2020-01-02T03:04:05.000000Z", "2031-01-02T03:04:05.000000Z"]
)


def written(steps: list[tuple[object, str]], folder: Path) -> Journal:
    """A journal of those steps that follow from what was there, each at its own time, which may be earlier than the one before."""
    journal = a_journal(folder)
    for step, time in steps:
        try:
            if isinstance(step, tuple):
                _, name, number, tokens = step
                journal.register(
                    name,
                    number,
                    f"{name}@{number}",
                    tokens=tokens,
                    probes=a_digest("probes 0"),
                    source={
                        "metrics": {"mrr": "0.25"},
                        "hub": {"repository": "org/one", "commit": "d" * 40},
                    },
                )
            else:
                journal.write(step, time=time)
        except EntryRefused:
            continue
    return journal


@pytest.mark.slow
@settings(max_examples=12)
@given(st.lists(st.tuples(STEPS, CLOCKS), max_size=25))
def test_a_catalog_that_followed_and_one_made_at_once_are_equal_row_for_row(steps):
    with tempfile.TemporaryDirectory() as folder:
        followed = written(steps, Path(folder) / "followed")
        made = Catalog.create(
            Path(folder) / "made",
            fill=lambda connection: fill(connection, followed.entries, followed.read),
        )
        tallying = Tallying(followed.read)
        for entry in followed.entries:
            tallying.fold(entry)

        with followed.catalogs[0].reading() as one, made.reading() as two:
            assert Catalog.dump(one) == Catalog.dump(two)
        for catalog in (followed.catalogs[0], made):
            with Snapshot.of(catalog.path) as snapshot:
                assert snapshot.counted().unlike(tallying.tally()) == []
                assert snapshot.same_schema(golden())
                assert snapshot.broken_index() is None
            catalog.close()
