"""The language of this project may only get better: counts against a baseline.

A count above the baseline fails. So does a count below it, until the baseline is
lowered:

    UPDATE_BASELINE=1 pytest tests/language      lower numbers; refuses to raise one
    UPDATE_BASELINE=moves pytest tests/language  after moving files between packages:
                                                 the sum over all packages must not rise
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.language import measure
from tests.language.measure import Change, Measurement, Occurrence

ROOT = Path(__file__).parent.parent.parent
BASELINE = Path(__file__).with_name("baseline.json")
MEASURED_FOLDERS = ("registry", "migrations", "benchmarks")
MARKDOWN_FILES = ("*.md", "registry/**/*.md", "docs/**/*.md")

NEW_CODE = (
    "tests/language",
    "tests/snapshots",
    "tests/stored",
    "tests/api",
    "tests/zoo",
    "tests/support/refusals.py",
    "tests/support/old_package.py",
)
"""Tests written under the rules of today: no marker, no banned name, no line of a
docstring that is too long. This list may only grow; after a move, change the path."""
GENERATED = ("registry/api/functions.py",)
"""Generated files: their texts are counted where they are written."""


def relative(path: str | Path) -> str:
    """Return a path relative to the project, with slashes."""
    return Path(path).relative_to(ROOT).as_posix()


def python_files(path: str) -> list[Path]:
    """Return the Python files of a folder of the project, or the one file."""
    start = ROOT / path
    return [start] if start.is_file() else sorted(start.rglob("*.py"))


def lint(paths: Iterable[str | Path], folder: Path = ROOT) -> list[Occurrence]:
    """Return the D401 and W505 findings of ruff, whatever the project's settings."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache"]
    command += ["--ignore-noqa", "--exit-zero", "--output-format", "json"]
    command += ["--target-version", "py311", "--select", "D401,W505"]
    command += ["--config", f"lint.pycodestyle.max-doc-length={measure.MAX_DOC_LENGTH}"]
    completed = subprocess.run(
        [*command, *map(str, paths)], cwd=folder, check=True, capture_output=True, text=True
    )
    return measure.measure_lint(
        completed.stdout, lambda name: Path(name).relative_to(folder).as_posix()
    )


@pytest.fixture(scope="module")
def measurements() -> dict[str, Measurement]:
    """Return the measurement of each Python file in the measured folders, by path."""
    files = [file for folder in MEASURED_FOLDERS for file in python_files(folder)]
    return {
        relative(file): measure.measure_python(file.read_text("utf-8"), relative(file))
        for file in files
        if relative(file) not in GENERATED
    }


@pytest.fixture(scope="module")
def lint_findings() -> list[Occurrence]:
    """Return the findings of ruff in the measured folders and in the new code."""
    findings = lint([*MEASURED_FOLDERS, *NEW_CODE])
    return [finding for finding in findings if finding.path not in GENERATED]


@pytest.fixture(scope="module")
def occurrences(
    measurements: dict[str, Measurement], lint_findings: list[Occurrence]
) -> list[Occurrence]:
    """Return everything that is compared with the baseline."""
    documents = [file for pattern in MARKDOWN_FILES for file in sorted(ROOT.glob(pattern))]
    return [
        *(spot for measurement in measurements.values() for spot in measurement.occurrences),
        *measure.repeated_class_names(
            definition
            for path, measurement in measurements.items()
            for definition in measurement.classes
            if path.startswith("registry/")
        ),
        *(
            spot
            for file in documents
            for spot in measure.measure_markdown(file.read_text("utf-8"), relative(file))
        ),
        *(spot for spot in lint_findings if spot.path.split("/")[0] in MEASURED_FOLDERS),
    ]


@pytest.fixture(scope="module")
def baseline(occurrences: list[Occurrence]) -> dict[str, dict[str, int]]:
    """Return the stored counts. Update them first if UPDATE_BASELINE is set."""
    stored = measure.parse_baseline(BASELINE.read_text("utf-8"))
    mode = os.environ.get("UPDATE_BASELINE", "")
    if not mode:
        return stored
    assert mode in ("1", "moves"), f"UPDATE_BASELINE is {mode!r}, expected '1' or 'moves'"
    counts = measure.count(occurrences)
    try:
        updated = measure.updated_baseline(stored, counts, moves=mode == "moves")
    except measure.BaselineRaised as error:
        pytest.fail(str(error), pytrace=False)
    BASELINE.write_text(measure.as_json(updated), "utf-8")
    return updated


