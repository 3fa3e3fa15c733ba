"""Sources: where bytes that were lost here may still be. What comes from one counts only if its digest is the one that was asked for."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from registry.core.digest import Digest, digest_of_stream
from registry.core.entry import Entry
from registry.core.facts import Files
from registry.core.manifest import Manifest, check_path
from registry.core.reference import path_of
from registry.errors import DigestMismatch, FolderNotFound, InvalidPath, RegistryError
from registry.home.home import Home
from registry.home.location import is_home, make_private
from registry.hub import download
from registry.hub.protocol import Remote, Tree
from registry.operations.hub.repositories import the_hub
from registry.operations.shared.examine import is_rewritten, open_folder, rewritten_content
from registry.operations.shared.source_log import folders
from registry.store.blobs import Blobs
from registry.store.checkout import folders_of
from registry.store.journal import Journal
from registry.store.local import LocalBackend
from registry.transfer import line_json
from registry.transfer.bundle import Bundle, is_bundle
from registry.util import regular_file as there

Opener = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Wanted:
    """A blob that is lost or damaged, and where it would lie in a folder of each version that has it."""

    digest: Digest
    places: Sequence[tuple[Digest, Manifest, str]] = ()
    """(manifest's digest, manifest, path)."""
    owners: Sequence[Digest] = ()
    """The manifests whose it is."""


class Source(Protocol):
    """A place that may have what was lost."""

    @property
    def name(self) -> str:
        """As a person knows it."""
        ...

    def candidates(self, wanted: Wanted) -> Iterator[Opener]:
        """Bytes that may be those wanted."""
        ...

    def entry(self, number: int) -> Entry | None:
        """An entry of a journal there, whole by itself."""
        ...


class OtherHome:
    """Another registry's folder."""

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self._blobs = Blobs(LocalBackend(root))
        self._journal = Journal(LocalBackend(root))

    def candidates(self, wanted: Wanted) -> Iterator[Opener]:
        """Its blob of that name."""
        if self._blobs.has(wanted.digest):
            yield partial(self._blobs.open, wanted.digest)

    def entry(self, number: int) -> Entry | None:
        """Its entry of that number."""
        try:
            return self._journal.read(number)
        except RegistryError:
            return None


class OfBundle:
    """A bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self.name = str(bundle.path)
        self._bundle = bundle

    def candidates(self, wanted: Wanted) -> Iterator[Opener]:
        """Its blob of that name."""
        stream = self._bundle.open(wanted.digest)
        if stream is not None:
            yield lambda: stream

    def entry(self, number: int) -> Entry | None:
        """Its entry of that number."""
        try:
            return self._bundle.entry(number)
        except RegistryError:
            return None


class ModelFolder:
    """A folder of a model, as it was added once; of whichever version, or of one alone."""

    def __init__(self, home: Home, folder: Path, manifest: Digest | None = None) -> None:
        self.name = str(folder)
        self._home, self._folder, self._manifest = home, folder, manifest
        self._files: Files | None = None
        self._by_digest: dict[Digest, str] | None = None

    def candidates(self, wanted: Wanted) -> Iterator[Opener]:
        """The file at the same path, as it lies there and in the form in which it would be stored; then any with that content."""
        files = self._open()
        if files is None:
            return
        there = set(files.paths())
        for digest, manifest, path in wanted.places:
            if path in there and self._manifest in (None, digest):
                yield partial(files.open, path)
                with contextlib.suppress(RegistryError):
                    parent = next((item.digest for item in manifest.parents), None)
                    rewritten = rewritten_content(files, path, parent)
                    if rewritten is not None:
                        yield partial(io.BytesIO, rewritten[0])
        if (
            self._manifest is None
            and (same := self._contents(files).get(wanted.digest)) is not None
        ):
            yield partial(files.open, same)

    def entry(self, number: int) -> Entry | None:
        """None: a model's folder has no journal."""
        return None

    def _open(self) -> Files | None:
        if self._files is None and self._folder.is_dir():
            with contextlib.suppress(RegistryError):
                self._files = open_folder(self._home, self._folder)
        return self._files

    def _contents(self, files: Files) -> Mapping[Digest, str]:
        if self._by_digest is None:
            self._by_digest = {}
            for path in files.paths():
                with contextlib.suppress(RegistryError, OSError), files.open(path) as stream:
                    self._by_digest[digest_of_stream(stream.read)[0]] = path
        return self._by_digest


def _open(place: Path) -> BinaryIO:
    return place.open("rb")


def _as_stored(place: Path, path: str, parent: Digest | None) -> BinaryIO:
    from registry.model_files.layout import location_free

    return io.BytesIO(location_free(path, there.read_file(place), parent=parent)[0])


class OwnCheckouts:
    """The unpacked folders of this home, which hold copies of most files, those too from where it lay before it was moved or copied."""

    name = "the checkouts of this registry"

    def __init__(self, home: Home) -> None:
        self._home = home

    def candidates(self, wanted: Wanted) -> Iterator[Opener]:
        """The file of each version that has it, unless it is a link to the very blob; and in the form in which it is stored."""
        blobs = (self._home.root / "blobs").resolve()
        for digest, manifest, path in wanted.places:
            with contextlib.suppress(InvalidPath):
                places = [
                    folder / check_path(path) for folder in folders_of(self._home.root, digest)
                ]
                for place in (
                    item
                    for item in places
                    if item.is_file() and not item.resolve().is_relative_to(blobs)
                ):
                    yield partial(_open, place)
                    if is_rewritten(path, place.stat().st_size):
                        yield partial(
                            _as_stored,
                            place,
                            path,
                            next((parent.digest for parent in manifest.parents), None),
                        )

    def entry(self, number: int) -> Entry | None:
        """None: a checkout has no journal."""
        return None


class HubCopies:
    """The repositories where the journal says that versions are, at the commits that it says."""

    name = "the Hub"

    def __init__(self, home: Home) -> None:
        self._home = home
        self._remote: Remote | None = None
        self._trees: dict[tuple[str, str], Tree | None] = {}

    def candidates(self, wanted: Wanted) -> Iterator[Opener]:
        """The file at its path and among the originals, as it lies there and as it would be stored; for what is no file, what is said of it.

        A repository that cannot be asked is passed over with a warning.
        """
        from registry.catalog import queries

        for owner in wanted.owners:
            places = [
                (manifest, path) for digest, manifest, path in wanted.places if digest == owner
            ]
            with self._home.reading() as connection:
                copies = queries.copies(connection, manifest=owner)
            for copy in reversed(copies):
                tree = self._tree(copy.repository, copy.commit)
                if tree is None:
                    continue
                if not places:
                    yield from (
                        partial(self._small, tree, said, None, None)
                        for said in (line_json.MANIFEST, line_json.FACTS, line_json.PROBES)
                        if said in tree.files
                    )
                for manifest, path in places:
                    yield from self._forms(tree, wanted.digest, manifest, path)

    def entry(self, number: int) -> Entry | None:
        """None: the Hub has no journal."""
        return None

    def _forms(self, tree: Tree, digest: Digest, manifest: Manifest, path: str) -> Iterator[Opener]:
        size = next(file.size for file in manifest.files if file.path == path)
        parent = next((item.digest for item in manifest.parents), None)
        for place in (path, f"{line_json.ORIGINALS}/{path}"):
            file = tree.files.get(place)
            if file is None or (file.lfs and file.oid != digest.hex):
                continue
            if not file.lfs and is_rewritten(path, file.size):
                yield partial(self._small, tree, place, None, None)
                yield partial(self._small, tree, place, path, parent)
            elif file.size == size:
                yield partial(
                    self._large, download.Wanted(tree.repository, tree.commit, place, size, digest)
                )

    def _tree(self, repository: str, commit: str) -> Tree | None:
        if (repository, commit) not in self._trees:
            self._trees[repository, commit] = None
            try:
                self._trees[repository, commit] = self._hub().tree(repository, commit)
            except RegistryError as error:
                self._home.warn(
                    f"hf://{repository}@{commit[:12]} could not be asked "
                    f"for what is lost: {error.with_hint()}"
                )
        return self._trees[repository, commit]

    def _small(self, tree: Tree, place: str, path: str | None, parent: Digest | None) -> BinaryIO:
        """In memory; with a path in the form in which a file of that path is stored."""
        from registry.model_files.layout import location_free

        content = download.read(
            self._hub(), tree.repository, tree.commit, place, limit=line_json.LIMIT
        )
        return io.BytesIO(
            content if path is None else location_free(path, content, parent=parent)[0]
        )

    def _large(self, wanted: download.Wanted) -> BinaryIO:
        """No more bytes than are to come, in a file that is gone once it is read; one that was cut off goes on where it was."""
        folder = self._home.root / "staging" / "repair"
        make_private(folder)
        try:
            whole = download.fetch(self._hub(), wanted, folder, progress=lambda count: None).place
        except DigestMismatch as error:
            self._home.warn(error.with_hint())
            raise
        stream = whole.open("rb")
        whole.unlink()
        return stream

    def _hub(self) -> Remote:
        if self._remote is None:
            self._remote = the_hub()
        return self._remote


def own_sources(home: Home) -> list[Source]:
    """Those that need not be named: this home's checkouts, and the folders that versions were added from."""
    found: list[Source] = [OwnCheckouts(home)]
    found += [ModelFolder(home, Path(folder), manifest) for folder, manifest in folders(home)]
    return found


@contextlib.contextmanager
def named_sources(home: Home, places: Sequence[str]) -> Iterator[list[Source]]:
    """Those that a person named: a home, a bundle, or a folder. Raises FolderNotFound, and what opening a bundle raises."""
    with contextlib.ExitStack() as stack:
        found: list[Source] = []
        for place in places:
            path = path_of(place)
            if is_home(path):
                found.append(OtherHome(path))
            elif there.is_folder(path):
                found.append(ModelFolder(home, path))
            elif is_bundle(path):
                found.append(OfBundle(stack.enter_context(Bundle(path))))
            else:
                raise FolderNotFound(
                    f"{place!r} is not a registry, a bundle or a folder",
                    hint="give one of these with --from",
                )
        yield found
