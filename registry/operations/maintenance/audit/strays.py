"""Strays: what lies in the home and is no part of it. What has a name that is made in staging is on its way there, or collect takes it.

Among the registry's own, where a file could be taken for one of theirs, it is a finding. In the home's root nothing reads what is not
named as theirs, so it is told, and no fault: people lay a note there. What desktops leave in every folder is passed over.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from registry.core.filenames import LEFT_BY_DESKTOPS
from registry.core.settings import read_config
from registry.core.text import shell_word
from registry.errors import RegistryError
from registry.home.home import Home
from registry.home.location import FOLDERS, OURS
from registry.operations.shared.staging import is_ours as is_staged
from registry.results.audit import Finding
from registry.store import checkout as _checkout
from registry.store.preserve import is_aside

_LOCAL = re.compile(
    r"sources\.jsonl|config\.json|config\.\d+\.tmp|set-aside-[0-9a-f]{8}|\.registry-[0-9a-f]{16}",
    re.ASCII,
)


def strays(home: Home) -> list[Finding]:
    """Among the entries, and among everything else but the blobs."""
    from registry.catalog.migrate import is_ours

    found = stray_among(home, "journal", (), home.journal.strays(), "journal-stray", "is no entry")
    places: list[Path] = []
    for folder, ours in (
        ("catalog", is_ours),
        ("checkouts", lambda name: _checkout.is_ours(name) or is_aside(name)),
        ("local", _LOCAL.fullmatch),
        ("staging", is_staged),
    ):
        places += [place for place in _within(home.root / folder) if not ours(place.name)]
    files = [
        Finding(
            "stray-file",
            f"{name!r} is not a folder, and a registry keeps files in a folder of that name",
            (),
            f"mv {shell_word(str(home.root / name))} ELSEWHERE",
        )
        for name in FOLDERS
        if os.path.lexists(home.root / name) and not (home.root / name).is_dir()
    ]
    return [*found, *files] + [
        Finding(
            "stray-file",
            f"{str(place.relative_to(home.root))!r} is no part of a registry",
            (),
            f"rm -r {shell_word(str(place))}",
        )
        for place in places
    ]


def check_config(home: Home) -> list[Finding]:
    """Return a finding for settings that cannot be read, which block every change."""
    try:
        read_config(home.root)
    except RegistryError as error:
        return [Finding("config-damaged", str(error), (), "registry repair")]
    return []


def beside(home: Home) -> list[str]:
    """A note of what lies in the home's root beside the registry's own."""
    names = [repr(place.name) for place in _within(home.root) if place.name not in OURS]
    return (
        [
            f"the home also holds what is no part of a registry, and nothing here reads: {', '.join(names)}"
        ]
        if names
        else []
    )


def stray_among(
    home: Home,
    prefix: str,
    forms: Sequence[str],
    files: Iterable[str],
    finding: str,
    said: str,
    more: str = "",
) -> list[Finding]:
    """The files that a part of the store says are none of its own, and folders, empty or not, that are not of the forms of its levels."""
    found = dict.fromkeys(
        (str(folder.relative_to(home.root)) for folder in _folders(home.root / prefix, forms)),
        "rm -r",
    )
    folders = set(found)
    left = (name for name in files if name.rpartition("/")[2] not in LEFT_BY_DESKTOPS)
    found |= {
        name: "rm"
        for name in left
        if folders.isdisjoint(str(folder) for folder in PurePosixPath(name).parents)
    }
    return [
        Finding(
            finding, f"{name!r} {said}", (), f"{remove} {shell_word(str(home.root / name))}{more}"
        )
        for name, remove in sorted(found.items())
    ]


def _folders(place: Path, forms: Sequence[str]) -> Iterator[Path]:
    with (
        os.scandir(place) if place.is_dir() else contextlib.nullcontext(()) as items
    ):  # which tells folders without a look at each of 100,000
        folders = sorted(item.path for item in items if item.is_dir())
    for folder in map(Path, folders):
        if forms and re.fullmatch(forms[0], folder.name, re.ASCII):
            yield from _folders(folder, forms[1:])
        else:
            yield folder


def _within(folder: Path) -> list[Path]:
    return (
        sorted(place for place in folder.iterdir() if place.name not in LEFT_BY_DESKTOPS)
        if folder.is_dir()
        else []
    )
