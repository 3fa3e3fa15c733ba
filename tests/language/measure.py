"""Counts of the wording and naming habits that this project removes step by step.

The functions are pure: sources, Markdown and linter output go in as text, and counts
come out. `test_language.py` compares them with `baseline.json`.

A unit is what a count belongs to: the first folder below `registry/` (loose files:
`registry`), the folders `migrations` and `benchmarks`, and each Markdown file.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

DOCSTRINGS = "markers in docstrings"
"""Docstrings that contain a marker: of modules, classes, functions and attributes.
The docstring of a click command is a help text instead."""
MESSAGES = "markers in messages"
"""String literals that contain a marker, a blank, and are neither docstring, help text
nor SQL. This covers errors, warnings, hints, notes, the titles of checks and texts kept
in constants, wherever they are in a file. The parts of an f-string are one literal."""
HELPS = "markers in helps"
"""Help texts that contain a marker: `help=`, `short_help=`, `epilog=`, docstrings of
click commands."""
MARKDOWN = "markers in Markdown"
"""Markers in a Markdown file outside of code."""
BANNED = "banned names"
"""Bindings of a name in BANNED_NAMES."""
SUBSTITUTES = "substitutes"
"""Bindings of a name in SUBSTITUTE_NAMES."""
TUPLES = "tuple returns"
"""Functions whose return annotation contains a tuple of three or more members."""
CLASSES = "repeated class names"
"""Class names that are defined more than once in `registry/`, private ones included."""
IMPERATIVE = "D401"
"""Docstrings of functions that do not begin in the imperative (ruff)."""
DOC_WIDTH = "W505"
"""Lines of docstrings and comments over MAX_DOC_LENGTH columns (ruff)."""
COUNTERS = (
    DOCSTRINGS,
    MESSAGES,
    HELPS,
    MARKDOWN,
    BANNED,
    SUBSTITUTES,
    TUPLES,
    CLASSES,
    IMPERATIVE,
    DOC_WIDTH,
)
MAX_DOC_LENGTH = 88
WHOLE_REGISTRY = "registry/**"
"""The unit of CLASSES, which compares all packages with each other."""

MARKERS = """
`lies`, `lie there`, `stands (on|in|at|for|against)`, `said`, `says`, `told`, `tells`,
`is no`, `are no`, `has no … that`, `nobody`, `somebody`, `whoever`, `whose … is not`,
`what it (is|was|has|needs)`, `as it (was|is|lies|stands)`, `which it`, `its line`,
`those (who|that)`, `who (has|needs|asks|adds|loads)`, `otherwise than`, `beside`,
`anew`, `put right`, `goes its own way`, `for ever`, `let pass`, `taken away`,
`comes (along|from elsewhere)`, `here and there`, `in the place of`, `is there`,
`there is there`, `made up`, `nowhere`, `thereby`, `of which`, `at a glance`,
`a matter of`, `made anew`, `the whole of`
"""
"""Phrases that a reader has to translate, compared as whole words in any case.

`(a|b)` is a choice, `…` is up to 60 characters of one clause, and a blank is any white
space. They are written as code spans, so this table contains no marker itself.
"""
STANDARD_PHRASES = {
    "is no longer": "standard English for a state that has ended",
    "are no longer": "standard English for a state that has ended",
}
"""Phrases that contain a marker and are not counted, with the reason."""

_BANNED = """
    found place said other own what there known named one done mine made places whole
    left given asked shown wanted kept others here theirs same told seen gone taken
    begun needed beside odd mended held ours meant alone rest apart together
