"""push: a version and its line go to the Hub, parents first. One commit for each repository, then a tag by commit, then an entry.

Nothing is sent that is there. A commit is made on the head that was looked at, or not at all. Every step can be repeated: what an
earlier run did is found there, and taken for done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from registry.core import reference as _reference
from registry.core.digest import Digest
from registry.core.manifest import Manifest
from registry.core.progress import Progress
from registry.core.version import Version
from registry.errors import (
    HubUnavailable,
    InUse,
    Invalid,
    NumberTaken,
    Refused,
    RemoteMoved,
    RemoteNotFound,
)
from registry.home.home import Home
from registry.hub import plan as _plan
from registry.hub.protocol import MAIN, Committed, Refs, Tree, Upload
from registry.operations.shared.resolve import VersionLike, line_here, manifest_of, resolve
from registry.results.hub import Pushed, Sent
from registry.transfer import line_json as _line

from .background import Hashing
from .base_protection import readme_there, refuse_breaking, warn_of_other_base
from .push_run import (
    PushOptions,
    Run,
    hash_ahead,
    is_empty,
    is_known,
    look_for_parents,
    refuse_gone,
    refuse_leaks_early,
    refuse_to_make,
    target_of,
    uploads_of,
)
from .remote_edits import warn_of_changes, warn_of_overwriting
from .repositories import (
    copies_at,
    is_plain,
    line_at,
    looked_again,
    move_tag,
    record,
    refuse_other_history,
    remembered,
    repository_of,
    repository_of_owner,
    require_writable,
    the_hub,
)
from .repository_content import UNKNOWN_COMMIT, Place, holds, line_from, ours, placed
from .transfer_progress import Bytes

ELSEWHERE = (
    "publish to another repository with --to org/other, or replace the content of main with --break"
)
"""Hint for a repository that contains another model."""
SUMMARY_LIMIT = 200
"""Characters of a commit's first line."""


def push(home: Home, version: VersionLike, *, options: PushOptions, progress: Progress) -> Pushed:
    """Publish a version, and those of its ancestors that are nowhere on the Hub. Raises what stands against it; then nothing half is there."""
    if not options.dry_run:
        require_writable(home)
    found = resolve(home, version)
    alias = (
        _reference.parse(version).alias if isinstance(version, str) and "^" not in version else None
    )
    line = line_here(home, found, whole=True)
    to = options.to if options.to is not None else remembered(home, found.name)
    if to is None:
        raise Invalid(
            f"no repository is known for {found.reference}",
            hint=f"add --to org/{found.name.rsplit('/', 1)[-1]}",
        )
    if options.parents_to is not None:
        repository_of_owner(options.parents_to, "x")
    # looked at now, and not when half of the line is there
    said = {
        repository_of(place, what)
        for place, what in ((options.as_new, "--as-new"), (options.to, "--to"))
        if place is not None
    }
    options = replace(options, to=repository_of(to, "--to"))
    with home.store_lock.shared(timeout=60.0), contextlib.closing(Hashing(home.blobs)) as hashing:
        run = Run(home, the_hub(), options, Bytes(progress), hashing, frozenset(said))
        hash_ahead(run, [] if is_known(run, found) else [found])
        missing = look_for_parents(run, line)
        hash_ahead(run, missing)
        if missing and options.pr:
            raise Refused(
                f"a proposal is for one repository, and {missing[0].reference} is not on the Hub "
                "yet",
                hint=f"push it first: registry push {missing[0].reference} --to "
                f"{target_of(run, missing[0])}",
            )
        refuse_gone(run, found, missing)
        refuse_leaks_early(run, line, missing)
        run.bytes.total = sum(item.size for item in (*missing, found))
        for parent in missing:
            _publish(run, line_from(line, parent), target_of(run, parent), None)
        _publish(run, line, run.options.to or "", alias)
        if options.as_new is not None and run.sent[-1].what == "already":
            _publish(run, line, repository_of(options.as_new, "--as-new"), alias)
    return Pushed(found, tuple(run.sent), options.dry_run)


