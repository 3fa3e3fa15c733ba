"""How fast the commands answer that are typed all day, beside `hf version`, which does nothing.

Each is a process of its own, started in turn with the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from _measure import ROOT, Row, command, home_with_a_line, in_turn, table

ROUNDS = 15


def main() -> None:
    with home_with_a_line() as home:
        environment = {**os.environ, "REGISTRY_HOME": str(home), "PYTHONPATH": str(ROOT)}
        completing = {
            **environment,
            "_REGISTRY_COMPLETE": "bash_complete",
            "COMP_WORDS": "registry show med",
            "COMP_CWORD": "2",
        }
        taken = in_turn(
            {
                "hf version": _process(
                    [str(Path(sys.executable).with_name("hf")), "version"], environment
                ),
                "list": _process([*command(), "list"], environment),
                "completing": _process(command(), completing),
                "checkout": _process([*command(), "checkout", "medical@prod"], environment),
                "show": _process([*command(), "show", "medical@1"], environment),
            },
            ROUNDS,
        )
    peer = taken["hf version"]
    table(
        "hf version",
        [
            Row("registry list", taken["list"], peer, 0.5),
            Row("registry show med<TAB>", taken["completing"], peer, 0.5),
            Row("registry checkout REF, ready", taken["checkout"], peer, 0.5),
            Row("registry show REF", taken["show"], peer, 1.3),
        ],
    )


def _process(words: list[str], environment: dict[str, str]) -> Callable[[], object]:
    return lambda: subprocess.run(
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True
    )


if __name__ == "__main__":
    main()
