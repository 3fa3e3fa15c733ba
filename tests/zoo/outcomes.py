"""What became of each family, as recorded in `outcomes.json`.

The file holds, for each form of each family, the steps that did not pass and the parts
of tokenizer.json that a re-save changes. Steps that a recorded one prevents are not in
it. Run the matrix with UPDATE_ZOO=1 to record what it finds.
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

from tests.zoo import families
from tests.zoo.story import FAULTS, NOT_APPLICABLE, NOT_REACHED, PASSED, Story

FILE = Path(__file__).with_name("outcomes.json")


def recorded() -> dict[str, dict[str, Any]]:
    """Return the recorded outcomes by the name of the form."""
    outcomes: dict[str, dict[str, Any]] = json.loads(FILE.read_text("utf-8"))
    return outcomes


def summary(story: Story) -> dict[str, Any]:
    """Return what is recorded of a story that was run."""
    quiet = (PASSED, NOT_REACHED, NOT_APPLICABLE)
    return {
        "refused": {step: text for step, text in story.outcomes.items() if text not in quiet},
        "respelled": story.respelled,
    }


def faults(story: Story) -> dict[str, str]:
    """Return the outcomes that are never recorded: wrong encodings and crashes."""
    return {step: text for step, text in story.outcomes.items() if text.startswith(FAULTS)}


def record(name: str, entry: dict[str, Any]) -> None:
    """Record one story; other processes may record theirs at the same time."""
    with FILE.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        entries = {**json.loads(file.read() or "{}"), name: entry}
        ordered = {form: entries[form] for form in families.variants() if form in entries}
        file.truncate(0)
        file.write(json.dumps(ordered, indent=1) + "\n")