def _publish(run: Run, line: Sequence[Version], repository: str, alias: str | None) -> None:
    """Make sure that a repository has line[0] under its tag, and that the journal says so."""
    version, tag = line[0], _plan.tag_of(line[0].number)
    tree = _opened(run, version, repository)
    if tree is None:
        uploads = uploads_of(run, line, repository, run.places)
        run.places[version.digest] = Place(repository, UNKNOWN_COMMIT)
        run.sent.append(
            Sent(
                version.reference,
                repository,
                None,
                tag,
                "would push",
                len(uploads),
                sum(upload.size for upload in uploads),
            )
        )
        return
    refs = run.remote.refs(repository)
    manifest = manifest_of(run.home, version)
    commit = _already(run, version, manifest, tree, refs)
    if commit is None:
        commit = _commit(run, line, manifest, tree, refs, alias)
    else:
        run.places[version.digest] = Place(repository, commit)
        run.sent.append(Sent(version.reference, repository, commit, tag, "already"))
        warn_of_changes(run.home, run.remote, tree, refs, version, manifest, commit)
        if not run.options.dry_run:
            _tag_and_record(run, version, repository, commit, placed(manifest), refs)
    if alias is not None and commit is not None and not run.options.pr and not run.options.dry_run:
        move_tag(run.remote, repository, alias, commit, refs)


def _opened(run: Run, version: Version, repository: str) -> Tree | None:
    """The repository at main, made if it is not there; None where a dry run would make it."""
    try:
        tree = run.looked.pop(repository, None) or run.remote.tree(repository)
    except RemoteNotFound as error:
        refuse_to_make(run, version, repository, error)
        if run.options.dry_run:
            return None
        run.remote.create(repository, private=run.options.private)
        tree = run.remote.tree(repository)
    if tree.repository != repository:
        raise RemoteMoved(
            f"hf://{repository} is now called hf://{tree.repository}",
            hint=f"push to it: --to {tree.repository}",
        )
    return tree


def _already(run: Run, version: Version, manifest: Manifest, tree: Tree, refs: Refs) -> str | None:
    """Return the commit at which the repository has the version.

    Raises NumberTaken where its tag names another model, except for a proposal, which
    makes no tag.
    """
    tag = _plan.tag_of(version.number)
    tagged = refs.tags.get(tag)
    known = [
        copy.commit
        for copy in copies_at(run.home, tree.repository)
        if copy.name == version.name and copy.number == version.number
    ]
    if tagged is not None:
        if tagged in known:
            return tagged
        there = run.remote.tree(tree.repository, tagged)
        if holds(run.home, there, manifest):
            return there.commit
        if run.options.pr:
            return None
        raise NumberTaken(
            f"the tag {tag} of hf://{tree.repository} points to {tagged[:12]}, which is another "
            f"model than {version.reference} ({version.digest.short})",
            hint=f"compare the two: registry status {version.name}, or propose it: --pr",
        )
    for commit in known:
        try:
            if holds(run.home, run.remote.tree(tree.repository, commit), manifest):
                return commit
        except RemoteNotFound:
            continue
    return None


def _commit(
    run: Run, line: Sequence[Version], manifest: Manifest, tree: Tree, refs: Refs, alias: str | None
) -> str | None:
    """Put the version there. None where a dry run does not, for a proposal that waits, and where it went to another repository, tags and all."""
    version, repository, options = line[0], tree.repository, run.options
    there = _on_main(run, tree)
    _refuse_strange(run, version, tree, refs, there)
    # a proposal goes to main: nothing changes before its owner merges it
    older = there is not None and there.number > version.number and not options.pr
    target = _side(run, version, tree, refs) if older and not options.dry_run else tree
    uploads = uploads_of(
        run,
        line,
        repository,
        run.places,
        readme_there(run.remote, version, manifest, target, refs, there, run.home),
    )
    changes = _plan.changes(uploads, target, ours(target, there.manifest if there else None))
    if not older and not options.break_others:
        try:
            refuse_breaking(run.home, run.remote, version, tree, there, changes)
        except InUse:
            if options.as_new is None:
                raise
            run.options = replace(options, as_new=None)
            _publish(run, line, repository_of(options.as_new, "--as-new"), alias)
            return None
    if there is not None and not older:
        warn_of_overwriting(run.home, run.remote, tree, refs, version, there, changes)
    run.places[version.digest] = Place(repository, UNKNOWN_COMMIT)
    tag = _plan.tag_of(version.number)
    if options.dry_run:
        run.sent.append(
            Sent(
                version.reference,
                repository,
                None,
                tag,
                "would push",
                len(changes.send),
                changes.size,
            )
        )
        return None
    warn_of_other_base(run.home, run.remote, line, run.places)
    done = _send(
        run, version, target, _plan.side_branch(version.number) if older else MAIN, changes, uploads
    )
    run.places[version.digest] = Place(repository, done.commit)
    run.sent.append(
        Sent(
            version.reference,
            repository,
            done.commit,
            None if options.pr else tag,
            "pushed",
            len(changes.send),
            changes.size,
            done.url,
        )
    )
    if options.pr:
        return None
    _tag_and_record(
        run,
        version,
        repository,
        done.commit,
        {upload.path: upload.digest for upload in uploads},
        refs,
    )
    if older:
        run.remote.remove_branch(repository, _plan.side_branch(version.number))
    return done.commit