@pytest.mark.parametrize("counter", measure.COUNTERS)
def test_counts_equal_the_baseline(
    counter: str, occurrences: list[Occurrence], baseline: dict[str, dict[str, int]]
) -> None:
    changed = [
        change
        for change in measure.changes(baseline, measure.count(occurrences))
        if change.counter == counter
    ]

    if changed:
        times = {path: (ROOT / path).stat().st_mtime for path in {o.path for o in occurrences}}
        latest_first = sorted(occurrences, key=lambda o: (-times[o.path], o.path, o.line))
        reports = [measure.report(change, latest_first) for change in changed]
        pytest.fail("\n".join(reports), pytrace=False)


@pytest.mark.parametrize("path", NEW_CODE)
def test_new_code_follows_the_rules(path: str, lint_findings: list[Occurrence]) -> None:
    """String literals are not checked: those of tests quote outputs and sources."""
    files = python_files(path)

    spots = [
        spot
        for file in files
        for spot in measure.measure_python(file.read_text("utf-8"), relative(file)).occurrences
        if spot.counter in (measure.DOCSTRINGS, measure.BANNED)
    ]
    names = set(map(relative, files))
    spots += [s for s in lint_findings if s.path in names and s.counter == measure.DOC_WIDTH]

    if spots:
        pytest.fail("\n".join(f"{spot} ({spot.counter})" for spot in spots), pytrace=False)
    assert files, f"{path} does not exist; was it moved?"


def test_no_exemption_is_out_of_date(measurements: dict[str, Measurement]) -> None:
    exempted = {key for measurement in measurements.values() for key in measurement.exempted}

    assert set(measure.EXEMPT_FIELDS) == exempted


@pytest.mark.parametrize("moves", [False, True])
def test_what_is_added_to_a_real_package_is_refused(
    moves: bool, occurrences: list[Occurrence]
) -> None:
    added = 'def f(found: int) -> None:\n    """Report what the catalog says."""\n'
    more = measure.measure_python(added, "registry/catalog/new.py").occurrences
    before, after = measure.count(occurrences), measure.count([*occurrences, *more])

    assert [(c.unit, c.counter, c.after - c.before) for c in measure.changes(before, after)] == [
        ("registry/catalog", measure.BANNED, 1),
        ("registry/catalog", measure.DOCSTRINGS, 1),
    ]
    with pytest.raises(measure.BaselineRaised):
        measure.updated_baseline(before, after, moves=moves)


# The counting functions


def marker_texts(text: str, *, quoted: bool = True) -> list[str]:
    """Return the markers in a text."""
    return [" ".join(match[0].split()) for match in measure.markers(text, quoted=quoted)]


def excerpts(source: str, counter: str) -> list[str]:
    """Return what a counter counts in a Python source."""
    spots = measure.measure_python(source, "registry/a.py").occurrences
    return [spot.excerpt for spot in spots if spot.counter == counter]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The folder lies there.", ["lies"]),
        ("It Stands\n    on a base.", ["Stands on"]),
        ("It stands under a base.", []),
        ("The journal has no entry of a kind that was read.", ["has no entry of a kind that"]),
        ("The journal has no entry. All that was read.", []),
        ("A base whose digest is not known.", ["whose digest is not"]),
        ("It is no base, and nobody knows.", ["is no", "nobody"]),
        ("It is not a base.", []),
        ("It is no longer a base; they are no longer bases.", []),
        ("The essays of Nobodyson.", []),
        ("Print `what it is`, ``is no``, and `it\nsays`.", []),
        ("```\nit says so\n```\nand nowhere else", ["nowhere"]),
        ("is `x` no", []),
    ],
)
def test_markers_are_whole_words_outside_of_code(text: str, expected: list[str]) -> None:
    assert marker_texts(text) == expected


@pytest.mark.parametrize("marker", re.findall("`([^`]+)`", measure.MARKERS))
def test_every_marker_of_the_table_is_compared(marker: str) -> None:
    prefix, choice, suffix = re.fullmatch(r"([^(]*)(?:\((.*)\))?([^)]*)", marker).groups()
    for option in (choice or "").split("|"):
        text = f"{prefix}{option}{suffix}".replace("…", "seventy words")

        assert marker_texts(f"Zorvaxin {text}.") == [text]
        assert marker_texts(f"Zorvaxin {text}y.") != [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the file 'it says' is damaged", []),
        ('the file "it says" is damaged', []),
        ("the user's file says so, and the users' too", ["says"]),
        ("\ufffc's file says '\ufffc'", ["says"]),
    ],
)
def test_quoted_values_are_left_out_of_messages(text: str, expected: list[str]) -> None:
    assert marker_texts(text, quoted=False) == expected


