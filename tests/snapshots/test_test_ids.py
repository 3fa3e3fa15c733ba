"""Every test that existed before the redesign exists today, or another one covers it.

`test_ids.json` holds the number of parameter sets of each test by file, as collected
before the redesign. `moved_tests.json` maps old files to new ones.
`merged_tests.json` maps a test that was removed, or has fewer parameter sets, to the
one that covers it; both are written as `file::test`, the old one with its old file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.snapshots.snapshot import STORED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
OLD: dict[str, dict[str, int]] = json.loads((STORED / "test_ids.json").read_text("utf-8"))
MOVED: dict[str, str] = json.loads((STORED / "moved_tests.json").read_text("utf-8"))
MERGED: dict[str, str] = json.loads((STORED / "merged_tests.json").read_text("utf-8"))


def parameter_sets(ids: Iterable[str]) -> Counter[str]:
    """Return the number of parameter sets by `file::test`, with its class if any."""
    return Counter(without_parameters(identifier) for identifier in ids)


def without_parameters(identifier: str) -> str:
    """Return `file::test` of a test id."""
    file, separator, name = identifier.partition("::")
    return file + separator + name.partition("[")[0]


def missing(today: Counter[str], moved: dict[str, str], merged: dict[str, str]) -> list[str]:
    """Return a line for each old test that does not exist and is not covered."""
    problems = []
    for file, tests in OLD.items():
        for name, count in tests.items():
            test = f"{moved.get(file, file)}::{name}"
            covered_by = merged.get(f"{file}::{name}")
            if today[test] >= count:
                continue
            if covered_by is None:
                problems.append(f"{test}: {today[test]} of {count} parameter sets")
            elif not today[without_parameters(covered_by)]:
                problems.append(f"{test}: covered by {covered_by}, which does not exist")
    return problems


def collected_ids() -> list[str]:
    """Collect all tests in a new process; takes about 20 seconds."""
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--collect-only",
            "-q",
            "-m",
            "",
            "-p",
            "no:cacheprovider",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
    return [line for line in ran.stdout.splitlines() if line.startswith("tests/")]


@pytest.fixture(scope="module")
def today(request: pytest.FixtureRequest) -> Counter[str]:
    """Return the tests of today; collect them unless this session has all old ones.

    A session that runs only some tests, as `make slow` does, has not all of them.
    """
    tests = parameter_sets(item.nodeid for item in request.session.items)
    return parameter_sets(collected_ids()) if missing(tests, MOVED, MERGED) else tests


def test_every_old_test_exists_or_is_covered(today: Counter[str]) -> None:
    assert missing(today, MOVED, MERGED) == []


def test_the_old_tests_are_those_of_the_commit_before_the_redesign() -> None:
    assert len(OLD) == 164
    assert sum(sum(tests.values()) for tests in OLD.values()) == 4308


def test_moved_files_and_merged_tests_are_old_ones_and_their_targets_exist(
    today: Counter[str],
) -> None:
    old = {f"{file}::{name}": count for file, tests in OLD.items() for name, count in tests.items()}

    assert set(MOVED) <= set(OLD)
    assert [file for file in MOVED.values() if not (ROOT / file).is_file()] == []
    assert set(MERGED) <= set(old)
    assert [test for test in MERGED.values() if not today[without_parameters(test)]] == []


def test_a_missing_test_is_found() -> None:
    complete = Counter(
        {f"{file}::{name}": count for file, tests in OLD.items() for name, count in tests.items()}
    )
    test, count = max(complete.items(), key=lambda item: item[1])
    file, _, name = test.partition("::")
    fewer = complete - Counter({test: 1})
    elsewhere = Counter(
        {
            identifier.replace(f"{file}::", "tests/new.py::"): number
            for identifier, number in complete.items()
        }
    )

    assert missing(complete, {}, {}) == []
    assert missing(fewer, {}, {}) == [f"{test}: {count - 1} of {count} parameter sets"]
    assert missing(fewer, {}, {test: f"{file}::nothing"}) == [
        f"{test}: covered by {file}::nothing, which does not exist"
    ]
    assert missing(fewer, {}, {test: f"{test}[a]"}) == []
    assert len(missing(elsewhere, {}, {})) == len(OLD[file])
    assert missing(elsewhere, {file: "tests/new.py"}, {}) == []
    assert without_parameters(f"{file}::{name}[a::b[c]]") == test
