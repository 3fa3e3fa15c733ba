"""What registering an adapter costs with all nets: structure, the effect with and without it, and probes. Models are imported.

MiniLM with eight added tokens and a LoRA adapter: at most 64 probes are recorded, at most 16 texts are encoded without the adapter.
"""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path

from _measure import minilm, scratch

WORDS = (
    "zorvaxin",
    "quelora",
    "brontazide",
    "calvexumab",
    "metifenol",
    "osperidal",
    "trenolide",
    "hylantrex",
)
LIMIT = 1.5
"""Seconds, on two cores."""
ROUNDS = 5


def main() -> None:
    import registry
    from registry.runtime import probes
    from registry.runtime.example_training import train_adapter

    with scratch() as folder, registry.init(folder / "home") as opened:
        opened.add(minilm(), "minilm")
        opened.resize("minilm@1", "medical-base", list(WORDS))
        train_adapter(
            opened.checkout("medical-base@1").folder,
            [(word, "lowers fever") for word in WORDS],
            [],
            folder / "medical",
        )
        taken: dict[str, list[float]] = {"add": [], "add --no-measure": [], "check": []}
        for number in range(ROUNDS + 1):
            copied = _another(folder / "medical", folder / f"medical-{number}", number)
            for what, measure in (("add --no-measure", False), ("add", True)):
                began = time.perf_counter()
                added = opened.add(
                    copied, f"{'measured' if measure else 'plain'}-{number}", measure=measure
                )
                taken[what].append(time.perf_counter() - began)
            assert added.version is not None
            assert added.version.probes is not None
            began = time.perf_counter()
            assert opened.check(added.version).passed
            taken["check"].append(time.perf_counter() - began)
        kept = probes.parse(opened.home.blobs.read(added.version.probes))
        median = {what: statistics.median(times[1:]) for what, times in taken.items()}
        print(
            f"{len(kept.probes)} probes, {sum(probe.shape is not None for probe in kept.probes)} of them encoded"
        )
        for what, seconds in median.items():
            print(
                f"{what:<20}{seconds:8.2f} s"
                + (
                    f"   limit {LIMIT} s: {'met' if seconds <= LIMIT else 'MISSED'}"
                    if what == "add"
                    else ""
                )
            )


def _another(adapter: Path, target: Path, number: int) -> Path:
    """The adapter with another card, so that it is registered anew."""
    shutil.copytree(adapter, target)
    card = target / "README.md"
    card.write_text(f"{card.read_text() if card.exists() else ''}\n{number}\n")
    return target


if __name__ == "__main__":
    main()
