"""status: each published version beside its repository. Here and there the same, or which of the two has what the other lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from registry.core import reference as _reference
from registry.core.progress import Progress
from registry.core.text import counted
from registry.core.version import Copy, Version
from registry.errors import (
    HubUnavailable,
    Invalid,
    ModelNotFound,
    Refused,
    RegistryError,
    RemoteMoved,
    RemoteNotFound,
)
from registry.home.home import Home
from registry.hub import card as _card, plan as _plan
from registry.hub.protocol import Refs, Remote, Tree
from registry.operations.shared.resolve import VersionLike, manifest_of, resolve
from registry.results.hub import State
from registry.transfer import line_json as _line

from .base_protection import is_replaced
from .repositories import line_at, the_hub
from .repository_content import holds


@dataclass(frozen=True)
class There:
    """A repository as it is now."""

    remote: Remote
    tree: Tree
    refs: Refs


def status(
    home: Home, target: VersionLike | None = None, *, offline: bool = False, progress: Progress
) -> tuple[State, ...]:
    """The published versions of one model, of all, or one version; and those that only its repository has. Offline nobody is asked."""
    name, number = _target(home, target)
    copies = _copies(home, name)
    if name is not None and not copies:
        _refuse_unknown(home, name)
    remote = the_hub()
    if copies and not offline:
        remote.check_settings()
    states: list[State] = []
    places = sorted({(copy.name, copy.repository) for copy in copies})
    mains: dict[str, Tree] = {}
    silence: HubUnavailable | None = None
    for number_of_place, (model, repository) in enumerate(places):
        if not offline:
            progress("asking", number_of_place, len(places))
        own = [copy for copy in copies if (copy.name, copy.repository) == (model, repository)]
        if offline:
            states += [
                State(model, copy.number, repository, copy.commit, None)
                for copy in sorted(own, key=lambda copy: copy.number)
            ]
            continue
        if silence is not None:
            # an endpoint that does not answer costs one wait, not one per repository
            states += _failed(own, "unreachable", f"not asked ({silence})")
            continue
        try:
            current = look(remote, repository)
            mains[current.tree.repository] = current.tree
            states += compared(home, current, model, repository, own)
        except (RemoteNotFound, RemoteMoved, HubUnavailable, Invalid, Refused) as error:
            states += _failed(own, _state_of(error), error.with_hint())
            if isinstance(error, HubUnavailable) and error.unanswered:
                silence = error
    if silence is None:
        states = [_with_base(home, remote, mains, state) for state in states]
    return tuple(state for state in states if number in (None, state.number))


def _failed(copies: Sequence[Copy], state: str, detail: str) -> list[State]:
    """Return the known versions of a repository that could not be compared."""
    return [
        State(copy.name, number, copy.repository, copy.commit, state, detail)
        for number, copy in sorted(_by_number(copies).items())
    ]


def _with_base(home: Home, remote: Remote, mains: dict[str, Tree], state: State) -> State:
    """Return the state of a published adapter, in the light of its base's main branch.

    Plain loaders take main of the base, whatever revision the adapter names. mains
    contains the trees that are known; those of bases are added.
    """
    if state.state != "same" or state.commit is None:
        return state
    from registry.catalog import queries

    with home.reading() as connection:
        version = queries.version(connection, state.name, state.number)
        if version is None or version.kind != "adapter":
            return state
        base = version.parents[0]
        copies = queries.copies(connection, manifest=base.digest)
    try:
        if not any(_replaced(remote, mains, copy.repository, copy.commit) for copy in copies):
            return state
        members = line_at(remote, remote.tree(state.repository, state.commit)) or ()
        member = next((part for part in members[1:] if part.digest == base.digest), None)
        if member is None or member.commit is None:
            return state
        replaced = _replaced(remote, mains, member.repository, member.commit)
    except (RemoteNotFound, RemoteMoved, HubUnavailable, Invalid, Refused) as error:
        return replace(state, detail=f"its base was not compared ({error})")
    if replaced is None:
        return state
    owner, _, name = state.repository.rpartition("/")
    last = member.repository.rpartition("/")[2]
    return replace(
        state,
        state="base changed",
        detail=f"{replaced} (to mend: registry push {base.reference} --to "
        f"{owner}/{last}-v{member.number}, then registry push {state.reference} --to "
        f"{owner}/{name}-v{state.number})",
    )


def _replaced(remote: Remote, mains: dict[str, Tree], repository: str, commit: str) -> str | None:
    """Return why plain loaders do not get the base at a commit, or None if they do."""
    try:
        if repository not in mains:
            mains[repository] = remote.tree(repository)
        main = mains[repository]
        if main.commit == commit or not is_replaced(main, remote.tree(repository, commit)):
            return None
    except RemoteNotFound as error:
        return f"plain loaders cannot load its base: {error}"
    return f"plain loaders take main of hf://{repository}, which is another model than its base"


def look(remote: Remote, repository: str) -> There:
    """Two requests."""
    tree = remote.tree(repository)
    return There(remote, tree, remote.refs(tree.repository))


def _by_number(copies: Sequence[Copy]) -> dict[int, Copy]:
    return {copy.number: copy for copy in sorted(copies, key=lambda copy: copy.entry)}


def compared(
    home: Home, there: There, name: str, repository: str, copies: Sequence[Copy]
) -> list[State]:
    """The same of a repository that was looked at. What it says of itself may raise InvalidManifest, NewerFormat, Refused."""
    known = _by_number(copies)
    tree, here = there.tree, _versions_here(home, name)
    tagged = _plan.numbers(there.refs)
    main = _number_on_main(there.remote, tree, name, known)
    # a version that was pulled by its commit may have another number there, or no tag
    tag_numbers = {
        number: next((n for n, commit in tagged.items() if commit == copy.commit), None)
        for number, copy in known.items()
        if copy.tag is None and tagged.get(number) != copy.commit
    }
    renumbered = {n for n in tag_numbers.values() if n is not None and n not in here}
    highest = max(tagged, default=0)
    if known and _line.PATH not in tree.files and all(copy.tag is None for copy in known.values()):
        return [_plain(there, copy) for _, copy in sorted(known.items())]
    ahead = [
        number
        for number, version in here.items()
        if number > highest and not version.yanked and not version.checkpoint
    ]
    return [
        _untagged(there, known[number], tag_numbers[number])
        if number in tag_numbers
        else _state(
            home,
            there,
            name,
            number,
            repository,
            here.get(number),
            known.get(number),
            tagged.get(number),
            main,
        )
        for number in sorted({*tagged, *known, *ahead} - renumbered)
    ]


def _state_of(error: RegistryError) -> str:
    if isinstance(error, RemoteNotFound):
        return "gone"
    return "unreachable" if isinstance(error, HubUnavailable) else "unreadable"


def _plain(there: There, copy: Copy) -> State:
    """A version that came from a repository that no registry made: whether main is still what it came from."""
    try:
        changed = _changed(there, copy.commit)
    except RemoteNotFound as error:
        return State(
            copy.name, copy.number, copy.repository, copy.commit, "gone", error.with_hint()
        )
    return State(
        copy.name,
        copy.number,
        copy.repository,
        copy.commit,
        "changed there" if changed else "same",
        _said(changed),
        changed,
    )


def _untagged(there: There, copy: Copy, tag_number: int | None) -> State:
    """Return the state of a version that was pulled from a commit without its tag."""
    try:
        there.remote.tree(there.tree.repository, copy.commit)
    except RemoteNotFound as error:
        return State(
            copy.name, copy.number, copy.repository, copy.commit, "gone", error.with_hint()
        )
    detail = (
        "pulled from a commit without a tag"
        if tag_number is None
        else f"it has the tag {_plan.tag_of(tag_number)} there"
    )
    return State(copy.name, copy.number, copy.repository, copy.commit, "same", detail)


def _state(
    home: Home,
    there: There,
    name: str,
    number: int,
    repository: str,
    version: Version | None,
    copy: Copy | None,
    tagged: str | None,
    main: int | None,
) -> State:
    commit = copy.commit if copy is not None else tagged
    moved = (
        f"hf://{repository} is now called hf://{there.tree.repository}"
        if there.tree.repository != repository
        else None
    )
    if version is None:
        return State(
            name, number, repository, tagged or commit, "behind" if tagged else "gone", moved
        )
    if tagged is None:
        if copy is None:
            return State(name, number, repository, None, "ahead", moved)
        return State(
            name,
            number,
            repository,
            commit,
            "gone",
            f"the tag {_plan.tag_of(number)} is not there any more",
        )
    if (copy is None or copy.commit != tagged) and not holds(
        home, there.remote.tree(there.tree.repository, tagged), manifest_of(home, version)
    ):
        return State(
            name,
            number,
            repository,
            tagged,
            "diverged",
            f"the tag {_plan.tag_of(number)} points to another model",
        )
    if number == main and there.tree.commit != tagged:
        changed = _changed(there, tagged)
        if changed:
            return State(name, number, repository, tagged, "changed there", _said(changed), changed)
    return State(name, number, repository, tagged, "same", moved)


def _said(changed: Sequence[str]) -> str | None:
    if not changed:
        return None
    return "card only" if tuple(changed) == (_card.PATH,) else counted(len(changed), "file")


def _changed(there: There, published: str) -> tuple[str, ...]:
    """Files of main that differ from those of the commit that was published."""
    if published == there.tree.commit:
        return ()
    before, now = there.remote.tree(there.tree.repository, published).files, there.tree.files
    return tuple(path for path in sorted({*before, *now}) if before.get(path) != now.get(path))


def _number_on_main(remote: Remote, tree: Tree, name: str, known: dict[int, Copy]) -> int | None:
    """The number of the model's version that main has, or had before somebody edited it there."""
    for number, copy in known.items():
        if copy.commit == tree.commit:
            return number
    members = line_at(remote, tree)
    return members[0].number if members and members[0].name.casefold() == name.casefold() else None


def _versions_here(home: Home, name: str) -> dict[int, Version]:
    from registry.catalog import queries

    with home.reading() as connection:
        spelled = queries.spelled(connection, name)
        return (
            {version.number: version for version in queries.versions(connection, spelled)}
            if spelled is not None
            else {}
        )


def _target(home: Home, target: VersionLike | None) -> tuple[str | None, int | None]:
    """(model, number) of what is asked for; a bare name is the whole model."""
    if target is None:
        return None, None
    if isinstance(target, str) and _reference.parse(target).bare and "^" not in target:
        from registry.catalog import queries

        with home.reading() as connection:
            return queries.spelled(connection, target) or target, None
    found = resolve(home, target)
    return found.name, found.number


def _copies(home: Home, name: str | None) -> list[Copy]:
    from registry.catalog import queries

    with home.reading() as connection:
        return queries.copies(connection, name=name)


def _refuse_unknown(home: Home, name: str) -> None:
    from registry.catalog import queries

    with home.reading() as connection:
        if queries.spelled(connection, name) is None:
            raise ModelNotFound(f"there is no model {name!r}")
