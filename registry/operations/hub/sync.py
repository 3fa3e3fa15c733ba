"""sync: a model and its repository get what the other has. What went apart is left alone, and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from registry.core import reference as _reference
from registry.core.progress import Progress
from registry.core.version import Version
from registry.errors import Invalid, NameTaken, RemoteMoved
from registry.home.home import Home
from registry.hub.plan import tag_of
from registry.operations.shared.resolve import manifest_of
from registry.results.hub import Received, Sent, State, Synced

from .pull import pull
from .pull_options import PullOptions
from .push import push
from .push_run import PushOptions
from .repositories import (
    copies_at,
    line_at,
    record,
    refuse_other_history,
    remembered,
    repository_of,
    the_hub,
)
from .repository_content import placed
from .status import There, compared, look


def sync(
    home: Home,
    name: str,
    *,
    with_repository: str | None = None,
    dry_run: bool = False,
    progress: Progress,
) -> Synced:
    """Push what is here only, pull what is there only, by number. Raises Invalid where no repository is known, and what is wrong with it."""
    from registry.catalog import queries

    _reference.check_name(name)
    repository = (
        repository_of(with_repository, "--with")
        if with_repository is not None
        else remembered(home, name)
    )
    if repository is None:
        raise Invalid(
            f"no repository is known for {name}", hint=f"add --with org/{name.rsplit('/', 1)[-1]}"
        )
    with home.reading() as connection:
        spelled = queries.spelled(connection, name)
        name = spelled or name
        copies = queries.copies(connection, name=name, repository=repository)
        here = (
            {version.number: version for version in queries.versions(connection, name)}
            if spelled is not None
            else {}
        )
    there = look(the_hub(), repository)
    _refuse_other(home, there, repository)
    states = compared(home, there, name, repository, copies)
    pushed: list[Sent] = []
    pulled: list[Received] = []
    shared = [
        state
        for state in states
        if state.state in ("same", "changed there") and state.number in here
    ]
    called = None if copies or shared else name.casefold()
    states = [
        _as_it_says(there, state, called) if state.state == "behind" else state for state in states
    ]
    left = [state for state in states if state.state not in ("same", "ahead", "behind")]
    if not copies and any(state.state == "behind" for state in states):
        _refuse_stranger(here, shared, name, repository)
        if shared and not dry_run:
            _note_copy(home, here[shared[-1].number], shared[-1])
    for state in states:
        if state.state == "behind":
            pulled += _pull(home, state, name, dry_run=dry_run, progress=progress)
    for state in states:
        if state.state == "ahead":
            pushed += _push(home, state, dry_run=dry_run, progress=progress)
    return Synced(name, repository, tuple(pushed), tuple(pulled), tuple(left), dry_run)


def _refuse_other(home: Home, there: There, repository: str) -> None:
    """Raises RemoteMoved for a repository that is not the one that was known: what it has would come in as if it were."""
    tree, known = there.tree, copies_at(home, repository)
    if tree.repository != repository:
        raise RemoteMoved(
            f"hf://{repository} is now called hf://{tree.repository}",
            hint=f"sync with it: --with {tree.repository}",
        )
    if known and all(copy.commit != tree.commit for copy in known):
        members = line_at(there.remote, tree)
        refuse_other_history(
            there.remote,
            tree,
            there.refs.tags,
            known,
            members[0].number if members else None,
            hint="if its present content is right, name that commit: "
            f"registry pull hf://{tree.repository}@{tree.commit}",
        )


def _as_it_says(there: There, state: State, called: str | None) -> State:
    """What is there only; diverged where the tag of a number holds another number, or nothing that a registry published.

    called is the name that it must have there too; None where the repository has versions of this model, which it may call otherwise.
    """
    members = line_at(there.remote, there.remote.tree(there.tree.repository, state.commit))
    if (
        members is not None
        and members[0].number == state.number
        and called in (None, members[0].name.casefold())
    ):
        return state
    held = members[0].reference if members is not None else "nothing that a registry published"
    return replace(state, state="diverged", detail=f"the tag {tag_of(state.number)} holds {held}")


def _refuse_stranger(
    here: Mapping[int, Version], shared: Sequence[State], name: str, repository: str
) -> None:
    """Raises NameTaken where the repository's model has this one's name, and nothing else in common with it."""
    if here and not shared:
        raise NameTaken(
            f"{name} is in this registry, and hf://{repository} has no version of it",
            hint=f"registry pull hf://{repository} --as NAME, or, if both are versions of one "
            "model, --from-any",
        )


def _note_copy(home: Home, version: Version, state: State) -> None:
    """Let the journal say that the repository has a version, as was seen: what is pulled from there under its name comes from no stranger then."""
    record(
        home,
        version,
        state.repository,
        state.commit or "",
        tag_of(state.number),
        placed(manifest_of(home, version)),
        None,
    )


def _pull(
    home: Home, state: State, name: str, *, dry_run: bool, progress: Progress
) -> tuple[Received, ...]:
    """Where a parent's name is another's here, the pull says so as ever. Raises NameTaken."""
    commit = state.commit or ""
    if dry_run:
        return (Received(state.reference, state.repository, commit, "would pull"),)
    try:
        return pull(
            home,
            f"hf://{state.repository}@{commit}",
            options=PullOptions(name=name),
            progress=progress,
        ).received
    except NameTaken as error:
        options = f"{error.hint}; " if error.hint else ""
        raise NameTaken(
            str(error),
            hint=f"{options}sync has no such option, so pull it: registry pull "
            f"hf://{state.repository}@{tag_of(state.number)} --as {name}",
        ) from None


def _push(home: Home, state: State, *, dry_run: bool, progress: Progress) -> tuple[Sent, ...]:
    """Who meets somebody else's commit looks again: what came may be another version, and then this one still goes on top of it."""
    owner = state.repository.partition("/")[0]
    options = PushOptions(to=state.repository, parents_to=owner, dry_run=dry_run)
    try:
        return push(home, state.reference, options=options, progress=progress).sent
    except RemoteMoved:
        return push(home, state.reference, options=options, progress=progress).sent
