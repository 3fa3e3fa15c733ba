"""pushing: what a push knows, and looks for before anything is published. The parents that are nowhere yet, their places, what nobody may see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from registry.core.digest import Digest
from registry.core.version import Version
from registry.errors import Invalid, RemoteNotFound
from registry.home.home import Home
from registry.hub.protocol import Remote, Tree, Upload
from registry.operations.shared.resolve import manifest_of
from registry.results.hub import Sent

from .background import Hashing
from .leaks import refuse_leaks
from .repositories import copies_at, place_of, remembered, repository_of_owner
from .repository_content import UNKNOWN_COMMIT, Place, line_from, render
from .transfer_progress import Bytes


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """Where to, and what is allowed."""

    to: str | None = None
    parents_to: str | None = None
    all_parents: bool = False
    private: bool = False
    pr: bool = False
    dry_run: bool = False
    message: str | None = None
    as_new: str | None = None
    break_others: bool = False
    allow_path: Sequence[str] = ()


@dataclass
class Run:
    """One push: what it knows so far."""

    home: Home
    remote: Remote
    options: PushOptions
    bytes: Bytes
    hashing: Hashing
    said: frozenset[str]
    """Repositories that were named by whoever pushes, and not remembered: these may be made, whatever was there."""
    looked: dict[str, Tree] = field(default_factory=dict)
    """Repositories as they were a moment ago, for who asks next."""
    anew: set[str] = field(default_factory=set)
    """Those that are gone, and are to be made again."""
    places: dict[Digest, Place] = field(default_factory=dict)
    made: dict[tuple[object, ...], list[Upload]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)


def is_known(run: Run, version: Version) -> bool:
    """Whether the repository was heard to have the version: then nothing of it will be sent, most likely."""
    to = run.options.to or ""
    return to not in run.anew and any(
        (copy.name, copy.number) == (version.name, version.number)
        for copy in copies_at(run.home, to)
    )


def hash_ahead(run: Run, versions: Sequence[Version]) -> None:
    """Begin to look at what will be sent: no byte goes out that is not what is registered."""
    if not run.options.dry_run and run.remote.digests_first():
        run.hashing.begin(
            [file for version in versions for file in manifest_of(run.home, version).files]
        )


def look_for_parents(run: Run, line: Sequence[Version]) -> list[Version]:
    """The ancestors that have to be published first, farthest first; places of the others are known afterwards."""
    missing = []
    for parent in reversed(line[1:]):
        place = place_of(run.home, run.remote, parent, plain_too=not run.options.all_parents)
        if (
            place is not None
            and run.options.all_parents
            and place.repository.casefold() != target_of(run, parent).casefold()
        ):
            place = None  # the repository of somebody else may vanish, whoever made it
        if place is None:
            target_of(run, parent)
            missing.append(parent)
        else:
            run.places[parent.digest] = place
            what = "upstream" if place.plain else "already"
            run.sent.append(Sent(parent.reference, place.repository, place.commit, None, what))
    return missing


def target_of(run: Run, parent: Version) -> str:
    """The repository for a parent that is nowhere yet."""
    last = parent.name.rsplit("/", 1)[-1]
    if run.options.parents_to is not None:
        return repository_of_owner(run.options.parents_to, last)
    known = remembered(run.home, parent.name)
    if known is None or run.options.all_parents:
        owner = (run.options.to or "").partition("/")[0]
        why = "is to be published again" if run.options.all_parents else "is not on the Hub yet"
        raise Invalid(
            f"no repository is known for the parent {parent.reference}, which {why}",
            hint=f"add --parents-to {owner} to publish it to {owner}/{last}",
        )
    return known


def refuse_gone(run: Run, version: Version, missing: Sequence[Version]) -> None:
    """Look at every repository that is known to have had something before the first of them is made or written to."""
    for item in (*missing, version):
        repository = (run.options.to or "") if item is version else target_of(run, item)
        if not copies_at(run.home, repository):
            continue
        try:
            run.looked[repository] = run.remote.tree(repository)
        except RemoteNotFound as error:
            refuse_to_make(run, item, repository, error)
            run.anew.add(repository)
    if missing:
        run.looked.clear()  # by the time that the parents are there it is long ago


def refuse_to_make(run: Run, version: Version, repository: str, error: RemoteNotFound) -> None:
    """Raises RemoteNotFound for a repository in which something was, unless it was named just now: whoever deleted it may have meant it."""
    known = copies_at(run.home, repository)
    if known and repository not in run.said:
        last = max(known, key=lambda copy: copy.entry)
        again = (
            f"create it again: registry push {version.reference} --to {repository}, "
            "or publish elsewhere: --to org/other"
        )
        raise RemoteNotFound(
            f"{error} ({last.name}@{last.number} was published there)",
            hint="; ".join(filter(None, [error.hint, again])),
        )


def is_empty(tree: Tree, tags: Collection[str]) -> bool:
    """Whether a repository is as the Hub makes it: no file of anybody's, and no tag."""
    return not tags and set(tree.files) <= {".gitattributes"}


def uploads_of(
    run: Run,
    line: Sequence[Version],
    repository: str,
    places: Mapping[Digest, Place],
    readme: str | None = None,
) -> list[Upload]:
    """As render, once for the same question. Raises Refused for a file that names a place of this machine."""
    asked = (
        line[0].digest,
        repository,
        readme,
        *((item.digest, places[item.digest]) for item in line[1:]),
    )
    if asked not in run.made:
        uploads = render(run.home, line, repository, places, readme)
        refuse_leaks(run.home, line, uploads, run.options.allow_path)
        run.made[asked] = uploads
    return run.made[asked]


def refuse_leaks_early(run: Run, line: Sequence[Version], missing: Sequence[Version]) -> None:
    """Before anything of the line is published, look at all that may be."""
    target = run.options.to or ""
    provisional = {
        item.digest: run.places.get(item.digest, Place(target, UNKNOWN_COMMIT)) for item in line
    }
    for version in (*missing, *([] if is_known(run, line[0]) else line[:1])):
        uploads_of(run, line_from(line, version), target, provisional)
