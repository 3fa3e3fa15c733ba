"""Moments: what `--at` and `--since` take. Digits are an entry's number; else it is a day or a time, in UTC where no zone is given.

A day means its end, and so does a minute or a second: what is left out is at its latest for `--at`, at its earliest for `--since`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TypeAlias

from registry.errors import InvalidTime

When: TypeAlias = int | str | datetime
"""A moment as a caller gives it: an entry's number, a text, or a datetime (one without a zone is UTC)."""

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)


def parse(when: When, *, earliest: bool = False) -> int | str:
    """The number of an entry, or a time as entries write it, at its latest unless `earliest`. Raises InvalidTime."""
    if isinstance(when, datetime):
        return _written(when if when.tzinfo is not None else when.replace(tzinfo=UTC), when)
    if isinstance(when, int) and not isinstance(when, bool) and when >= 0:
        return when
    text = str(when).strip()
    if _NUMBER.fullmatch(text):
        return int(text)
    found = _TIME.fullmatch(text)
    if found is None:
        raise _malformed(when, "beginning" if earliest else "end")
    day, minute, second, fraction, zone = found.groups()
    clock = (
        f"{minute or ('00:00' if earliest else '23:59')}:{second or ('00' if earliest else '59')}"
    )
    digits = (fraction or "").ljust(6, "0" if earliest else "9")
    try:
        return _written(
            datetime.fromisoformat(
                f"{day}T{clock}.{digits}{'+00:00' if zone in (None, 'Z') else zone}"
            ),
            when,
        )
    except ValueError:
        raise _malformed(when, "beginning" if earliest else "end") from None


def _written(time: datetime, when: When) -> str:
    try:
        return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
    except OverflowError:
        raise _malformed(when) from None


def _malformed(when: When, means: str = "end") -> InvalidTime:
    return InvalidTime(
        f"{str(when)!r:.60} is neither an entry nor a time",
        hint="write the number of an entry (17), a day (2026-03-03, which means its "
        f"{means} in UTC) or a time (2026-03-03T12:30Z)",
    )
