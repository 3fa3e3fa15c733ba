"""Leaks: text that names a place on this machine, and must not leave it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from registry.core.settings import home_folder
from registry.core.text import shell_word
from registry.core.version import Version
from registry.errors import LocalPath
from registry.home.home import Home
from registry.hub import plan as _plan
from registry.hub.protocol import Upload
from registry.transfer import line_json as _line


def refuse_leaks(
    home: Home, line: Sequence[Version], uploads: Sequence[Upload], allowed: Sequence[str]
) -> None:
    """Raises LocalPath, with file and line, if a file to be published names a place on this machine; `allowed` paths may."""
    found = _leaks(home, uploads, line, allowed)
    if found:
        first = min(found, key=lambda leak: not leak.path.startswith(_line.ORIGINALS))
        registered = first.path.removeprefix(f"{_line.ORIGINALS}/")
        others = {leak.path.removeprefix(f"{_line.ORIGINALS}/") for leak in found} - {registered}
        more = f", and so do {', '.join(sorted(others))}" if others else ""
        raise LocalPath(
            f"{registered} line {first.line} of {line[0].reference} contains a path of this "
            f"machine: {first.found!r}{more}",
            hint="correct the file and add the folder again, or publish it as it is: "
            f"--allow-path {shell_word(registered)}",
        )


def _places_of_this_machine(home: Home, versions: Iterable[Version]) -> list[str]:
    """What must stand in no file that leaves this machine: the home of the user, that of the registry, the folders versions were added from."""
    from registry.operations.shared.source_log import recall

    found = [str(home.root), *map(str, filter(None, [home_folder()]))]
    for version in versions:
        for source in recall(home, version.digest):
            found.append(source["folder"])
            found += [
                text
                for text in _texts(source["originals"])
                if text.startswith(("/", "~", "\\")) or text[1:3] == ":\\"
            ]
    return found


def _leaks(
    home: Home, uploads: Sequence[Upload], line: Sequence[Version], allowed: Sequence[str]
) -> list[_plan.Leak]:
    """Places of this machine in files to be published, those of allowed paths left out."""
    import getpass

    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = None
    checked = [
        upload
        for upload in uploads
        if upload.path not in allowed
        and upload.path.removeprefix(f"{_line.ORIGINALS}/") not in allowed
    ]
    return _plan.leaks(checked, _places_of_this_machine(home, line), user)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in _texts(item)]
