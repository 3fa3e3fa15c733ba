"""Whatever was done, and whatever the clock said: the catalog is the fold of the journal, also after it was lost, and audit agrees."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import registry.home.home
from registry.catalog import queries
from registry.core.digest import digest_of
from registry.core.entry import Alias, Annotate, Delete, Probes, Publish, Register, Yank
from registry.core.facts import Facts, Token, Vocabulary, Weights
from registry.core.manifest import File, Manifest, Parent
from registry.core.settings import from_environment
from registry.errors import EntryRefused, InvalidName
from registry.home.home import Home

NAMES, NUMBERS = st.sampled_from(["minilm", "med"]), st.integers(1, 3)
YEARS = st.integers(1990, 2050)


class AnyHistory(RuleBasedStateMachine):
    """A home that is written to, reopened, moved in time, and robbed of its catalog."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="registry-history-")
        self.now, registry.home.home.now = (
            registry.home.home.now,
            lambda: f"{self.year}-05-06T07:08:09.000000Z",
        )
        self.year = 2026
        self.home = Home.create(from_environment(Path(self.folder) / "home"))
        self.manifests: list[Manifest] = []

    @rule(year=YEARS)
    def the_clock_goes_anywhere(self, year: int) -> None:
        self.year = year

    @rule(name=NAMES, number=NUMBERS, words=st.integers(0, 2), on=st.integers(0, 9))
    def register(self, name: str, number: int, words: int, on: int) -> None:
        content = f"{name} {number}".encode()
        bases = [item for item in self.manifests if item.kind == "base"]
        parents = (Parent("base", bases[on % len(bases)].digest),) if bases and on % 2 else ()
        own = File("own", self.home.blobs.add(content), len(content))
        manifest = Manifest(
            "adapter" if parents else "base", "SentenceTransformer", (own,), parents
        )
        tokens = tuple(Token(100 + index, f"word {index}") for index in range(words))
        facts = Facts(
            "SentenceTransformer",
            digest_of(b"tokenizer"),
            Vocabulary(self.home.blobs.add(f"{words}".encode()), 100 + words, tokens),
            Weights(digest_of(content), "F32", 0, ()),
        )
        body = Register(
            name,
            number,
            self.home.blobs.add(manifest.to_bytes()),
            self.home.blobs.add(facts.to_bytes()),
            source={"metrics": {"mrr": "0.5"}},
        )
        if self.commit(body):
            self.manifests.append(manifest)

    @rule(
        body=st.one_of(
            st.builds(Alias, NAMES, st.sampled_from(["prod", "dev"]), NUMBERS),
            st.builds(
                Annotate,
                NAMES,
                NUMBERS,
                st.dictionaries(
                    st.sampled_from(["owner", "k"]), st.sampled_from(["anna", "0.5", None])
                ),
            ),
            st.builds(Yank, NAMES, NUMBERS, st.just("why"), st.booleans()),
            st.builds(Publish, NAMES, NUMBERS, st.just("org/one"), st.just("c" * 40)),
            st.builds(Delete, NAMES, NUMBERS),
        )
    )
    def change(self, body: object) -> None:
        self.commit(body)

    @rule(name=NAMES, number=NUMBERS)
    def measure(self, name: str, number: int) -> None:
        self.commit(Probes(name, number, self.home.blobs.add(b"probes")))

    @rule()
    def reopen(self) -> None:
        self.home.close()
        self.home = Home.open(self.home.settings)

    @rule()
    def lose_the_catalog(self) -> None:
        before = self.rows()
        self.home.close()
        shutil.rmtree(self.home.root / "catalog")
        assert self.rows() == before

    @rule()
    def repair(self) -> None:
        before = self.rows()
        with registry.open(self.home.root) as reg:
            assert reg.repair().lost == ()
        self.home.close()
        assert self.rows() == before

    @invariant()
    def a_moment_means_one_entry(self) -> None:
        """as_of never goes back, although clocks do."""
        if hasattr(self, "home"):
            with self.home.reading() as connection:
                moments = [
                    queries.as_of(connection, f"{year}-12-31T00:00:00.000000Z")
                    for year in (1989, 2000, 2026, 2051)
                ]
            assert moments == sorted(moments)
            assert moments[0] == 0
            assert moments[-1] == self.home.journal.last()

    def commit(self, body: object) -> bool:
        with contextlib.suppress(EntryRefused, InvalidName):
            self.home.commit(lambda connection: body)
            return True
        return False

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        with self.home.reading():
            return self.home.dump()

    def teardown(self) -> None:
        if hasattr(self, "home"):
            self.home.close()
            registry.home.home.now = self.now
            with registry.open(self.home.root) as reg:
                findings = reg.audit().findings
            shutil.rmtree(self.folder)
            assert findings == ()


AnyHistory.TestCase.settings = settings(max_examples=6, stateful_step_count=15)
TestAnyHistory = pytest.mark.slow(AnyHistory.TestCase)