def _on_main(run: Run, tree: Tree) -> _line.Member | None:
    """The version that main has."""
    members = line_at(run.remote, tree)
    return members[0] if members else None


def _refuse_strange(
    run: Run, version: Version, tree: Tree, refs: Refs, there: _line.Member | None
) -> None:
    """Raises unless the repository is the known one, and holds this model or nothing yet."""
    is_taken = (
        there is not None and there.number == version.number and there.digest != version.digest
    )
    if there is not None and is_taken and not run.options.pr:
        raise NumberTaken(
            f"hf://{tree.repository} has another {version.reference} on main: {there.digest.short}, this one is {version.digest.short}",
            hint="propose it: --pr",
        )
    if run.options.break_others:
        return
    known = copies_at(run.home, tree.repository)
    if is_empty(tree, refs.tags):
        if known and tree.repository not in run.said:
            raise RemoteMoved(
                f"hf://{tree.repository} was deleted and created again, and is empty",
                hint=f"publish to it: registry push {version.reference} --to {tree.repository}",
            )
        return
    refuse_other_history(
        run.remote,
        tree,
        refs.tags,
        known,
        there.number if there else None,
        hint="if it is to be replaced by this model: --break, or publish to another repository: "
        "--to org/other",
    )
    if there is None:
        strange = _plan.model_file(tree)
        if strange is not None and not is_plain(
            run.home, run.remote, tree, manifest_of(run.home, version)
        ):
            raise Refused(
                f"hf://{tree.repository} contains another model ({strange}) that was not "
                "published by a registry",
                hint=ELSEWHERE,
            )
    elif there.name.casefold() != version.name.casefold() and all(
        copy.name != version.name for copy in known
    ):
        raise Refused(
            f"hf://{tree.repository} contains {there.reference}, and this is {version.reference}",
            hint=ELSEWHERE,
        )


def _side(run: Run, version: Version, tree: Tree, refs: Refs) -> Tree:
    """A branch beside main, for a version that is older than main's: main never goes back."""
    name = _plan.side_branch(version.number)
    if name not in refs.branches:
        run.remote.branch(tree.repository, name, tree.commit)
    return run.remote.tree(tree.repository, name)


def _send(
    run: Run,
    version: Version,
    tree: Tree,
    branch: str,
    changes: _plan.Changes,
    uploads: Sequence[Upload],
) -> Committed:
    """One commit on the head that was looked at. What an answer that was lost had done is found; then everything is looked at again."""
    repository, options = tree.repository, run.options
    if changes.nothing:
        return Committed(tree.commit)
    message = options.message or f"{version.reference}" + (
        f": {version.message}" if version.message else ""
    )
    try:
        done = run.remote.commit(
            repository,
            changes.send,
            changes.remove,
            parent=tree.commit,
            branch=branch,
            message=message[:SUMMARY_LIMIT],
            proposal=options.pr,
            description=f"{version.pinned}\n",
            progress=run.bytes.of(repository, changes.size),
            hashed=run.hashing.of,
        )
    except (RemoteMoved, HubUnavailable) as error:
        now = None if options.pr else looked_again(run.remote, repository, branch)
        if now is None or now.commit == tree.commit:
            raise
        if not _plan.changes(uploads, now).nothing:
            raise RemoteMoved(
                f"hf://{repository} was at {tree.commit[:12]} and is now at {now.commit[:12]} "
                f"(another commit was made there), {version.reference} was not published",
                hint=f"registry status {version.name}, then push again",
            ) from error
        return Committed(now.commit)
    if (
        not options.pr
        and not _plan.changes(uploads, run.remote.tree(repository, done.commit)).nothing
    ):
        raise RemoteMoved(
            f"hf://{repository} is at {done.commit[:12]}, which is not what was sent (another "
            "commit was made there)",
            hint="push again",
        )
    return done


def _tag_and_record(
    run: Run,
    version: Version,
    repository: str,
    commit: str,
    files: Mapping[str, Digest],
    refs: Refs,
) -> None:
    """The tag, then the entry: it claims nothing that is not there."""
    tag = _plan.tag_of(version.number)
    if refs.tags.get(tag) != commit:
        run.remote.tag(repository, tag, commit, message=version.pinned)
    record(run.home, version, repository, commit, tag, files, run.options.message)
