"""Time of registry.load, compared with sentence-transformers on the same folder, models imported.

The second table shows processor time of all threads, which includes the sum over all bits
of the parameters (for version_of) and the hashing of small files. The third shows the
checks of the loaded object alone.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from _measure import Row, home_with_a_line, in_turn, table

ROUNDS = 41
ASKING_LIMIT = 0.008
"""Seconds."""
CLOCKS = (
    ("registry.load", time.perf_counter, 1.10, 0.008),
    ("processor time", time.process_time, 1.15, 0.0),
)
"""Title, clock, largest ratio, and seconds that may be added whatever the ratio."""
REFERENCES = {
    "base minilm@1": "minilm@1",
    "resized medical-base@1": "medical-base@1",
    "adapter medical@1": "medical@1",
}


def main() -> None:
    import registry

    with home_with_a_line() as home:
        for title, clock, limit, slack in CLOCKS:
            rows = []
            for what, reference in REFERENCES.items():
                folder = registry.checkout(reference, home=home).folder
                taken = in_turn(
                    {
                        "ours": lambda reference=reference: registry.load(
                            reference, home=home, device="cpu"
                        ),
                        "peer": lambda folder=folder: _plainly(folder),
                    },
                    ROUNDS,
                    warm=2,
                    clock=clock,
                )
                row = Row(f"{title}, {what}", taken["ours"], taken["peer"], limit, slack=slack)
                rows.append(row)
            table("SentenceTransformer(folder)", rows)
            print()
        print(f"{'':37}{'ours':>10}{'limit':>10}")
        for what, reference in REFERENCES.items():
            seconds = _asking(home, reference)
            print(
                f"{f'asking the loaded {what}':37}{seconds * 1000:7.1f} ms{ASKING_LIMIT * 1000:7.0f} ms   "
                f"{'met' if seconds <= ASKING_LIMIT else 'MISSED'}"
            )


def _plainly(folder: Path) -> object:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def _asking(home: Path, reference: str) -> float:
    """Seconds that asking a loaded model takes, the median of the rounds, each of an object that was never asked before but by load."""
    import registry
    from registry.operations.shared.resolve import facts_of, resolve
    from registry.runtime import loading

    with registry.open(home) as opened:
        version, folder = resolve(opened.home, reference), opened.checkout(reference).folder
        taken = []
        for _ in range(ROUNDS):
            model, facts = opened.load(reference, device="cpu"), facts_of(opened.home, version)
            began = time.perf_counter()
            problems = loading.ask(
                model,
                facts,
                folder=folder,
                adapter=version.kind == "adapter",
                kwargs={"device": "cpu"},
            )
            taken.append(time.perf_counter() - began)
            assert not problems
    return statistics.median(taken)


if __name__ == "__main__":
    main()
