"""Files that the user names as input: deep JSON and huge cells are refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.errors import is_one_error

CELL = 131_073
"""Characters of a cell, one more than the csv module reads."""
CONTENTS = {
    "deep list": "[" * 100_000,
    "deep object": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "deep and complete": '["a", ' + "[" * 100_000 + "]" * 100_000 + "]",
    "large cell": f'key,other\n"{"x" * CELL}",1\n',
    "large field": f"{'x' * CELL},1\n{'y' * CELL},2\n",
}
COMMANDS: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "metrics": lambda path: ("add", "FOLDER", "--as", "other", "--no-measure", "--metrics", path),
    "receipt": lambda path: ("audit", "--against", path),
    "digests": lambda path: ("bundle", "minilm", "-o", "OUT", "--have", path),
}


@pytest.mark.parametrize("suffix", [".json", ".csv"])
@pytest.mark.parametrize("content", CONTENTS.values(), ids=list(CONTENTS))
@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_one_error_line_without_a_mention_of_a_bug(
    run: Any,
    home: Path,
    folders: Any,
    tmp_path: Path,
    command: Callable[[Path], tuple[str, ...]],
    content: str,
    suffix: str,
) -> None:
    path = tmp_path / f"input{suffix}"
    path.write_text(content)
    replaced = {"FOLDER": folders.base, "OUT": tmp_path / "out.tar"}
    arguments = [replaced.get(word, word) for word in command(path)]

    ran = run(*arguments, home=home)

    assert ran.code in (1, 2, 5, 6), ran.err
    assert is_one_error(ran.err), ran.err[:500]
    assert "bug" not in ran.err and "Traceback" not in ran.err
    assert max(map(len, ran.err.splitlines())) < 2_000
