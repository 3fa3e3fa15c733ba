"""Breaking: what a push would do to those who stand on what is there. Plain loaders take a base's main, whatever revision is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from registry.core import facts as _facts
from registry.core.digest import Digest, digest_of
from registry.core.facts import Facts
from registry.core.manifest import Manifest
from registry.core.version import Version
from registry.errors import BlobNotFound, InUse
from registry.home.home import Home
from registry.hub import card as _card, download, plan as _plan
from registry.hub.protocol import Refs, Remote, Tree
from registry.operations.shared.resolve import facts_of, stored
from registry.transfer import line_json as _line

from .repositories import copies_at
from .repository_content import Place

SHOWN = 5
FACTS_LIMIT = 64 << 20
CARD_LIMIT = 4 << 20


def refuse_breaking(
    home: Home,
    remote: Remote,
    version: Version,
    tree: Tree,
    there: _line.Member | None,
    changes: _plan.Changes,
) -> None:
    """Raises InUse if a commit on main changes weights or tokens on which other adapters stand, naming them."""
    if version.kind == "adapter" or not _changes_model(home, remote, version, tree, there, changes):
        return
    others = sorted(
        {
            *_known_here(home, version, tree.repository),
            *(f"hf://{child}" for child in remote.children(tree.repository)),
        }
    )
    if not others:
        return
    named = ", ".join(others[:SHOWN]) + (
        f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    )
    before = there.reference if there is not None else "its present content"
    raise InUse(
        f"{version.reference} would replace {before} on main of hf://{tree.repository}, the base "
        f"of {named} (plain loaders load main whatever revision is named, so they would load "
        "another base without an error and encode differently)",
        hint="publish it in a repository of its own: --as-new "
        f"{tree.repository}-v{version.number}, or add --break",
    )


def warn_of_other_base(
    home: Home, remote: Remote, line: Sequence[Version], places: Mapping[Digest, Place]
) -> None:
    """Keep a line where plain loaders of an adapter would get another base than its own, or none."""
    version = line[0]
    if version.kind != "adapter":
        return
    from registry.model_files.layout import layout

    base = next(item for item in line[1:] if item.digest == version.parents[0].digest)
    place = places[base.digest]
    files = stored(home, base)
    folder = layout(files, class_hint=base.model_class).transformer
    if folder:
        home.warn(
            f"plain loaders cannot load {version.reference} from the Hub: its base {base.reference} keeps its transformer in {folder!r}"
        )
    main = remote.tree(place.repository)
    if main.commit == place.commit:
        return
    if is_replaced(main, remote.tree(place.repository, place.commit)):
        home.warn(
            f"plain loaders of {version.reference} take main of hf://{place.repository}, which is another model than {base.reference} by now; "
            f"the registry pulls and loads the right one"
        )


def is_replaced(main: Tree, published: Tree) -> bool:
    """Return whether main has other weights or tokens than a published commit."""
    paths = {*main.files, *published.files}
    return _plan.touches_loaders(
        path for path in paths if main.files.get(path) != published.files.get(path)
    )


def readme_there(
    remote: Remote,
    version: Version,
    manifest: Manifest,
    tree: Tree,
    refs: Refs,
    there: _line.Member | None,
    home: Home,
) -> str | None:
    """The card as somebody edited it on the Hub, if it should stay; None where the registered one is to be taken."""
    file = tree.files.get(_card.PATH)
    published = refs.tags.get(_plan.tag_of(there.number)) if there is not None else None
    if file is None or there is None or published is None or published == tree.commit:
        return None
    if remote.tree(tree.repository, published).files.get(_card.PATH) == file:
        return None
    own, before = manifest.file(_card.PATH), there.manifest.file(_card.PATH)
    if (own.digest if own else None) != (before.digest if before else None):
        home.warn(
            f"the card of hf://{tree.repository} was edited there, and {version.reference} brings one of its own; "
            "the edit stays in the repository's history"
        )
        return None
    return download.read(remote, tree.repository, tree.commit, _card.PATH, limit=CARD_LIMIT).decode(
        "utf-8", "surrogateescape"
    )


def _changes_model(
    home: Home,
    remote: Remote,
    version: Version,
    tree: Tree,
    there: _line.Member | None,
    changes: _plan.Changes,
) -> bool:
    """Whether weights or tokens change: by facts where the repository has them, so that another packing counts for nothing."""
    before = _facts_there(home, remote, tree, there)
    if before is None:
        changed = [upload.path for upload in changes.send if upload.path in tree.files] + list(
            changes.remove
        )
        return _plan.touches_loaders(changed)
    now = facts_of(home, version)
    return (before.weights.digest, before.vocabulary.digest, before.tokenizer) != (
        now.weights.digest,
        now.vocabulary.digest,
        now.tokenizer,
    )


def _facts_there(
    home: Home, remote: Remote, tree: Tree, there: _line.Member | None
) -> Facts | None:
    if there is None:
        return None
    try:
        return _facts.parse(home.blobs.read(there.facts))
    except BlobNotFound:
        content = download.read(
            remote, tree.repository, tree.commit, _line.FACTS, limit=FACTS_LIMIT
        )
        return _facts.parse(content) if digest_of(content) == there.facts else None


def _known_here(home: Home, version: Version, repository: str) -> list[str]:
    """Published adapters on what this home knows to have been in the repository, those on the new version left out."""
    from registry.catalog import queries

    with home.reading() as connection:
        bases = {
            found.digest
            for copy in copies_at(home, repository)
            if (found := queries.version(connection, copy.name, copy.number)) is not None
            and found.digest != version.digest
        }
        children = [
            child
            for base in sorted(bases)
            for child in queries.children(connection, base)
            if child.kind == "adapter"
        ]
        return [
            child.reference
            for child in children
            if queries.copies(connection, name=child.name, number=child.number)
        ]