"""
BANNED_NAMES = frozenset(_BANNED.split())
"""Names that do not describe a value. `left` is allowed where `right` is bound in the
same scope, as the name of a side."""
SUBSTITUTE_NAMES = frozenset({"result", "data", "value", "item", "info", "obj", "thing"})
"""Names that do not improve on a banned one."""
EXEMPT_FIELDS = {
    ("Probe", "given"): "stored with the probes of a version",
    ("Probe", "places"): "stored with the probes of a version",
    ("Marker", "place"): "stored in the marker of a checkout",
    ("Outcome", "found"): "printed by check --json",
    ("Difference", "same"): "printed by diff --json",
    ("MovedText", "left"): "printed by diff --encodings --json",
    ("Collected", "kept"): "printed by collect --json",
    ("Finding", "what"): "printed by audit --json",
    ("Mended", "what"): "printed by repair --json",
    ("Lost", "what"): "printed by repair --json",
    ("Repaired", "mended"): "printed by repair --json",
    ("Usage", "own"): "printed by du --json",
    ("Sent", "what"): "printed by push --json and sync --json",
    ("Received", "what"): "printed by pull --json and sync --json",
    ("Synced", "left"): "printed by sync --json",
}
"""(class, field) whose name is a key of a stored format or of a --json output."""
EXEMPT_TUPLES = {"resolve_command": "click defines what this method returns"}
"""Functions that may return a tuple of three or more members, with the reason."""

_HELP_KEYWORDS = ("help", "short_help", "epilog")
_HIDDEN = "\ufffc"
"""Replaces every character of code and of quoted values, and each value in an f-string.
It is neither a letter nor a blank, so no marker extends across it."""
_CODE = re.compile(r"```.*?```|``[^`]+``|`[^`\n]+(?:\n[^`\n]+)?`", re.DOTALL)
_QUOTED = re.compile(
    rf"(?<![\w{_HIDDEN}])'[^'\n]{{1,80}}'(?![\w{_HIDDEN}])|\"[^\"\n]{{1,80}}\"|“[^”\n]{{1,80}}”"
)
_SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|WITH|WHERE|FROM|BEGIN|ATTACH)\b"
)


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that matches each of these phrases as whole words."""
    patterns = (
        r"\s+".join(phrase.replace("(", "(?:").replace("…", "[^.;:]{1,60}?").split())
        for phrase in phrases
    )
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)


_MARKER = _any_of(re.findall("`([^`]+)`", MARKERS))
_STANDARD = _any_of(STANDARD_PHRASES)


@dataclass(frozen=True)
class Occurrence:
    """A counted spot: counter, file relative to the project, line, excerpt."""

    counter: str
    path: str
    line: int
    excerpt: str

    @property
    def unit(self) -> str:
        """The unit that it is counted for."""
        return WHOLE_REGISTRY if self.counter == CLASSES else unit_of(self.path)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.excerpt}"


@dataclass(frozen=True)
class ClassDefinition:
    """The place of a class statement."""

    name: str
    path: str
    line: int


@dataclass
class Measurement:
    """All that is counted in one Python file."""

    occurrences: list[Occurrence] = field(default_factory=list)
    texts: Counter[str] = field(default_factory=Counter)
    """By counter, how many docstrings, messages and help texts there are, with a marker
    or without."""
    classes: list[ClassDefinition] = field(default_factory=list)
    exempted: set[tuple[str, str]] = field(default_factory=set)
    """Keys of EXEMPT_FIELDS that the file binds."""


def unit_of(path: str) -> str:
    """Return the unit of a file, given its path relative to the project."""
    first, *below = path.split("/")
    if path.endswith(".md"):
        return path
    return f"{first}/{below[0]}" if first == "registry" and len(below) > 1 else first


def _hide(pattern: re.Pattern[str], text: str) -> str:
    """Replace the matches of a pattern, keeping length and line breaks."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", _HIDDEN, match[0]), text)


def markers(text: str, *, quoted: bool = True) -> Iterator[re.Match[str]]:
    """Return the matches of markers outside of code spans and standard phrases.

    With `quoted=False`, values in quotation marks are left out, too.
    """
    text = _hide(_CODE, text)
    if not quoted:
        text = _hide(_QUOTED, text)
    return _MARKER.finditer(_hide(_STANDARD, text))


def measure_markdown(text: str, path: str) -> list[Occurrence]:
    """Return each marker in a Markdown text."""
    return [
        Occurrence(MARKDOWN, path, text.count("\n", 0, match.start()) + 1, repr(match[0]))
        for match in markers(text)
    ]


def measure_python(source: str, path: str) -> Measurement:
    """Return what is counted in a Python source, except for the linter's findings."""
    collector = _Collector(path)
    collector.visit(ast.parse(source))
    return collector.measurement


def measure_lint(output: str, relative: Callable[[str], str]) -> list[Occurrence]:
    """Return the findings in the JSON output of `ruff check`.

    `relative` converts the file name of a finding into a path relative to the project.
    """
    return [
        Occurrence(
            finding["code"],
            relative(finding["filename"]),
            finding["location"]["row"],
            finding["message"],
        )
        for finding in json.loads(output)
    ]


def repeated_class_names(definitions: Iterable[ClassDefinition]) -> list[Occurrence]:
    """Return an occurrence for each class name that is defined more than once."""
    by_name: dict[str, list[ClassDefinition]] = defaultdict(list)
    for definition in sorted(definitions, key=lambda spot: (spot.name, spot.path, spot.line)):
        by_name[definition.name].append(definition)
    return [
        Occurrence(
            CLASSES,
            first.path,
            first.line,
            f"class {name} is also defined in "
            + ", ".join(f"{definition.path}:{definition.line}" for definition in more),
        )
        for name, (first, *more) in by_name.items()
        if more
    ]


