"""Every state the catalog ever had is compared with a model of a registry that keeps a copy of each."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from sqlalchemy import Connection

from registry.catalog import queries
from registry.core import reference
from registry.core.digest import Digest
from registry.core.entry import Alias, Annotate, Body, Delete, Register, Yank
from registry.errors import AliasNotFound, EntryRefused, ModelNotFound, NotFound, VersionNotFound
from tests.catalog.writing import Journal, a_journal, a_manifest, fold, some_facts

NAMES, ALIASES, KEYS = ("ada", "team/bob"), ("prod", "dev"), ("owner", "mrr")


@dataclass
class Kept:
    """A version in the model of a registry."""

    manifest: Digest
    checkpoint: bool
    yanked: bool = False
    reason: str | None = None
    deleted: bool = False
    notes: dict[str, str] = field(default_factory=dict)


@dataclass
class State:
    """All of it after an entry: versions by (name, number), aliases by (name, alias)."""

    versions: dict[tuple[str, int], Kept] = field(default_factory=dict)
    aliases: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, body: Body) -> bool:
        """Whether the change is possible; then it is made."""
        if isinstance(body, Register):
            there = self.versions.get((body.name, body.number))
            if there is not None and (not there.deleted or there.manifest != body.manifest):
                return False
            self.versions[body.name, body.number] = Kept(body.manifest, body.checkpoint)
            return True
        if isinstance(body, Alias) and body.number is None:
            self.aliases.pop((body.name, body.alias), None)
            return True
        version = self.versions.get((body.name, body.number))  # type: ignore[union-attr, arg-type]
        if version is None or version.deleted:
            return False
        if isinstance(body, Alias):
            self.aliases[body.name, body.alias] = body.number  # type: ignore[assignment]
        elif isinstance(body, Yank):
            version.yanked, version.reason = not body.undo, None if body.undo else body.reason
        elif isinstance(body, Annotate):
            version.notes = {
                key: value
                for key, value in (version.notes | body.notes).items()
                if value is not None
            }
        elif isinstance(body, Delete):
            version.deleted = True
            self.aliases = {
                key: number
                for key, number in self.aliases.items()
                if (key[0], number) != (body.name, body.number)
            }
        return True

    def of(self, name: str) -> dict[int, Kept]:
        """Versions of a model that are there, newest first."""
        return {
            number: kept
            for (other, number), kept in sorted(self.versions.items(), reverse=True)
            if other == name and not kept.deleted
        }

    def latest(self, name: str) -> int | None:
        return next(
            (
                number
                for number, kept in self.of(name).items()
                if not kept.yanked and not kept.checkpoint
            ),
            None,
        )

    def aliases_of(self, name: str) -> dict[str, int]:
        return {
            alias: number
            for (other, alias), number in sorted(self.aliases.items())
            if other == name
        }

    def meaning(self, name: str, label: str) -> int | type[NotFound]:
        """What `name@label` must mean; the label is empty for the bare name."""
        if not any(other == name for other, _ in self.versions):
            return ModelNotFound
        if label in ALIASES and label not in self.aliases_of(name):
            return AliasNotFound
        number = (
            self.latest(name)
            if not label
            else self.aliases_of(name)[label]
            if label in ALIASES
            else int(label)
        )
        kept = self.of(name).get(number or 0)
        if number is None or kept is None or (label in ALIASES and kept.yanked):
            return VersionNotFound
        return number


def bodies() -> st.SearchStrategy[Body]:
    name, number, text = st.sampled_from(NAMES), st.integers(1, 4), st.sampled_from(("a", "b"))
    return st.one_of(
        st.builds(
            lambda name, number, content, checkpoint: Register(
                name, number, a_manifest(content).digest, _digest(content), checkpoint=checkpoint
            ),
            name,
            number,
            text,
            st.booleans(),
        ),
        st.builds(Alias, name, st.sampled_from(ALIASES), st.none() | number),
        st.builds(Yank, name, number, text, st.booleans()),
        st.builds(
            Annotate,
            name,
            number,
            st.dictionaries(st.sampled_from(KEYS), st.none() | text, min_size=1),
        ),
        st.builds(Delete, name, number),
    )


def journals() -> st.SearchStrategy[list[Body]]:
    """Changes of two models that have a few versions already, so that most changes hit one."""
    first: list[Body] = [
        Register(name, number, a_manifest(content).digest, _digest(content))
        for name in NAMES
        for number, content in ((1, "a"), (2, "b"))
    ]
    return st.lists(bodies(), min_size=5, max_size=20).map(lambda more: [*first, *more])


def _digest(content: str) -> Digest:
    return Journal().add(some_facts(content).to_bytes())


def written(folder: Path, wanted: list[Body]) -> tuple[Journal, list[State]]:
    """A journal of what was possible of this, and the state after each of its entries."""
    journal, states = a_journal(folder), [State(), State()]
    for content in ("a", "b"):
        journal.add(a_manifest(content).to_bytes())
        journal.add(some_facts(content).to_bytes())
    for body in wanted:
        state = copy.deepcopy(states[-1])
        possible = state.take(body)
        try:
            journal.write(body)
        except EntryRefused:
            assert not possible, body
        else:
            assert possible or (isinstance(body, Alias) and body.number is None), body
            states.append(state)
    return journal, states


def expected(state: State) -> object:
    return [
        [
            (
                number,
                kept.manifest,
                kept.checkpoint,
                kept.yanked,
                kept.reason,
                kept.notes,
                state.latest(name) == number,
                tuple(
                    alias for alias, target in state.aliases_of(name).items() if target == number
                ),
            )
            for number, kept in state.of(name).items()
        ]
        for name in NAMES
    ]


def found(connection: Connection, at: int | None) -> object:
    known = [
        queries.versions(connection, name, at) if queries.spelled(connection, name, at) else []
        for name in NAMES
    ]
    return [
        [
            (
                item.number,
                item.digest,
                item.checkpoint,
                item.yanked,
                item.yank_reason,
                item.notes,
                item.latest,
                item.aliases,
            )
            for item in versions
        ]
        for versions in known
    ]


def meanings(connection: Connection, at: int | None) -> object:
    def meaning(text: str) -> int | type[Exception]:
        try:
            return queries.resolve(connection, reference.parse(text), at).number
        except NotFound as error:
            return type(error)

    return {text: meaning(text) for text in _texts()}


def _texts() -> list[str]:
    return [
        name + (f"@{label}" if label else "")
        for name in NAMES
        for label in ("", "1", "4", *ALIASES)
    ]


@pytest.mark.slow
@settings(max_examples=10)
@given(journals())
def test_every_state_can_be_asked_for_as_it_was(wanted: list[Body]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal, states = written(Path(folder), wanted)

        with journal.catalogs[0].reading() as connection:
            moments: list[int | None] = [*range(len(states)), None]
            answers = [found(connection, at) for at in moments]
            resolved = [meanings(connection, at) for at in moments[::-3]]
            models = [
                [
                    (item.name, item.versions, item.latest, item.aliases)
                    for item in queries.models(connection, at)
                ]
                for at in moments
            ]

        assert answers == [expected(state) for state in [*states, states[-1]]]
        assert resolved == [
            {text: state.meaning(*[*text.split("@"), ""][:2]) for text in _texts()}
            for state in [*states, states[-1]][::-3]
        ]
        assert models == [
            [
                (name, len(state.of(name)), state.latest(name), state.aliases_of(name))
                for name in NAMES
                if state.of(name)
            ]
            for state in [*states, states[-1]]
        ]


@pytest.mark.slow
@settings(max_examples=10)
@given(journals())
def test_any_journal_folds_to_the_same_rows_again(wanted: list[Body]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal, _ = written(Path(folder, "first"), wanted)

        again = fold(journal, Path(folder, "again"))

        with journal.catalogs[0].reading() as first, again.reading() as second:
            assert again.dump(second) == again.dump(first)
