"""What was when, and who did it: `--at` and `log` in a home of 10,000 entries and in one of 100,000, and how that grows.

Each question is asked of an open registry, as of the middle of the journal; medians. The last rows are whole processes.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from _journal import fill, time_of
from _measure import command, in_turn, scratch

ROUNDS = 15
LIMIT = 0.050
"""Seconds that an answer may take which does not get longer with the journal."""
GROWING = ("all ", "the whole", "folding", "process")
"""What these rows begin with has more to answer in a longer journal, or is mostly the start of a process."""
SHORT, LONG = 10_000, 100_000


def main() -> None:
    with scratch() as folder:
        taken = {
            entries: _measured(folder / f"home-{entries}", entries) for entries in (SHORT, LONG)
        }
    width = max(map(len, taken[SHORT])) + 2
    print(f"{'':{width}}{f'{SHORT:,}':>12}{f'{LONG:,}':>12}{'growth':>9}   limit at {LONG:,}")
    for what, short in taken[SHORT].items():
        long = taken[LONG][what]
        limit = (
            ""
            if what.startswith(GROWING)
            else f"{LIMIT * 1000:.0f} ms {'met' if long <= LIMIT else 'MISSED'}"
        )
        print(f"{what:{width}}{_said(short):>12}{_said(long):>12}{long / short:9.1f}   {limit}")


def _measured(home: Path, entries: int) -> dict[str, float]:
    import registry

    middle, name = entries // 2, f"team/model-{entries // 1000:04}"
    registry.init(home).close()
    fill(home, entries)
    began = time.perf_counter()
    with registry.open(home) as opened:
        opened.list(name)
        folding = time.perf_counter() - began
        day = time_of(middle)[:10]
        known = registry.resolve(name, home=home)
        taken = in_turn(
            {
                "resolve NAME@ALIAS --at ENTRY": lambda: opened.resolve(f"{name}@prod", at=middle),
                "resolve NAME@ALIAS --at DAY": lambda: opened.resolve(f"{name}@prod", at=day),
                "list NAME --at ENTRY, 100 versions": lambda: opened.list(name, at=middle),
                "list NAME, now, 100 versions": lambda: opened.list(name),
                "show REF --at ENTRY": lambda: opened.show(f"{name}@2", at=middle),
                "lineage REF --at ENTRY": lambda: opened.lineage(f"{name}@2", at=middle),
                "log -n 20": lambda: opened.log(limit=20),
                "log NAME, 250 entries": lambda: opened.log(name),
                "log NAME@ALIAS": lambda: opened.log(f"{name}@prod"),
                "log NAME@N": lambda: opened.log(known.reference),
                "log --since DAY -n 20": lambda: opened.log(since=day, limit=20),
                "all models: list --at ENTRY": lambda: opened.list(at=middle),
                "all models: find TEXT --at ENTRY": lambda: opened.find("model-0001", at=middle),
                "the whole log of a kind and a person": lambda: opened.log(kind="yank", by="anna"),
                "the whole log": opened.log,
            },
            ROUNDS,
        )
    environment = {**os.environ, "REGISTRY_HOME": str(home)}
    processes = in_turn(
        {
            "process: registry resolve --at": _process(
                ["resolve", f"{name}@prod", "--at", day], environment
            ),
            "process: registry log -n 20": _process(["log", "-n", "20"], environment),
        },
        5,
    )
    return {**taken, **processes, "folding the whole journal anew": folding}


def _process(words: list[str], environment: dict[str, str]) -> Callable[[], object]:
    return lambda: subprocess.run(
        [*command(), *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
    )


def _said(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


if __name__ == "__main__":
    main()
