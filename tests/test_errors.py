from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from registry import errors
from registry.errors import RegistryError

CLASSES = {
    name: each
    for name, each in vars(errors).items()
    if inspect.isclass(each) and issubclass(each, RegistryError)
}


def drawn() -> dict[str, tuple[int, set[str]]]:
    """{family: (exit code, its leaves)} as the module's docstring draws them."""
    tree: dict[str, tuple[int, set[str]]] = {}
    for line in (errors.__doc__ or "").splitlines():
        branch = re.fullmatch(r"[├└]─ (\w+) +(\d) +(.*)", line)
        if branch:
            family = branch[1]
            tree[family] = (int(branch[2]), set(branch[3].split()))
        elif tree and re.match(r"│ {20}", line):
            tree[family][1].update(line[1:].split())
    return tree


def test_the_tree_that_is_drawn_is_the_tree_of_classes() -> None:
    families = [each for each in CLASSES.values() if each.__bases__[0] is RegistryError]

    written = {
        family.__name__: (
            family.exit_code,
            {leaf.__name__ for leaf in CLASSES.values() if leaf.__bases__ == (family,)},
        )
        for family in families
    }

    assert written == drawn()


def test_every_class_is_a_family_or_a_leaf_of_one() -> None:
    named = {
        "RegistryError",
        *drawn(),
        *(leaf for _, leaves in drawn().values() for leaf in leaves),
    }

    assert set(CLASSES) == named


def test_the_families_have_the_exit_codes_that_scripts_rely_on() -> None:
    codes = {family: code for family, (code, _) in drawn().items()}

    assert RegistryError.exit_code == 1
    assert codes == {
        "Invalid": 2,
        "NotFound": 3,
        "Conflict": 4,
        "Corrupt": 5,
        "Refused": 6,
        "Unavailable": 7,
    }


@pytest.mark.parametrize("leaf", sorted(leaf for _, leaves in drawn().values() for leaf in leaves))
def test_a_leaf_exits_as_its_family_and_says_what_it_is_for(leaf: str) -> None:
    error = CLASSES[leaf]

    assert "exit_code" not in vars(error)
    assert (error.__doc__ or "").endswith(".")


def test_callers_who_know_only_python_catch_the_right_families() -> None:
    assert issubclass(errors.Invalid, ValueError)
    assert issubclass(errors.NotFound, LookupError)
    assert not issubclass(errors.Corrupt, ValueError | LookupError)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "no space left on device"),
        (OSError("the disk is gone"), "the disk is gone"),
        (OSError(), "oserror"),
    ],
)
def test_why_the_system_refused_stands_within_a_line(error: OSError, said: str) -> None:
    assert errors.reason(error) == said


def test_what_the_system_says_is_put_into_a_line_in_one_way_only() -> None:
    package = Path(errors.__file__).parent
    raw = [
        path.name
        for path in package.rglob("*.py")
        if re.search(r"\.strerror\b(?!\()", path.read_text())
    ]

    assert raw == ["errors.py"]
