"""Changed there: files of a version that somebody overwrote in its repository. Plain loaders take those; what is registered stays what it was."""

from __future__ import annotations

from collections.abc import Sequence

from registry.core.manifest import Manifest
from registry.core.text import counted
from registry.core.version import Version
from registry.home.home import Home
from registry.hub import card as _card, plan as _plan
from registry.hub.protocol import Refs, Remote, Tree
from registry.transfer import line_json as _line

SHOWN = 3


def changed_since(
    remote: Remote, now: Tree, published: str | None, manifest: Manifest
) -> tuple[str, ...]:
    """Return the files that were changed in a repository since a commit published a version.

    They are files of the version, its card, and added weights or tokens. Two commits with
    different versions are not compared. One request, if anything was committed since.
    """
    if published is None or published == now.commit:
        return ()
    before = remote.tree(now.repository, published).files
    if before.get(_line.MANIFEST) != now.files.get(_line.MANIFEST):
        return ()
    others = [path for path in now.files if path not in before and _plan.touches_loaders([path])]
    own = [_card.PATH, *(file.path for file in manifest.files)]
    return tuple(
        sorted({path for path in (*own, *others) if before.get(path) != now.files.get(path)})
    )


def warn_of_changes(
    home: Home,
    remote: Remote,
    tree: Tree,
    refs: Refs,
    version: Version,
    manifest: Manifest,
    published: str | None,
    *,
    card_too: bool = False,
) -> None:
    """Warn if plain loaders get something else from a commit than the version in it.

    With card_too an edited card is reported too, since a pull does not take it over.
    """
    if tree.commit in _plan.numbers(refs).values():
        return
    changed = changed_since(remote, tree, published, manifest)
    if card_too and _card.PATH in changed:
        change = "edited" if _card.PATH in tree.files else "removed"
        home.warn(
            f"{_card.PATH} of hf://{tree.repository} was {change} there after "
            f"{version.reference} was published; the README that was published is registered, "
            "and later pushes keep the edit unless their version has another README"
        )
    files = [path for path in changed if path != _card.PATH]
    if files:
        home.warn(
            f"hf://{tree.repository}@{tree.commit[:12]} is not as {version.reference} was published, {named(files)} changed there; plain "
            "loaders get what is there now, registry pull and load what was published"
        )


def warn_of_overwriting(
    home: Home,
    remote: Remote,
    tree: Tree,
    refs: Refs,
    version: Version,
    there: _line.Member,
    changes: _plan.Changes,
) -> None:
    """Keep a line where a version takes the place of what somebody changed on main since the last one was published."""
    touched = {upload.path for upload in changes.send} | set(changes.remove)
    published = refs.tags.get(_plan.tag_of(there.number))
    files = [
        path
        for path in changed_since(remote, tree, published, there.manifest)
        if path in touched and path != _card.PATH
    ]
    if files:
        home.warn(
            f"main of hf://{tree.repository} was changed there since {there.reference} was published, and {version.reference} takes the place "
            f"of that: {named(files)}; the change stays in the repository's history, at {tree.commit[:12]}"
        )


def named(files: Sequence[str]) -> str:
    """How many files, and which."""
    return f"{counted(len(files), 'file')} ({', '.join(files[:SHOWN])}{', …' if len(files) > SHOWN else ''})"
