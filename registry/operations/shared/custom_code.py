"""Decide on the custom code of a folder, and approve code by its digest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.core import entry as _entry
from registry.core.code_permission import is_permitted, permitting
from registry.core.digest import Digest, digest_of
from registry.core.facts import Files, read
from registry.errors import ForeignCode, HubUnavailable, Invalid, NotLoadable, RemoteNotFound
from registry.home.home import Home
from registry.hub import cache
from registry.operations.shared.examine import open_folder
from registry.operations.shared.resolve import stored

from .overlay import Overlay

if TYPE_CHECKING:
    from registry.core.version import Version
    from registry.model_files.code import Code, CodeReference

FEATURE = "code"
"""The feature that a Format entry demands before the first version with custom code."""


@dataclass(frozen=True)
class CodeOptions:
    """What the user decided about custom code."""

    trust: bool | str = False
    """Approve the code of the folder; a code digest approves only this code."""
    ignore: bool = False
    """Use the classes of the installed library although auto_map replaces them."""
    folder: Path | None = None
    """A folder with the files of other repositories that references name."""


@dataclass(frozen=True)
class Decided:
    """A folder and what was decided about its code."""

    files: Files
    code: Code | None = None
    converted: dict[str, Any] = field(default_factory=dict)
    """`source.converted`: original files that are not stored, or not in their form."""
    forced: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    native: CodeReference | None = None
    """A reference that is ignored if the library loads the model completely."""


class FolderWithCode(Overlay):
    """Files of a folder whose code was decided upon, with some contents replaced.

    Python files are hidden unless they are among `replaced`.
    """

    code_is_decided = True

    def __init__(self, files: Files, replaced: Mapping[str, bytes]) -> None:
        hidden = {path: None for path in files.paths() if path.endswith(".py")}
        super().__init__(files, {**hidden, **replaced})
        self.path: Path | None = getattr(files, "path", None)
        self.repository: str | None = getattr(files, "repository", None)


def decide(
    files: Files,
    options: CodeOptions,
    *,
    model_class: str | None,
    measured: bool,
    command: str,
    parent: Code | None = None,
) -> Decided:
    """Decide what becomes of the code that a folder refers to.

    parent is the code of an adapter's base: the adapter needs no approval for the same.
    command registers the folder without a decision; hints add an option to it.
    Raises ForeignCode if the model needs code that is neither permitted nor trusted.
    """
    from registry.model_files.code import references_of
    from registry.model_files.config.parse import read_if_there
    from registry.model_files.layout import layout as layout_of
    from registry.model_files.layout.custom_code import is_native
    from registry.model_files.layout.file_list import join

    if options.trust and options.ignore:
        raise Invalid("--trust-code and --ignore-code contradict each other")
    hidden = FolderWithCode(files, {})
    layout = layout_of(hidden, class_hint=model_class, parent_class="SentenceTransformer")
    references = references_of(hidden, layout.belongs)
    if not references:
        return Decided(files)
    config = read_if_there(hidden, join(layout.transformer, "config.json"), set(hidden.paths()))
    is_ignored = is_native(references, config, layout.transformer) and not options.trust
    if is_ignored and not options.ignore:
        return _without_code(files, hidden, references, measured=measured)
    if options.ignore:
        if any(reference.key == "type" for reference in references):
            module = next(reference for reference in references if reference.key == "type")
            raise ForeignCode(f"--ignore-code cannot leave out a module: {module}")
        return Decided(
            hidden,
            converted=_converted([_original(files, reference) for reference in references]),
            forced=("custom-code",),
            warnings=("forced custom-code: auto_map is ignored (--ignore-code)",),
        )
    return _with_code(files, references, options, config, layout.belongs, command, parent)


def _without_code(
    files: Files, hidden: Files, references: Sequence[CodeReference], *, measured: bool
) -> Decided:
    if not measured:
        raise ForeignCode(
            f"{references[0]}: whether the library has the same model is not known without "
            "loading it",
            hint="omit --no-measure",
        )
    return Decided(
        hidden,
        converted=_converted([_original(files, reference) for reference in references]),
        warnings=("auto_map is ignored: the installed library has this model",),
        native=references[0],
    )


@contextlib.contextmanager
def loaded_completely(decided: Decided, command: str) -> Iterator[None]:
    """Require that the library's own class loads a model whose auto_map is ignored.

    The model is loaded inside the block. Raises ForeignCode if that fails, or if a
    tensor of the files is unused or a parameter is not in the files.
    """
    if decided.native is None:
        yield
        return
    from registry.runtime.loading_report import collecting

    why = f"{decided.native}: the model needs custom code"
    hint = f"{trusting(command)}, or to keep the library's class: {command} --ignore-code"
    with collecting() as problems:
        try:
            yield
        except NotLoadable as error:
            reason = problems[0] if problems else str(error)
            raise ForeignCode(f"{why} ({reason})", hint=hint) from error
    if problems:
        raise ForeignCode(f"{why} ({problems[0]})", hint=hint)


def trusting(command: str) -> str:
    """Return the hint to approve the code of a folder."""
    return f"read the Python files, then: {command} --trust-code"


def _hint(command: str, config: Mapping[str, Any]) -> str:
    """Return the hint of a refusal; only a known model type loads without code."""
    from registry.model_files.layout.custom_code import is_known_type

    if not is_known_type(config):
        return trusting(command)
    return f"{trusting(command)}, or with the library's class: {command} --ignore-code"


def _with_code(
    files: Files,
    references: Sequence[CodeReference],
    options: CodeOptions,
    config: dict[str, Any],
    belongs: Sequence[str],
    command: str,
    parent: Code | None,
) -> Decided:
    from registry.model_files.code import code_of, references_of, rewritten
    from registry.model_files.layout.custom_code import why_custom

    replaced: dict[str, bytes] = {}
    originals: list[dict[str, Any]] = []
    repositories = sorted({r.repository for r in references if r.repository is not None})
    if repositories and not options.trust:
        raise ForeignCode(
            f"{why_custom(references[0], config)} of another repository",
            hint=_hint(command, config),
        )
    for repository in repositories:
        reached_there = [
            reference for reference in references if reference.repository == repository
        ]
        source = _repository(repository, reached_there, options.folder)
        replaced |= _reached(source, reached_there, originals)
    for path in sorted({r.path for r in references if r.repository is not None}):
        content = read(files, path)
        replaced[path] = rewritten(content, path)
        originals.append({"path": path, "size": len(content), "digest": digest_of(content)})
    complete = Overlay(files, replaced)
    code = code_of(complete, references_of(complete, belongs))
    replaced |= {path: read(complete, path) for path, _ in code.files}
    if isinstance(options.trust, str) and options.trust != code.digest:
        raise ForeignCode(
            f"custom code has the digest {code.digest}, expected {options.trust!r} "
            "(a file was changed)"
        )
    is_the_parents = parent is not None and is_permitted(parent.digest) and parent.contains(code)
    if not (options.trust or is_the_parents or is_permitted(code.digest)):
        raise ForeignCode(
            f"{why_custom(references[0], config)} (code digest {code.digest})",
            hint=_hint(command, config),
        )
    return Decided(FolderWithCode(files, replaced), code=code, converted=_converted(originals))


class _OtherRepository(NamedTuple):
    """The files of a repository that references name, at a commit if that is known."""

    name: str
    files: Files
    commit: str | None


def _reached(
    source: _OtherRepository,
    references: Sequence[CodeReference],
    originals: list[dict[str, Any]],
) -> dict[str, bytes]:
    """Return the reached files of another repository, by their new paths."""
    from registry.model_files.code import CodeReference, code_of, repository_folder

    inside = [
        CodeReference(reference.path, reference.key, reference.name) for reference in references
    ]
    code = code_of(source.files, inside)
    contents = {path: read(source.files, path) for path, _ in code.files}
    for path, digest in code.files:
        pinned = {"commit": source.commit} if source.commit is not None else {}
        originals.append(
            {
                "path": path,
                "size": len(contents[path]),
                "digest": digest,
                "repository": source.name,
                **pinned,
            }
        )
    return {f"{repository_folder(source.name)}/{path}": contents[path] for path in contents}


def _repository(
    repository: str, references: Sequence[CodeReference], folder: Path | None
) -> _OtherRepository:
    """Return the files of another repository that references name.

    Taken from the folder that the user names; else from the cache of the Hub, if it has
    one commit or a main branch with these files; else from the Hub at the commit of
    main.
    """
    from registry.model_files.folder import Folder

    if folder is not None:
        parts = (repository.replace("/", "__"), repository, repository.rpartition("/")[2])
        source = next((folder / part for part in parts if (folder / part).is_dir()), folder)
        snapshot = cache.repository_of(Path(os.path.abspath(source)))
        commit = snapshot[1] if snapshot is not None and snapshot[0] == repository else None
        files = Folder(source, links_into=[cache.cache_folder()])
        if not any(path.endswith(".py") for path in files.paths()):
            raise NotLoadable(f"{str(source)!r} contains no Python files of {repository!r}")
        return _OtherRepository(repository, files, commit)
    commits = cache.commits(repository)
    cached = cache.snapshot(repository)
    if cached is None and len(commits) == 1:
        cached = cache.snapshot(repository, commits[0])
    if cached is not None:
        files = Folder(cached, links_into=[cache.cache_folder()])
        if {reference.file for reference in references} <= set(files.paths()):
            return _OtherRepository(repository, files, cached.name)
    from registry.hub.huggingface import HuggingFace
    from registry.hub.remote_files import RemoteFiles

    try:
        remote = HuggingFace()
        remote_files = RemoteFiles(remote, remote.tree(repository))
    except (HubUnavailable, RemoteNotFound) as error:
        raise ForeignCode(
            f"the code of {repository!r} cannot be downloaded, and the cache of the Hub does not "
            f"have it at one commit ({error})",
            hint="give a folder with its Python files with --code DIR",
        ) from error
    return _OtherRepository(repository, remote_files, remote_files.tree.commit)


def _original(files: Files, reference: CodeReference) -> dict[str, Any]:
    """Return the record of a Python file that is not stored."""
    path = reference.file
    if reference.repository is not None:
        return {"path": path, "repository": reference.repository}
    if path not in files.paths():
        return {"path": path}
    content = read(files, path)
    return {"path": path, "size": len(content), "digest": digest_of(content)}


def _converted(originals: Sequence[dict[str, Any]]) -> dict[str, Any]:
    unique = {(file.get("repository", ""), file["path"]): file for file in originals}
    files = [unique[key] for key in sorted(unique)]
    return {"format": 1, "files": files, "libraries": {}} if files else {}


def code_of_version(home: Home, version: Version) -> Code | None:
    """Return the custom code of a registered version, None if it has none."""
    from registry.model_files.code import code_of, references_of

    files = stored(home, version)
    paths = files.paths()
    if not any(path.endswith(".py") for path in paths):
        return None
    return code_of(files, references_of(files, paths))


def permitting_decided(
    home: Home, code: Code | None, trust: bool | str
) -> contextlib.AbstractContextManager[None]:
    """Return a context in which trusted code may run; its approval is recorded later.

    So a model that is refused afterwards leaves no approval behind.
    """
    if code is not None:
        refuse_if_never(home)
        if trust:
            return permitting(code.digest)
    return contextlib.nullcontext()


def with_code_sources(source: dict[str, Any], decided: Decided) -> dict[str, Any]:
    """Return the source of a version with the originals and packages of its code."""
    if decided.converted:
        earlier = source.get("converted", {})
        files = [*earlier.get("files", ()), *decided.converted["files"]]
        source = {**source, "converted": {**earlier, **decided.converted, "files": files}}
    if decided.code is not None:
        from registry.model_files.code.packages import versions_of

        libraries = {**versions_of(decided.code.packages), **source.get("libraries", {})}
        source = {**source, "libraries": libraries}
    return source


def derived_folder(home: Home, folder: Path, parent: Version) -> Files:
    """Open a folder that was made from a registered version.

    Code that was ignored when its parent was registered is ignored in it, too.
    """
    from registry.model_files.code import references_of

    files = open_folder(home, folder)
    hidden, parent_files = FolderWithCode(files, {}), stored(home, parent)
    references = {(r.key, r.text) for r in references_of(hidden, hidden.paths())}
    if not references or any(path.endswith(".py") for path in parent_files.paths()):
        return files
    inherited = {(r.key, r.text) for r in references_of(parent_files, parent_files.paths())}
    return hidden if references <= inherited else files


def approvals(home: Home) -> frozenset[Digest]:
    """Return the code digests that are approved in this registry now."""
    from registry.catalog import queries

    with home.reading() as connection:
        bodies = queries.registry_wide(connection, "Approve")
    approved: set[Digest] = set()
    for body in bodies:
        digest = Digest(body["code"])
        (approved.discard if body.get("undo") else approved.add)(digest)
    return frozenset(approved)


def permits(home: Home, code: Digest) -> bool:
    """Return whether custom code is approved in a registry.

    Raises ForeignCode where a setting refuses all code.
    """
    refuse_if_never(home)
    return code in approvals(home)


def refuse_if_never(home: Home) -> None:
    """Raise ForeignCode, naming the setting, where a setting refuses all code."""
    from registry.core.settings import read_config

    variable = os.environ.get("REGISTRY_CODE")
    if variable == "never":
        raise ForeignCode(
            "custom code is refused on this machine (REGISTRY_CODE is 'never')",
            hint="unset REGISTRY_CODE",
        )
    if not variable and read_config(home.root).get("load.code") == "never":
        raise ForeignCode(
            "custom code is refused in this registry (the setting load.code is 'never')",
            hint="registry config --unset load.code",
        )


def record_approval(
    home: Home, code: Digest, *, message: str | None = None, undo: bool = False
) -> bool:
    """Record an approval or its withdrawal; return False if nothing changes."""

    def decide_entry() -> _entry.Body | None:
        if (code in approvals(home)) != undo:
            return None
        return _entry.Approve(code, message, undo)

    return home.record(decide_entry) is not None


def record_feature(home: Home) -> None:
    """Demand, once, that readers of this registry know versions with custom code.

    Older packages then refuse the registry instead of loading other classes.
    """
    from registry.catalog import queries

    def decide_entry() -> _entry.Body | None:
        with home.reading() as connection:
            bodies = queries.registry_wide(connection, "Format")
        present = any(FEATURE in body["features"] for body in bodies)
        return None if present else _entry.Format((FEATURE,))

    home.record(decide_entry)
