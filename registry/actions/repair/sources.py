"""Sources: where bytes that were lost here may still be. What comes from one counts only if its digest is the one that was asked for."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from ...digest import Digest, digest_of_stream
from ...entry import Entry
from ...errors import FolderNotFound, InvalidPath, RegistryError
from ...facts import Files
from ...home import FIRST_ENTRY, Home
from ...hub import line
from ...hub.remote import Remote
from ...manifest import Manifest, check_path
from ...store.blobs import Blobs
from ...store.bundle import Bundle, is_bundle
from ...store.checkout import folder_name
from ...store.journal import Journal
from ...store.local import LocalBackend
from ..places import the_hub
from ..recognise import open_folder, rewritten_content
from ..sources import folders

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
        if self._manifest is None and (same := self._contents(files).get(wanted.digest)) is not None:
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


class OwnCheckouts:
    """The unpacked folders of this home, which hold copies of most files."""

    name = "the checkouts of this registry"

    def __init__(self, home: Home) -> None:
        self._home = home

    def candidates(self, wanted: Wanted) -> Iterator[Opener]:
        """The file of each version that has it, unless it is a link to the very blob."""
        for digest, _, path in wanted.places:
            with contextlib.suppress(InvalidPath):
                place = self._home.root / "checkouts" / folder_name(self._home.root, digest) / check_path(path)
                if place.is_file() and not place.is_symlink():
                    yield partial(_open, place)

    def entry(self, number: int) -> Entry | None:
        """None: a checkout has no journal."""
        return None


class HubCopies:
    """The repositories where the journal says that versions are, at the commits that it says."""

    name = "the Hub"

    def __init__(self, home: Home) -> None:
        self._home = home
        self._remote: Remote | None = None

    def candidates(self, wanted: Wanted) -> Iterator[Opener]:
        """The file at its path and among the originals; for what is no file, what the repository says of the version."""
        from ...catalog import queries
        for owner in wanted.owners:
            paths = [path for digest, _, path in wanted.places if digest == owner]
            asked = [item for path in paths for item in (path, f"{line.ORIGINALS}/{path}")] or [line.MANIFEST, line.FACTS, line.PROBES]
            with self._home.reading() as connection:
                copies = queries.copies(connection, manifest=owner)
            for copy in reversed(copies):
                yield from (partial(self._fetch, copy.repository, copy.commit, path) for path in asked)

    def entry(self, number: int) -> Entry | None:
        """None: the Hub has no journal."""
        return None

    def _fetch(self, repository: str, commit: str, path: str) -> BinaryIO:
        if self._remote is None:
            self._remote = the_hub()
        stream = tempfile.TemporaryFile()  # noqa: SIM115  # whoever asked closes it
        try:
            for start, block in self._remote.fetch(repository, commit, path, 0):
                stream.seek(start)
                stream.truncate()
                stream.write(block)
            stream.seek(0)
        except BaseException:
            stream.close()
            raise
        return stream


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
            path = Path(place).expanduser()
            if (path / FIRST_ENTRY).exists():
                found.append(OtherHome(path))
            elif path.is_dir():
                found.append(ModelFolder(home, path))
            elif is_bundle(path):
                found.append(OfBundle(stack.enter_context(Bundle(path))))
            else:
                raise FolderNotFound(f"{place!r} is no home, no bundle and no folder; repair takes one of these with --from")
        yield found