def test_docstrings_are_those_of_modules_classes_functions_and_attributes() -> None:
    source = (
        '"""What it is."""\nclass A:\n    """It\n    says so."""\n    b: int\n    """Told."""\n'
        'def f():\n    """Nobody, nowhere."""\n    "Return it."\nC = """it says"""\n'
    )

    measurement = measure.measure_python(source, "registry/a.py")

    spots = [spot for spot in measurement.occurrences if spot.counter == measure.DOCSTRINGS]
    assert [str(spot) for spot in spots] == [
        "registry/a.py:1: 'What it is'",
        "registry/a.py:4: 'says'",
        "registry/a.py:6: 'Told'",
        "registry/a.py:8: 'Nobody'",
    ]
    assert measurement.texts[measure.DOCSTRINGS] == 5


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n    raise E('it is no base')", ["'is no'"]),
        ("E = 'nobody can'", ["'nobody'"]),
        ("def f():\n    return f'{name!r} is no {kind}'", ["'is no'"]),
        ("def f():\n    raise E(f'a {b if c else \"d says e\"} f')", ["'says'"]),
        ("def f():\n    raise E('it is ' f'{a}' ' no base')", []),
        ("def f():\n    raise E('it is '\n             'no base')", ["'is no'"]),
        ("@check('a', 'its parent is there')\ndef f(): ...", ["'is there'"]),
        ("def f():\n    raise E('the word \\'says\\' is missing', hint='run `says`')", []),
        ("A = {'says': 1}", []),
        ("A = 'SELECT said FROM told'", []),
    ],
)
def test_messages_are_string_literals_with_a_blank(source: str, expected: list[str]) -> None:
    assert excerpts(source, measure.MESSAGES) == expected


def test_helps_are_help_keywords_and_docstrings_of_commands() -> None:
    source = (
        "@command('add')\n@click.option('--a', help='What it is.')\n"
        "@click.option('--b', help=f'{c} says' + 'nobody')\n@other\n"
        'def add():\n    """Tells it."""\n'
        "@click.group()\ndef root():\n    'Told.'\n"
    )

    assert sorted(excerpts(source, measure.HELPS)) == [
        "'Tells'",
        "'Told'",
        "'What it is'",
        "'nobody'",
        "'says'",
    ]
    assert excerpts(source, measure.MESSAGES) == []
    assert excerpts(source, measure.DOCSTRINGS) == []


def test_markdown_is_counted_by_marker_with_its_line() -> None:
    spots = measure.measure_markdown("# A\n\nIt says `it says`, and\nis\nno base\n", "docs/a.md")

    assert [str(spot) for spot in spots] == ["docs/a.md:3: 'says'", "docs/a.md:4: 'is\\nno'"]
    assert {spot.unit for spot in spots} == {"docs/a.md"}


@pytest.mark.parametrize(
    "source",
    [
        "found = 1",
        "found: int = 1",
        "a, (found, *b) = c",
        "for found in a: pass",
        "with a as found: pass",
        "(found := 1)",
        "try: pass\nexcept E as found: pass",
        "[found for found in a]",
        "def found(): pass",
        "async def found(): pass",
        "class found: pass",
        "def f(found): pass",
        "def f(*, found=1): pass",
        "def f(*found): pass",
        "def f(**found): pass",
        "lambda found: 1",
        "class A:\n    found: int",
        "class A:\n    def f(self): self.found = 1",
        "import a as found",
        "from a import b as found",
        "match a:\n    case found: pass",
        "match a:\n    case [*found]: pass",
        "match a:\n    case {**found}: pass",
    ],
)
def test_each_kind_of_binding_is_counted(source: str) -> None:
    assert excerpts(source, measure.BANNED) == ["found"]
    assert excerpts(source.replace("found", "_found_"), measure.BANNED) == ["_found_"]
    assert excerpts(source.replace("found", "result"), measure.SUBSTITUTES) == ["result"]
    assert excerpts(source.replace("found", "version"), measure.BANNED) == []


@pytest.mark.parametrize(
    "source",
    [
        "print(found)",
        "f(found=1)",
        "a.found()",
        "a.found = 1",
        "from a import found",
        "foundation = 1",
        "class Probe:\n    given: bool",
        "left, right = a",
        "def f(left, right): pass",
    ],
)
def test_uses_exempt_fields_and_sides_are_not_counted(source: str) -> None:
    assert excerpts(source, measure.BANNED) == []


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    given: bool",
        "class Probe:\n    def f(self, given): pass",
        "given = Probe(given=True)",
        "def f(left): pass\nright = 1",
    ],
)
def test_an_exemption_is_for_one_class_and_a_side_for_one_scope(source: str) -> None:
    assert len(excerpts(source, measure.BANNED)) == 1


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("tuple[int, str, bool]", 1),
        ("Iterator[tuple[int, str, bool]]", 1),
        ("tuple[int, tuple[str, str, str]] | None", 1),
        ("'tuple[int, str, bool]'", 1),
        ("typing.Tuple[int, int, int, int]", 1),
        ("tuple[int, str]", 0),
        ("tuple[int, ...]", 0),
        ("dict[str, tuple[int, ...]]", 0),
        ("Callable[[int, int, int], str]", 0),
    ],
)
def test_long_tuples_in_return_annotations_are_counted(annotation: str, expected: int) -> None:
    function = f"def f(a: tuple[int, int, int]) -> {annotation}: ..."
    method = f"class A:\n    async def resolve_command(self) -> {annotation}: ..."

    assert len(excerpts(function, measure.TUPLES)) == expected
    assert excerpts(method, measure.TUPLES) == []


