"""Measure how long commands and collect wait while 16 processes write.

Peer of a row is the median of the same row; the largest wait may be four times as long.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

from _measure import Row, scratch, table

import registry
from registry.core.entry import Annotate
from registry.errors import Busy

WRITERS, LIMIT = 16, 4.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=10.0)
    seconds = arguments.parse_args().seconds
    with scratch() as folder:
        home = folder / "home"
        make(home)
        children = [fork(home, folder / f"{number}", seconds) for number in range(WRITERS)]
        collected = fork(home, folder / "collect", seconds, collect=True)
        for child in (*children, collected):
            os.waitpid(child, 0)
        waits = [json.loads((folder / f"{number}").read_text()) for number in range(WRITERS)]
        of_collect = json.loads((folder / "collect").read_text())
    commits = [wait for waits_of_one in waits for wait in waits_of_one if wait is not None]
    gave_up = sum(wait is None for waits_of_one in (*waits, of_collect) for wait in waits_of_one)
    print(
        f"{len(commits)} commits by {WRITERS} processes, {len(of_collect)} collects, {gave_up} gave up"
    )
    collects = [wait for wait in of_collect if wait is not None]
    rows = [Row("largest wait of a commit", max(commits), statistics.median(commits), LIMIT)]
    rows.append(Row("largest wait of a collect", max(collects), statistics.median(collects), LIMIT))
    table("the median wait", rows)


def make(home: Path) -> None:
    """Make a registry with one entry to write about."""
    from _journal import fill

    registry.init(home).close()
    fill(home, 2)
    with registry.open(home) as opened:
        opened.list()


def fork(home: Path, output: Path, seconds: float, *, collect: bool = False) -> int:
    """Start a process that writes or collects, and stores how long each time took."""
    child = os.fork()
    if child:
        return child
    waits: list[float | None] = []
    with registry.open(home) as opened:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                if collect:
                    opened.collect(older_than=3600.0)
                else:
                    with opened.home.adding():
                        opened.home.record(lambda: Annotate("team/model-0000", 1, {"f1": "0.5"}))
                waits.append(time.perf_counter() - began)
            except Busy:
                waits.append(None)
            if collect:
                time.sleep(0.5)
    output.write_text(json.dumps(waits))
    os._exit(0)


if __name__ == "__main__":
    main()
