"""recover: bytes that the store lost or that were damaged in it, fetched again from where versions are on the Hub, by their digest."""

from __future__ import annotations

from collections.abc import Iterator

from ..digest import Digest, digest_of
from ..errors import DigestMismatch, HubUnavailable, RemoteMoved, RemoteNotFound
from ..home import Home, make_private
from ..hub import fetching, line as _line
from ..hub.remote import Remote, Tree
from ..progress import Progress, silent
from ..version import Version
from .counting import Bytes
from .places import as_registered, copies_of, the_hub
from .recognise import REWRITTEN_LIMIT, is_rewritten


def recover(home: Home, digest: Digest, *, progress: Progress = silent) -> str | None:
    """Put a blob back that some version needs; where it came from, e.g. `hf://org/repo@…`, or None where no copy has it.

    Only bytes with this digest are stored. A copy that cannot be asked is passed over with a warning.
    """
    remote = the_hub()
    for version, path in _needed_by(home, digest):
        for copy in copies_of(home, version):
            try:
                tree = remote.tree(copy.repository, copy.commit)
                if any(_take(home, remote, tree, place, path, digest, progress) for place in (path, f"{_line.ORIGINALS}/{path}")):
                    return f"hf://{copy.repository}@{copy.commit}"
            except (RemoteNotFound, RemoteMoved, HubUnavailable, DigestMismatch) as error:
                home.warn(f"hf://{copy.repository} was asked for {digest.short} of {version.reference}: {error}")
    return None


def _needed_by(home: Home, digest: Digest) -> Iterator[tuple[Version, str]]:
    """Versions that have the blob, and the path it has in their repository."""
    from ..catalog import queries
    with home.reading() as connection:
        found = [(version, file.path) for version in queries.with_file(connection, digest)
                 for file in queries.files(connection, version.digest) if file.digest == digest]
        for model in queries.models(connection):
            for version in queries.versions(connection, model.name):
                kept = {version.digest: _line.MANIFEST, version.facts: _line.FACTS, version.probes: _line.PROBES}
                if digest in kept:
                    found.append((version, kept[digest]))
    yield from found


def _take(home: Home, remote: Remote, tree: Tree, place: str, path: str, digest: Digest, progress: Progress) -> bool:
    """Whether a file of a commit is the blob; then it is in the store."""
    file = tree.files.get(place)
    if file is None or (file.lfs and file.oid != digest.hex):
        return False
    if not file.lfs and is_rewritten(path, file.size):
        content = fetching.read(remote, tree.repository, tree.commit, place, limit=REWRITTEN_LIMIT)
        for form in (content, as_registered(path, content)):
            if digest_of(form) == digest:
                home.blobs.add(form)
                return True
        return False
    folder = home.root / "staging" / f"recover-{digest.hex[:16]}"
    make_private(folder.parent)
    make_private(folder)
    wanted = fetching.Wanted(tree.repository, tree.commit, place, file.size, digest)
    whole = fetching.fetch(remote, wanted, folder, progress=Bytes(progress, file.size).of(tree.repository, file.size))
    with whole.open("rb") as stream:
        home.blobs.add_stream(stream.read)
    whole.unlink()
    return True