class _Collector(ast.NodeVisitor):
    """A measurement of one syntax tree, made in a single pass."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.measurement = Measurement()
        self._literals = MESSAGES
        self._command_docstring: ast.expr | None = None
        self._scope_class: str | None = None
        self._sides: list[tuple[list[Occurrence], set[str]]] = [([], set())]

    def _add(self, counter: str, line: int, excerpt: str) -> None:
        self.measurement.occurrences.append(Occurrence(counter, self.path, line, excerpt))

    # Texts

    def _text(self, counter: str, text: str, line: int, *, multiline: bool) -> None:
        self.measurement.texts[counter] += 1
        first = next(markers(text, quoted=counter == DOCSTRINGS), None)
        if first is not None:
            line += text.count("\n", 0, first.start()) if multiline else 0
            self._add(counter, line, repr(first[0]))

    def _literal(self, text: str, line: int) -> None:
        if self._literals == HELPS or (" " in text and not _SQL.match(text)):
            self._text(self._literals, text, line, multiline=False)

    def visit_Expr(self, node: ast.Expr) -> None:
        """Count a docstring: any statement that is a string."""
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            is_help = node.value is self._command_docstring
            counter = HELPS if is_help else DOCSTRINGS
            self._text(counter, node.value.value, node.lineno, multiline=True)
        else:
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Count a string literal."""
        if isinstance(node.value, str):
            self._literal(node.value, node.lineno)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Count an f-string as one literal, and the literals inside its expressions."""
        parts = [
            str(part.value) if isinstance(part, ast.Constant) else _HIDDEN for part in node.values
        ]
        self._literal("".join(parts), node.lineno)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def visit_keyword(self, node: ast.keyword) -> None:
        """Count the literals of a keyword such as `help=` as help texts."""
        outer = self._literals
        self._literals = HELPS if node.arg in _HELP_KEYWORDS else outer
        self.visit(node.value)
        self._literals = outer

    # Names

    def _bind(self, name: str, line: int) -> None:
        occurrences, names = self._sides[-1]
        names.add(name)
        word = name.strip("_")
        if word in SUBSTITUTE_NAMES:
            self._add(SUBSTITUTES, line, name)
        elif word in BANNED_NAMES:
            if (self._scope_class, name) in EXEMPT_FIELDS:
                assert self._scope_class is not None
                self.measurement.exempted.add((self._scope_class, name))
            elif word == "left":
                occurrences.append(Occurrence(BANNED, self.path, line, name))
            else:
                self._add(BANNED, line, name)

    def _inside(self, node: ast.AST, scope_class: str | None) -> None:
        """Visit the children of a class, a function or a module as one scope."""
        outer, self._scope_class = self._scope_class, scope_class
        self._sides.append(([], set()))
        self.generic_visit(node)
        occurrences, names = self._sides.pop()
        if "right" not in names:
            self.measurement.occurrences += occurrences
        self._scope_class = outer

    def visit_Module(self, node: ast.Module) -> None:
        """Visit a module as a scope."""
        self._inside(node, None)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Count a class, and remember where it is defined."""
        self.measurement.classes.append(ClassDefinition(node.name, self.path, node.lineno))
        self._bind(node.name, node.lineno)
        self._inside(node, node.name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Count a function: its name, its return annotation, its body."""
        self._bind(node.name, node.lineno)
        returns = None if node.name in EXEMPT_TUPLES else node.returns
        if returns is not None and _has_long_tuple(returns):
            self._add(TUPLES, node.lineno, f"{node.name} -> {ast.unparse(returns)}")
        first = node.body[0]
        if isinstance(first, ast.Expr) and any(map(_makes_command, node.decorator_list)):
            self._command_docstring = first.value
        self._inside(node, None)

    visit_AsyncFunctionDef = visit_FunctionDef  # the name that ast calls

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Visit a lambda as a scope."""
        self._inside(node, None)

    def visit_Name(self, node: ast.Name) -> None:
        """Count an assigned variable, also of for, with, := or a comprehension."""
        if isinstance(node.ctx, ast.Store):
            self._bind(node.id, node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Count an attribute that is assigned on `self` or `cls`."""
        own_attribute = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        if isinstance(node.ctx, ast.Store) and own_attribute:
            self._bind(node.attr, node.lineno)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        """Count a parameter."""
        self._bind(node.arg, node.lineno)
        self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> None:
        """Count the new name of `import … as …`."""
        if node.asname is not None:
            self._bind(node.asname, node.lineno)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """Count the name of `except … as …`."""
        if node.name is not None:
            self._bind(node.name, node.lineno)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        """Count a name that a pattern captures."""
        if node.name is not None:
            self._bind(node.name, node.lineno)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs  # the name that ast calls

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        """Count the name that captures the remaining keys of a mapping."""
        if node.rest is not None:
            self._bind(node.rest, node.lineno)
        self.generic_visit(node)


def _makes_command(decorator: ast.expr) -> bool:
    """Return whether a decorator makes a click command or group of a function."""
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("command", "group")


def _has_long_tuple(annotation: ast.expr) -> bool:
    """Return whether an annotation contains a tuple of three or more named members."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if _has_long_tuple(ast.parse(node.value, mode="eval").body):
                return True
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
            members = node.slice.elts
            is_open = any(isinstance(m, ast.Constant) and m.value is ... for m in members)
            is_tuple = ast.unparse(node.value).rpartition(".")[2] in ("tuple", "Tuple")
            if is_tuple and len(members) > 2 and not is_open:
                return True
    return False


# Comparison with the baseline

Counts = Mapping[str, Mapping[str, int]]
"""Unit, counter, number; what is missing is 0."""


class BaselineRaised(ValueError):
    """An update that would raise a number of the baseline."""


@dataclass(frozen=True)
class Change:
    """A count that differs from the baseline."""

    unit: str
    counter: str
    before: int
    after: int

    def __str__(self) -> str:
        verb = "rose" if self.after > self.before else "fell"
        return f"{self.unit}: {self.counter} {verb} from {self.before} to {self.after}"


def count(occurrences: Iterable[Occurrence]) -> dict[str, dict[str, int]]:
    """Return the number of occurrences by unit and counter, sorted."""
    numbers = Counter((occurrence.unit, occurrence.counter) for occurrence in occurrences)
    counts: dict[str, dict[str, int]] = {}
    for (unit, counter), number in sorted(numbers.items()):
        counts.setdefault(unit, {})[counter] = number
    return counts


def changes(before: Counts, after: Counts) -> list[Change]:
    """Return each count that differs, sorted by unit."""
    return [
        Change(unit, counter, old, new)
        for unit in sorted({*before, *after})
        for counter in sorted({*before.get(unit, {}), *after.get(unit, {})})
        if (old := before.get(unit, {}).get(counter, 0))
        != (new := after.get(unit, {}).get(counter, 0))
    ]


def updated_baseline(
    baseline: Counts, counts: dict[str, dict[str, int]], *, moves: bool = False
) -> dict[str, dict[str, int]]:
    """Return the new baseline. Raise BaselineRaised where a number would rise.

    With `moves`, numbers may move from one unit to another: only the sum of a counter
    over all units must not rise.
    """
    raised = [change for change in changes(baseline, counts) if change.after > change.before]
    if moves:
        raised = [
            change
            for change in changes({"all units": _sums(baseline)}, {"all units": _sums(counts)})
            if change.after > change.before
        ]
    if raised:
        raise BaselineRaised("the baseline may only shrink: " + "; ".join(map(str, raised)))
    return counts


def _sums(counts: Counts) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for numbers in counts.values():
        sums.update(numbers)
    return dict(sums)


def report(change: Change, occurrences: Iterable[Occurrence], limit: int = 60) -> str:
    """Return what a reader needs to know about a changed count.

    Of a count that rose, the occurrences in its unit are listed in the order given, up
    to `limit`.
    """
    if change.after < change.before:
        return f"{change}; run UPDATE_BASELINE=1 pytest tests/language to keep it there"
    lines = [
        f"  {occurrence}"
        for occurrence in occurrences
        if (occurrence.unit, occurrence.counter) == (change.unit, change.counter)
    ]
    more = [f"  … and {len(lines) - limit} more"] if len(lines) > limit else []
    return "\n".join([f"{change}; all that are counted there:", *lines[:limit], *more])


def as_json(counts: Counts) -> str:
    """Return the text of a baseline file."""
    return json.dumps(counts, indent=1, sort_keys=True) + "\n"


def parse_baseline(text: str) -> dict[str, dict[str, int]]:
    """Return the counts in the text of a baseline file."""
    parsed: Any = json.loads(text)
    return {unit: dict(numbers) for unit, numbers in parsed.items()}