def test_a_class_name_that_is_defined_twice_is_counted_once() -> None:
    definitions = [
        definition
        for path in ("registry/b.py", "registry/a/c.py", "registry/a/d.py")
        for definition in measure.measure_python(
            f"class _Row: pass\nclass {path[-4].upper()}: pass", path
        ).classes
    ]

    (spot,) = measure.repeated_class_names(definitions)

    assert str(spot) == (
        "registry/a/c.py:1: class _Row is also defined in registry/a/d.py:1, registry/b.py:1"
    )
    assert spot.unit == measure.WHOLE_REGISTRY


def test_the_linter_counts_the_mood_and_the_width_of_docstrings(tmp_path: Path) -> None:
    long_line = "Return " + "a" * (measure.MAX_DOC_LENGTH - 10)
    (tmp_path / "a.py").write_text(
        f'def f():\n    """{long_line}."""\n\n\ndef g():\n    """The name."""  # noqa: D401\n'
    )

    spots = lint(["a.py"], tmp_path)

    assert sorted((spot.counter, spot.path, spot.line) for spot in spots) == [
        (measure.IMPERATIVE, "a.py", 6),
        (measure.DOC_WIDTH, "a.py", 2),
    ]


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("registry/errors.py", "registry"),
        ("registry/store/blobs.py", "registry/store"),
        ("registry/catalog/queries/rows.py", "registry/catalog"),
        ("registry/DESIGN.md", "registry/DESIGN.md"),
        ("migrations/versions/0001_catalog.py", "migrations"),
        ("benchmarks/hub.py", "benchmarks"),
        ("README.md", "README.md"),
    ],
)
def test_the_unit_of_a_file_is_the_first_folder_below_registry(path: str, unit: str) -> None:
    assert measure.unit_of(path) == unit


# The comparison with the baseline

BEFORE = {"registry/store": {"W505": 3, "D401": 1}, "registry/hub": {"W505": 2}}


def test_equal_counts_are_no_change() -> None:
    assert measure.changes(BEFORE, json.loads(measure.as_json(BEFORE))) == []


def test_each_changed_count_is_named_with_both_numbers() -> None:
    changed = measure.changes(BEFORE, {"registry/store": {"W505": 4}, "registry/hub": {"W505": 2}})

    assert list(map(str, changed)) == [
        "registry/store: D401 fell from 1 to 0",
        "registry/store: W505 rose from 3 to 4",
    ]


def test_a_rise_is_reported_with_the_lines_of_its_unit() -> None:
    spots = [
        Occurrence("W505", "registry/store/a.py", 7, "too long"),
        Occurrence("W505", "registry/hub/a.py", 8, "too long"),
        Occurrence("D401", "registry/store/a.py", 9, "not imperative"),
        Occurrence("W505", "registry/store/b.py", 1, "too long"),
    ]

    text = measure.report(Change("registry/store", "W505", 1, 2), spots)
    shortened = measure.report(Change("registry/store", "W505", 1, 2), spots, limit=1)

    assert text.splitlines()[1:] == [
        "  registry/store/a.py:7: too long",
        "  registry/store/b.py:1: too long",
    ]
    assert shortened.splitlines()[1:] == ["  registry/store/a.py:7: too long", "  … and 1 more"]


def test_a_fall_is_reported_with_the_command_that_keeps_it() -> None:
    text = measure.report(Change("registry/store", "W505", 2, 1), [])

    assert "fell from 2 to 1" in text
    assert "UPDATE_BASELINE=1" in text


def test_an_update_lowers_numbers_and_raises_none() -> None:
    lower = {"registry/store": {"W505": 2}}
    moved = {"registry/store": {"W505": 5, "D401": 1}}
    higher = {"registry/store": {"W505": 3, "D401": 2}, "registry/hub": {"W505": 1}}

    assert measure.updated_baseline(BEFORE, lower) == lower
    with pytest.raises(measure.BaselineRaised, match="registry/store: W505 rose from 3 to 5"):
        measure.updated_baseline(BEFORE, moved)
    assert measure.updated_baseline(BEFORE, moved, moves=True) == moved
    with pytest.raises(measure.BaselineRaised, match="all units: D401 rose from 1 to 2"):
        measure.updated_baseline(BEFORE, higher, moves=True)
