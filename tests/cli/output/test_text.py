import json
import math
import sys

import pytest
from hypothesis import given, strategies as st

from registry.cli.output.tables import table, wrapped
from registry.cli.output.text import Moment, Name, Size, plain, size, width
from registry.cli.session import to_json
from registry.core.text import counted


class Terminal:
    """A standard output that is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """table() as it is on a terminal, of 40 columns unless another number is said."""

    def drawn(headers, rows, spare=(), columns=40):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", Terminal())
            patch.setenv("COLUMNS", str(columns))
            return table(headers, rows, spare)

    return drawn


ROWS = [
    ("minilm", Size(90_900_000), Moment("2025-11-24T00:12:33.000000Z")),
    ("a", Size(12), Moment("2025-11-25T10:00:00.000000Z")),
]


@given(st.text())
def test_what_is_printed_holds_no_control_character(text):
    assert plain(text).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("two\nlines", "two\\nlines"),
        ("\u202egnp", "\\u202egnp"),
        ("naïve 東京", "naïve 東京"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_could_move_the_cursor_is_escaped(text, shown):
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (90_900_000, "90.9 MB"),
        (10**13, "10.0 TB"),
    ],
)
def test_sizes_for_people(count, shown):
    assert size(count) == shown


def test_a_table_in_a_pipe_is_tab_separated_and_whole():
    assert table(["model", "size", "created"], ROWS) == [
        "minilm\t90900000\t2025-11-24T00:12:33.000000Z",
        "a\t12\t2025-11-25T10:00:00.000000Z",
    ]


def test_a_table_on_a_terminal_is_aligned_numbers_to_the_right(on_terminal):
    assert on_terminal(["model", "size", "created"], ROWS) == [
        "MODEL       SIZE  CREATED",
        "minilm   90.9 MB  2025-11-24 00:12",
        "a       12 bytes  2025-11-25 10:00",
    ]


LONG = Name("hospital/minilm-medical@12")
WIDE = [
    (
        LONG,
        "SentenceTransformer",
        None,
        Size(90_900_000),
        Moment("2025-11-24T00:12:33.000000Z"),
        "trained on all of it, again, for longer",
    )
]
HEADERS = ["version", "class", "aliases", "size", "created", "message"]


@given(
    st.integers(1, 120), st.lists(st.text(alphabet="xz 東é", max_size=40), min_size=1, max_size=4)
)
def test_no_window_cuts_a_name_or_loses_a_word(columns, texts):
    rows = [(LONG, text, Size(12), Moment("2025-11-24T00:12:33.000000Z")) for text in texts]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Terminal())
        patch.setenv("COLUMNS", str(columns))
        lines = table(["version", "", "size", "created"], rows)

    assert sum(str(LONG) in line for line in lines) == len(rows)
    assert sum("2025-11-24 00:12" in line for line in lines) == len(rows)
    kept = "".join("".join(lines).split()).replace(str(LONG), "").replace("VERSION", "")
    assert all(kept.count(letter) == "".join(texts).count(letter) for letter in "xz東é")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_table_on_a_terminal_fits_the_window(on_terminal, columns):
    lines = on_terminal(HEADERS, WIDE, ["class"], columns)

    assert max(map(width, lines)) <= columns
    assert lines[1].startswith(LONG + "  ")


def test_a_column_without_content_goes_before_one_with_some(on_terminal):
    assert on_terminal(HEADERS, WIDE, ["class"], 120)[0].split() == [
        "VERSION",
        "CLASS",
        "SIZE",
        "CREATED",
        "MESSAGE",
    ]


def test_prose_wraps_before_a_column_goes_and_stands_below_its_row_at_last(on_terminal):
    assert on_terminal(HEADERS, WIDE, ["class"], 80) == [
        "VERSION                        SIZE  CREATED           MESSAGE",
        "hospital/minilm-medical@12  90.9 MB  2025-11-24 00:12  trained on all of it,",
        "                                                       again, for longer",
    ]
    assert on_terminal(HEADERS, WIDE, ["class"], 60)[1:] == [
        "hospital/minilm-medical@12  90.9 MB  2025-11-24 00:12",
        "    message: trained on all of it, again, for longer",
    ]


def test_a_word_longer_than_its_column_is_broken():
    assert list(wrapped("see 東京東京東京 and on", 6)) == ["see", "東京東", "京東京", "and on"]


@pytest.mark.parametrize(("count", "said"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries")])
def test_one_is_no_plural(count, said):
    assert counted(count, "entry", "entries") == said


def test_keys_and_values_on_a_terminal_are_whole(on_terminal):
    assert on_terminal([], [("digest", "a" * 71), ("kind", "base")]) == [
        "digest  " + "a" * 71,
        "kind    base",
    ]


def test_a_cell_cannot_break_a_line_or_a_column():
    assert table([], [("a\tb", "c\nd")]) == ["a\\tb\tc\\nd"]


def test_json_has_null_for_what_is_no_finite_number():
    value = {"scores": [1.5, math.inf, (math.nan, -math.inf)]}

    assert json.loads(to_json(value), parse_constant=pytest.fail) == {
        "scores": [1.5, None, [None, None]]
    }
