"""The state as of any entry and any moment, compared with a model in memory that simply keeps every state there was."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, multiple, rule

from registry.catalog import queries
from registry.core import reference
from registry.core.entry import Alias, Annotate, Body, Delete, Init, Yank
from tests.catalog.writing import Journal, a_journal

NAMES, ALIASES, KEYS = ("minilm", "medical"), ("prod", "stage"), ("owner", "f1")
SECONDS = st.integers(0, 9)
"""Few, so that clocks often stand still and go back."""


@dataclass
class State:
    versions: dict[tuple[str, int], dict[str, object]] = field(default_factory=dict)
    aliases: dict[tuple[str, str], int] = field(default_factory=dict)


def at_second(second: int, rest: str = "000000") -> str:
    return f"2026-01-02T03:04:0{second}.{rest}Z"


class TimeTravel(RuleBasedStateMachine):
    live = Bundle("live")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="st-registry-travel-")
        self.journal: Journal = a_journal(Path(self.folder.name))
        assert isinstance(self.journal.entries[0].body, Init)
        self.now = State()
        self.states = [State(), State()]  # after no entry, and after Init
        self.highest = dict.fromkeys(NAMES, 0)

    def write(self, body: Body, second: int) -> None:
        self.journal.write(body, time=at_second(second))
        self.states.append(copy.deepcopy(self.now))

    @rule(target=live, name=st.sampled_from(NAMES), second=SECONDS)
    def register(self, name: str, second: int) -> tuple[str, int]:
        self.highest[name] += 1
        key = (name, self.highest[name])
        self.now.versions[key] = {"yanked": None, "notes": {}}
        written, self.journal.write = (
            self.journal.write,
            lambda body: written(body, time=at_second(second)),
        )
        self.journal.register(*key)
        self.journal.write = written
        self.states.append(copy.deepcopy(self.now))
        return key

    @rule(key=live, alias=st.sampled_from(ALIASES), second=SECONDS)
    def point(self, key: tuple[str, int], alias: str, second: int) -> None:
        self.now.aliases[key[0], alias] = key[1]
        self.write(Alias(key[0], alias, key[1]), second)

    @rule(name=st.sampled_from(NAMES), alias=st.sampled_from(ALIASES), second=SECONDS)
    def unpoint(self, name: str, alias: str, second: int) -> None:
        if self.now.aliases.pop((name, alias), None) is not None:
            self.write(Alias(name, alias, None), second)

    @rule(key=live, reason=st.sampled_from(["wrong", "worse"]), second=SECONDS)
    def yank(self, key: tuple[str, int], reason: str, second: int) -> None:
        self.now.versions[key]["yanked"] = reason
        self.write(Yank(*key, reason), second)

    @rule(key=live, second=SECONDS)
    def unyank(self, key: tuple[str, int], second: int) -> None:
        self.now.versions[key]["yanked"] = None
        self.write(Yank(*key, undo=True), second)

    @rule(
        key=live,
        note=st.sampled_from(KEYS),
        value=st.sampled_from(["a", "0.5", None]),
        second=SECONDS,
    )
    def annotate(self, key: tuple[str, int], note: str, value: str | None, second: int) -> None:
        notes = self.now.versions[key]["notes"]
        assert isinstance(notes, dict)
        notes.pop(note, None)
        if value is not None:
            notes[note] = value
        self.write(Annotate(*key, {note: value}), second)

    @rule(target=live, key=consumes(live), second=SECONDS)
    def delete(self, key: tuple[str, int], second: int) -> object:
        if any(
            number == key[1] and name == key[0] for (name, _), number in self.now.aliases.items()
        ):
            return key
        del self.now.versions[key]
        self.write(Delete(*key), second)
        return multiple()

    @rule(choice=st.integers(0, 1 << 30))
    def the_state_after_an_entry_is_the_state_that_was_kept(self, choice: int) -> None:
        at = 1 + choice % (len(self.states) - 1)
        expected = self.states[at]

        with self.journal.catalogs[0].reading() as connection:
            found = {
                (version.name, version.number): {
                    "yanked": version.yank_reason,
                    "notes": dict(version.notes),
                }
                for model in queries.models(connection, at)
                for version in queries.versions(connection, model.name, at)
            }
            aliases = {
                (name, alias): number
                for name in NAMES
                for alias, number in queries.aliases(connection, name, at).items()
            }
            latest = {model.name: model.latest for model in queries.models(connection, at)}
            pointed = {
                (name, alias): queries.resolve(
                    connection, reference.parse(f"{name}@{alias}"), at
                ).number
                for name, alias in aliases
                if found[name, aliases[name, alias]]["yanked"] is None
            }
            log = [row.entry for row in queries.log(connection, at=at)]

        assert found == expected.versions
        assert aliases == expected.aliases
        assert latest == {
            name: max(
                (
                    number
                    for (own, number), version in expected.versions.items()
                    if own == name and version["yanked"] is None
                ),
                default=None,
            )
            for name in {key[0] for key in expected.versions}
        }
        assert pointed == {key: number for key, number in aliases.items() if key in pointed}
        assert log == list(range(at, 0, -1))

    @rule(second=SECONDS, rest=st.sampled_from(["000000", "500000"]))
    def a_moment_is_the_last_entry_that_no_clock_had_passed_before(
        self, second: int, rest: str
    ) -> None:
        time, reached, expected = at_second(second, rest), "", 0
        for entry in self.journal.entries:
            reached = max(reached, entry.time)
            expected = entry.number if reached <= time else expected

        with self.journal.catalogs[0].reading() as connection:
            assert queries.as_of(connection, time) == expected
            first = queries.from_time(connection, time)

        assert first == next(
            (
                entry.number
                for entry in self.journal.entries
                if max(item.time for item in self.journal.entries[: entry.number]) >= time
            ),
            len(self.journal.entries) + 1,
        )

    @rule(name=st.sampled_from(NAMES), alias=st.sampled_from(ALIASES))
    def each_move_of_an_alias_says_where_it_came_from(self, name: str, alias: str) -> None:
        with self.journal.catalogs[0].reading() as connection:
            rows = queries.log(connection, name, alias=alias)

        assert [row.before for row in rows] == [*(row.number for row in rows[1:]), None][
            : len(rows)
        ]
        assert (rows[0].number if rows else None) == self.now.aliases.get((name, alias))

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            for catalog in self.journal.catalogs:
                catalog.close()
            self.folder.cleanup()


TestTimeTravel = pytest.mark.slow(TimeTravel.TestCase)
TestTimeTravel.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
