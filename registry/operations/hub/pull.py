"""pull: a version and its line come from the Hub, parents first. Its bytes lie in quarantine until their digests are those pushed.

What a repository says of itself is checked and never believed: facts are computed, manifests made anew from the files and compared.
Nothing is fetched that is here. A name and a number mean the same thing here as there, or the pull is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from registry.core import reference as _reference
from registry.core.digest import Digest, digest_of
from registry.core.manifest import Manifest
from registry.core.progress import Progress
from registry.core.reference import is_commit
from registry.core.version import Version
from registry.errors import DigestMismatch, Invalid, InvalidName, RegistryError, RemoteMoved
from registry.home.home import Home
from registry.hub.plan import numbers, tag_of
from registry.hub.protocol import Refs, Remote, Tree
from registry.operations.registration.commit import register
from registry.operations.registration.name_conflicts import (
    from_repository,
    refuse_name,
    refuse_parent_name,
)
from registry.operations.registration.parents import Known
from registry.operations.registration.pipeline import AddOptions, Prepared, prepare
from registry.operations.registration.provenance import provenance
from registry.operations.shared.custom_code import code_of_version, permitting_decided
from registry.operations.shared.resolve import resolve
from registry.results.hub import Pulled, Received
from registry.results.registration import Added
from registry.transfer import line_json as _line

from .background import READING, import_ahead
from .download_area import Quarantine, member_sources, take_all
from .import_foreign import register_foreign
from .pull_options import PullOptions, hint_of_pull
from .pulled_code import approve_line, decide_members
from .remote_edits import warn_of_changes
from .repositories import (
    copies_at,
    line_at,
    record,
    refuse_other_history,
    require_writable,
    the_hub,
)
from .repository_content import holds, placed
from .transfer_progress import Bytes

if TYPE_CHECKING:
    from sqlalchemy import Connection


PROPOSALS = "refs/pr/"
"""Where the Hub keeps the heads of pull requests."""


@dataclass
class _Run:
    """One pull: what it knows so far."""

    home: Home
    remote: Remote
    tree: Tree
    options: PullOptions
    bytes: Bytes
    command: str
    """The pull that was asked for, for hints."""
    received: list[Received] = field(default_factory=list)


def pull(home: Home, repository: str, *, options: PullOptions, progress: Progress) -> Pulled:
    """Register what a repository has at a revision, by default main.

    All bytes of a version and its ancestors are downloaded and verified before the first
    is registered. A check that refuses a version then leaves its ancestors.
    """
    try:
        return _pull(home, repository, options, progress)
    except RegistryError as error:
        error.hint = hint_of_pull(error.hint, repository)
        raise


def _pull(home: Home, repository: str, options: PullOptions, progress: Progress) -> Pulled:
    require_writable(home)
    import_ahead(*READING)
    wanted = _reference.parse_hub(repository)
    for name in (
        *options.parent_as.values(),
        *([options.name] if options.name is not None else []),
    ):
        _reference.check_name(name)
    remote = the_hub()
    tree = remote.tree(wanted.repository, wanted.revision)
    if tree.repository.casefold() != wanted.repository.casefold():
        raise RemoteMoved(
            f"hf://{wanted.repository} is now called hf://{tree.repository}",
            hint=f"registry pull hf://{tree.repository}",
        )
    if is_commit(wanted.revision) and tree.commit != wanted.revision:
        raise RemoteMoved(
            f"the Hub answers with commit {tree.commit} of hf://{tree.repository}, asked for was {wanted.revision}"
        )
    if wanted.revision is not None and wanted.revision.startswith(PROPOSALS):
        home.warn(
            f"hf://{tree.repository}@{wanted.revision} is a proposal, which main may never contain"
        )
    members = line_at(remote, tree)
    refs = _known_history(home, remote, tree, wanted.revision, members)
    revision = f"@{wanted.revision}" if wanted.revision is not None else ""
    command = options.command(f"hf://{tree.repository}{revision}")
    run = _Run(home, remote, tree, options, Bytes(progress), command)
    with home.adding():
        if members is None:
            version, already = register_foreign(
                home, remote, tree, command, options, run.bytes, run.received, progress
            )
        else:
            version, already = _register_line(run, members, progress)
            refs = refs or remote.refs(tree.repository)
            _note_copy(home, tree, version, refs)
            warn_of_changes(
                home,
                remote,
                tree,
                refs,
                version,
                members[0].manifest,
                numbers(refs).get(members[0].number),
                card_too=True,
            )
        if options.code.trust:
            approve_line(home, version, options.code.trust, message=options.message)
    aliases = (
        _aliases(home, version, tree, refs or remote.refs(tree.repository))
        if options.aliases
        else ()
    )
    return Pulled(resolve(home, version), tuple(run.received), already, aliases)


def add_from_hub(
    home: Home, repository: str, name: str | None, *, options: AddOptions, progress: Progress
) -> Added:
    """`add hf://…`: a pull, answered as add answers. Raises Invalid for what can be said of a folder alone."""
    if (
        options.dry_run
        or options.with_parents
        or options.tokenizer is not None
        or options.forced
        or options.fix
        or options.metrics
        or options.probes
    ):
        raise Invalid(
            f"{repository!r} is a Hub repository (--dry-run, --with-parents, --tokenizer, "
            "--force, --fix, --metric and --probes are for folders)"
        )
    if options.alias is not None:
        _reference.check_alias(options.alias)
    said = PullOptions(
        name=name,
        parent=options.parent,
        model_class=options.model_class,
        convert=options.convert,
        message=options.message,
        run=options.run,
        code=options.code,
    )
    done = pull(home, repository, options=said, progress=progress)
    version = done.version
    if options.alias is not None:
        from registry.operations.labels.labels import alias

        alias(home, version, options.alias)
    parent = version.parents[0] if version.parents else None
    return Added(
        version,
        done.already,
        version.kind,
        version.digest,
        version.name,
        version.number,
        parent.evidence if parent else None,
        parent.reference if parent else None,
    )


def _known_history(
    home: Home,
    remote: Remote,
    tree: Tree,
    revision: str | None,
    members: Sequence[_line.Member] | None,
) -> Refs | None:
    """Refuse a repository that is not the one it was. A full commit says by itself what is meant."""
    known = copies_at(home, tree.repository)
    if is_commit(revision) or not known or any(copy.commit == tree.commit for copy in known):
        return None
    refs = remote.refs(tree.repository)
    if revision is None or revision in refs.branches:
        refuse_other_history(
            remote,
            tree,
            refs.tags,
            known,
            members[0].number if members else None,
            hint="if its present content is right, name that commit: "
            f"registry pull hf://{tree.repository}@{tree.commit}",
        )
    elif revision in refs.tags:
        _refuse_moved_tag(tree, revision, [copy.commit for copy in known if copy.tag == revision])
    return refs


def _refuse_moved_tag(tree: Tree, tag: str, commits: Sequence[str]) -> None:
    if commits and tree.commit not in commits:
        raise RemoteMoved(
            f"the tag {tag} of hf://{tree.repository} was moved from {commits[0][:12]} to "
            f"{tree.commit[:12]}",
            hint=f"for the earlier commit: registry pull hf://{tree.repository}@{commits[0]}, "
            f"for the present one: registry pull hf://{tree.repository}@{tree.commit}",
        )


def _register_line(
    run: _Run, members: Sequence[_line.Member], progress: Progress
) -> tuple[Version, bool]:
    """(the version, whether it was here already)."""
    first = members[0]
    name = run.options.name or first.name
    here, own = _known(run, members, name)
    coming = [
        member
        for member in _line.ordered(members)
        if (own is None if member is first else member.digest not in here)
    ]
    run.received += [
        Received(
            here[member.digest].reference,
            member.repository,
            member.commit or run.tree.commit,
            "already",
        )
        for member in _line.ordered(members)
        if member not in coming and member is not first
    ]
    run.bytes.total = sum(member.manifest.size for member in coming)
    home = run.home
    with contextlib.ExitStack() as stack:
        fetched = [(member, _quarantine(run, member, stack)) for member in coming]
        codes = decide_members(
            fetched,
            run.options.code,
            run.command,
            line=members,
            present=lambda: [code_of_version(home, version) for version in here.values()],
        )
        take_all([quarantine for _, quarantine in fetched], run.bytes)
        for member, quarantine in fetched:
            named = (
                (name, None if run.options.renumber else first.number)
                if member is first
                else (_parent_name(run, member), member.number)
            )
            with permitting_decided(home, codes.get(member.digest), run.options.code.trust):
                here[member.digest] = _register(run, member, quarantine, *named, here, progress)
    if own is not None:
        run.received.append(
            Received(own.reference, run.tree.repository, run.tree.commit, "already")
        )
        return own, True
    return here[first.digest], False


def _known(
    run: _Run, members: Sequence[_line.Member], name: str
) -> tuple[dict[Digest, Version], Version | None]:
    """(versions here that are members of the line, the one asked for if it is here under its name).

    Raises NumberTaken or NameTaken where a name or a number means something else here. Where nothing of it is known a glance tells so.
    """
    from registry.catalog import fast_reads

    first = members[0]
    names = [name if member is first else _parent_name(run, member) for member in members]
    if fast_reads.knows(run.home.root, names, [member.digest for member in members]) is False:
        return {}, None
    from registry.catalog import queries

    with run.home.reading() as connection:
        here = {
            member.digest: found
            for member in members
            for found in queries.with_manifest(connection, member.digest)[:1]
        }
        own = _own(connection, name, first, renumber=run.options.renumber)
        if own is None:
            refuse_name(
                connection,
                name,
                None if run.options.renumber else first.number,
                first.digest,
                from_repository(run.tree.repository),
                here,
                from_any=run.options.from_any,
            )
        for member in _line.ordered(members):
            if member is not first and member.digest not in here:
                refuse_parent_name(
                    connection,
                    _parent_name(run, member),
                    member.name,
                    member.number,
                    member.digest,
                    from_repository(member.repository),
                    here,
                    from_any=run.options.from_any,
                )
    return here, own


def _own(
    connection: Connection, name: str, member: _line.Member, *, renumber: bool
) -> Version | None:
    """The version that is this already: of the same name, and of the same number unless that is not asked for."""
    from registry.catalog import queries

    return next(
        (
            version
            for version in queries.with_manifest(connection, member.digest)
            if version.name.casefold() == name.casefold()
            and (renumber or version.number == member.number)
        ),
        None,
    )


def _parent_name(run: _Run, member: _line.Member) -> str:
    return run.options.parent_as.get(member.name, member.name)


def _place(run: _Run, member: _line.Member) -> tuple[str, str]:
    """(repository, commit) of a version of the line."""
    return (
        (run.tree.repository, run.tree.commit)
        if member.commit is None
        else (member.repository, member.commit)
    )


def _quarantine(run: _Run, member: _line.Member, stack: contextlib.ExitStack) -> Quarantine:
    """A place for the files of one version of the line: nothing of a line is registered before all of it is here."""
    files = member_sources(member)
    quarantine = Quarantine(run.home, run.remote, *_place(run, member), files, run.bytes)
    stack.enter_context(quarantine.kept())
    return quarantine


def _register(
    run: _Run,
    member: _line.Member,
    quarantine: Quarantine,
    name: str,
    number: int | None,
    here: Mapping[Digest, Version],
    progress: Progress,
) -> Version:
    """One version of the line. Raises DigestMismatch unless its manifest, made anew from the files, is the one that was pushed."""
    repository, commit = _place(run, member)
    edge = next((edge for edge in member.edges if edge.role != "adapter"), None)
    parent = Known(here[edge.digest], edge.evidence) if edge is not None else None
    prepared = prepare(
        run.home,
        quarantine,
        parent,
        model_class=member.manifest.model_class,
        write=True,
        progress=progress,
        forced=member.forced,
        given=quarantine,
    )
    if member.manifest.kind == "merged":
        prepared = _as_merged(prepared, member, here)
    if prepared.manifest.digest != member.digest:
        raise DigestMismatch(
            f"the files of {member.reference} at hf://{repository}@{commit[:12]} give the "
            f"manifest {prepared.manifest.digest}, but {member.digest} was pushed, nothing of it "
            "was registered"
        )
    probes = _probes(run, member, repository, commit)
    source = provenance(
        **{
            "git": None,
            "run": None,
            **member.source,
            "how": "pull",
            "hub": {"repository": repository, "commit": commit},
            "published": {
                "name": member.name,
                "number": member.number,
                "by": member.publisher,
                "date": member.date,
                "how": member.source.get("how"),
            },
        }
    )
    added = register(
        run.home,
        name,
        prepared,
        source=source,
        options=AddOptions(message=member.message),
        probes=probes,
        number=number,
        checkpoint=member.checkpoint,
    )
    assert added.version is not None
    run.received.append(
        Received(added.version.reference, repository, commit, "registered", quarantine.fetched)
    )
    return added.version


def _as_merged(
    prepared: Prepared, member: _line.Member, here: Mapping[Digest, Version]
) -> Prepared:
    """What was prepared as a model with a base, as the merge of an adapter into it."""
    edges = tuple(replace(edge, reference=here[edge.digest].reference) for edge in member.edges)
    manifest = Manifest(
        "merged", prepared.manifest.model_class, prepared.manifest.files, member.manifest.parents
    )
    return replace(prepared, manifest=manifest, edges=edges)


def _probes(run: _Run, member: _line.Member, repository: str, commit: str) -> Digest | None:
    """The probes that were recorded where the version was made, in the store. Another machine cannot make them again."""
    if member.probes is None or member.rendered is None:
        return None
    if not run.home.blobs.has(member.probes):
        from registry.hub import download
        from registry.runtime import probes

        content = download.read(run.remote, repository, commit, _line.PROBES, limit=_line.LIMIT)
        probes.parse(content)
        if digest_of(content) != member.probes:
            raise DigestMismatch(
                f"{_line.PROBES} of hf://{repository}@{commit[:12]} are not the probes {member.probes} of {member.reference}"
            )
        run.home.blobs.add(content)
    return member.probes


def _note_copy(home: Home, tree: Tree, version: Version, refs: Refs) -> None:
    """Let the journal say that the repository has the version under its tag, if the listing says so too."""
    from registry.operations.shared.resolve import manifest_of

    manifest = manifest_of(home, version)
    if numbers(refs).get(version.number) == tree.commit and holds(home, tree, manifest):
        record(
            home,
            version,
            tree.repository,
            tree.commit,
            tag_of(version.number),
            placed(manifest),
            None,
        )


def _aliases(home: Home, version: Version, tree: Tree, refs: Refs) -> tuple[str, ...]:
    """Aliases of the names of tags that point to the commit."""
    from registry.operations.labels.labels import alias

    found = []
    for tag, commit in sorted(refs.tags.items()):
        try:
            _reference.check_alias(tag)
        except InvalidName:
            continue
        if commit == tree.commit:
            alias(home, version, tag)
            found.append(tag)
    return tuple(found)
