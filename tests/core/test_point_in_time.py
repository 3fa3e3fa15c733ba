from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from registry.core.point_in_time import parse
from registry.errors import InvalidTime
from tests.support.refusals import raises


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("17", 17),
        (17, 17),
        (" 3 ", 3),
        ("20260303", 20260303),
        ("2026-03-03", "2026-03-03T23:59:59.999999Z"),
        ("2026-03-03T12:30", "2026-03-03T12:30:59.999999Z"),
        ("2026-03-03 12:30Z", "2026-03-03T12:30:59.999999Z"),
        ("2026-03-03T12:30:05", "2026-03-03T12:30:05.999999Z"),
        ("2026-03-03T12:30:05.25Z", "2026-03-03T12:30:05.259999Z"),
        ("2026-03-03T12:30:05.250001Z", "2026-03-03T12:30:05.250001Z"),
        ("2026-03-03T01:30+02:00", "2026-03-02T23:30:59.999999Z"),
        (datetime(2026, 3, 3, 12, 30), "2026-03-03T12:30:00.000000Z"),
        (
            datetime(2026, 3, 3, 1, 30, tzinfo=timezone(timedelta(hours=2))),
            "2026-03-02T23:30:00.000000Z",
        ),
        (datetime(2026, 3, 3, tzinfo=UTC), "2026-03-03T00:00:00.000000Z"),
    ],
)
def test_digits_are_an_entry_and_what_a_time_leaves_out_is_at_its_latest(text, means):
    assert parse(text) == means


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("17", 17),
        ("2026-03-03", "2026-03-03T00:00:00.000000Z"),
        ("2026-03-03T12:30", "2026-03-03T12:30:00.000000Z"),
        ("2026-03-03T12:30:05.25Z", "2026-03-03T12:30:05.250000Z"),
    ],
)
def test_for_a_beginning_what_a_time_leaves_out_is_at_its_earliest(text, means):
    assert parse(text, earliest=True) == means


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "-1",
        -1,
        True,
        "1.5",
        "2026-3-3",
        "2026-13-01",
        "2026-02-30",
        "2026-03-03T25:00",
        "2026-03-03T12",
        "2026-03-03Z",
        "2026-03-03T12:30+99:00",
        "0001-01-01T00:00+01:00",
        "٣",
        "2026-03-03\n2026",
        "9" * 19,
        "prod",
    ],
)
def test_what_is_neither_is_refused_with_what_to_write(text):
    with raises(InvalidTime, repr(str(text)), "17", "2026-03-03", "2026-03-03T12:30Z"):
        parse(text)
