import json
import math
import sys

import pytest
from hypothesis import given, strategies as st

from registry.cli.session import to_json
from registry.cli.text import Moment, Size, plain, size, table, width


class Terminal:
    """A standard output that is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """table() as it is on a terminal of 40 columns."""
    def drawn(headers, rows):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", Terminal())
            patch.setenv("COLUMNS", "40")
            return table(headers, rows)
    return drawn


ROWS = [("minilm", Size(90_900_000), Moment("2025-11-24T00:12:33.000000Z")),
        ("a", Size(12), Moment("2025-11-25T10:00:00.000000Z"))]


@given(st.text())
def test_what_is_printed_holds_no_control_character(text):
    assert plain(text).isprintable()


@pytest.mark.parametrize(("text", "shown"), [
    ("\x1b[2J", "\\x1b[2J"),
    ("two\nlines", "two\\nlines"), ("\u202egnp", "\\u202egnp"), ("naïve 東京", "naïve 東京"), ("\ud800", "\\ud800")])
def test_what_could_move_the_cursor_is_escaped(text, shown):
    assert plain(text) == shown


@pytest.mark.parametrize(("count", "shown"), [
    (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (90_900_000, "90.9 MB"), (10**13, "10.0 TB")])
def test_sizes_for_people(count, shown):
    assert size(count) == shown


def test_a_table_in_a_pipe_is_tab_separated_and_whole():
    assert table(["model", "size", "created"], ROWS) == [
        "minilm\t90900000\t2025-11-24T00:12:33.000000Z", "a\t12\t2025-11-25T10:00:00.000000Z"]


def test_a_table_on_a_terminal_is_aligned_numbers_to_the_right(on_terminal):
    assert on_terminal(["model", "size", "created"], ROWS) == [
        "MODEL       SIZE  CREATED", "minilm   90.9 MB  2025-11-24 00:12", "a       12 bytes  2025-11-25 10:00"]


def test_a_table_on_a_terminal_fits_the_window(on_terminal):
    lines = on_terminal(["name", "message"], [("minilm", "東京" * 40), ("b", "short")])

    assert max(map(width, lines)) <= 40
    assert lines[1].endswith("…")


def test_keys_and_values_on_a_terminal_are_whole(on_terminal):
    assert on_terminal([], [("digest", "a" * 71), ("kind", "base")]) == ["digest  " + "a" * 71, "kind    base"]


def test_a_cell_cannot_break_a_line_or_a_column():
    assert table([], [("a\tb", "c\nd")]) == ["a\\tb\tc\\nd"]


def test_json_has_null_for_what_is_no_finite_number():
    value = {"scores": [1.5, math.inf, (math.nan, -math.inf)]}

    assert json.loads(to_json(value), parse_constant=pytest.fail) == {"scores": [1.5, None, [None, None]]}
