"""Checkouts: a version's files unpacked into a folder, with a marker that says what each of them must be.

A folder is built beside its place and renamed into it, so it is there whole or not at all. The marker keeps a stamp for each file that
was hashed: size, times and inode. A later look compares stamps and hashes only what differs.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from registry.core.digest import Digest, canonical, digest_of, digest_of_stream, parse_json
from registry.core.filenames import LEFT_BY_DESKTOPS, WEIGHTS
from registry.errors import (
    BlobNotFound,
    DigestMismatch,
    InvalidManifest,
    NewerFormat,
    StoreUnavailable,
    reason,
)
from registry.util.durable import PREFIX, replacing, sync_folder, temporary_folder
from registry.util.fingerprint import Stamp, stamp_of
from registry.util.regular_file import read_file, stream_of

from .preserve import TAKEN, move_aside
from .reflink import reflink, reflinkable

if TYPE_CHECKING:
    from .blobs import Blobs

FORMAT = 2
"""The newest format of markers. Format 2 keeps for each file when it was last hashed."""
MARKER = Path(".registry") / "marker.json"
LARGE = 1 << 20
"""Bytes from which a home checkout links to the blob instead of copying it."""
FRESH = 1_000_000_000
"""Nanoseconds: a file changed within the last second may change again without its times showing it, so it gets no stamp."""
_OWN = re.compile(r"\.registry/(marker\.json(\.[0-9a-f]{8})?|\.registry-[0-9a-f]{16})", re.ASCII)
"""The marker, and what was to become it, in version 0.1 and now."""
_SYNCED_AT_ONCE = 4
"""Files that are synced at the same time."""
_NAME = re.compile(
    r"sha256-[0-9a-f]{64}-[0-9a-f]{8}|\.sha256-[0-9a-f]{64}-[0-9a-f]{8}\.[0-9a-f]{16}", re.ASCII
)


@dataclass(frozen=True)
class Piece:
    """A file to be unpacked: a blob's bytes, or `rendered` ones in their place."""

    path: str
    digest: Digest
    size: int
    rendered: bytes | None = None


@dataclass(frozen=True)
class Marker:
    """What a checkout says of itself: whose it is, for which place, its line, its files, and where its probes passed."""

    manifest: Digest
    place: str
    line: Sequence[dict[str, Any]] = ()
    files: dict[str, tuple[Digest, Stamp | None]] = field(default_factory=dict)
    environments: tuple[str, ...] = ()
    format: int = 1
    hashed_at: Mapping[str, int] = field(default_factory=dict)
    """Path to the time of the last hash of the whole file, in seconds since the epoch; kept in format 2 only."""

    def to_bytes(self) -> bytes:
        """The canonical bytes of marker.json."""
        return canonical(
            {
                "format": self.format,
                "manifest": self.manifest,
                "place": self.place,
                "line": list(self.line),
                "environments": list(self.environments),
                "files": {
                    path: {
                        "digest": digest,
                        "stamp": list(stamp) if stamp else None,
                        **self._age(path),
                    }
                    for path, (digest, stamp) in self.files.items()
                },
            }
        )

    def _age(self, path: str) -> dict[str, int | None]:
        return {} if self.format == 1 else {"hashed_at": self.hashed_at.get(path)}


def read_marker(folder: Path) -> Marker | None:
    """The marker of a checkout; None where there is none, or a damaged one. Raises NewerFormat."""
    try:
        value = parse_json(read_file(folder / MARKER), "the marker")
        if value["format"] > FORMAT:
            raise NewerFormat(
                f"the checkout {str(folder)!r} was made by a newer registry",
                hint="update st-registry, or remove the folder",
            )
        hashed_at = {path: fields.get("hashed_at") for path, fields in value["files"].items()}
        times = [time for time in hashed_at.values() if time is not None]
        if value["format"] not in (1, 2) or any(type(time) is not int for time in times):
            return None
        return Marker(
            Digest(value["manifest"]),
            value["place"],
            value["line"],
            {
                path: (Digest(item["digest"]), tuple(item["stamp"]) if item["stamp"] else None)
                for path, item in value["files"].items()
            },
            tuple(value["environments"]),
            value["format"],
            {path: time for path, time in hashed_at.items() if time is not None},
        )
    except NewerFormat:
        raise
    except (OSError, InvalidManifest, KeyError, TypeError, AttributeError):
        return None


def folder_name(home: Path, manifest: Digest) -> str:
    """The name of a home's own checkout: the manifest's digest, and a mark of where the home lies."""
    return f"sha256-{manifest.hex}-{place_mark(home)}"


def folders_of(home: Path, manifest: Digest) -> list[Path]:
    """The home's own checkouts of a manifest: first the one for where it lies now, then those from where it lay before, which no load uses."""
    here = home / "checkouts" / folder_name(home, manifest)
    before = sorted(
        folder
        for folder in here.parent.glob(f"sha256-{manifest.hex}-*")
        if is_ours(folder.name) and folder != here
    )
    return [folder for folder in (here, *before) if folder.is_dir()]


def is_ours(name: str) -> bool:
    """Whether a name among a home's checkouts is that of one, here or where the home lay before, whole or in the making."""
    return _NAME.fullmatch(name) is not None


def place_mark(home: Path) -> str:
    """8 hex digits that change when the home moves, since checkouts hold absolute paths."""
    return digest_of(os.fsencode(os.path.realpath(home))).hex[:8]


def materialise(
    target: Path,
    pieces: Sequence[Piece],
    blobs: Blobs,
    *,
    links: bool,
    marker: Marker,
    progress: Callable[[str, int, int | None], object] | None = None,
    replace: bool = False,
) -> Path | None:
    """Unpack into a new folder. Whoever finds it there already, made by another, is content; with replace it is exchanged.

    What is exchanged goes away if all of it is a checkout's own, else it is moved aside: comes back as the folder that it is in now.
    With links (the home's own checkouts) large files are reflinks or links to the blob, and all are read-only. Each byte that is
    copied is checked. Raises DigestMismatch for a damaged blob, StoreUnavailable.
    """
    # collect removes what a killed process left among the home's own checkouts
    prefix, mode = (f".{target.name}.", 0o700) if links else (PREFIX, 0o777)
    try:
        _make_parents(target.parent)
        with temporary_folder(target.parent, prefix, mode) as beside:
            digests = {
                piece.path: _unpack(beside, piece, blobs, links, progress) for piece in pieces
            }
            (beside / ".registry").mkdir(exist_ok=True)
            _write_marker(
                beside,
                changed(
                    marker,
                    files={path: (digest, None) for path, digest in digests.items()},
                    hashed_at=dict.fromkeys(digests, int(time.time())),
                ),
            )
            _sync_tree(beside)
            # the rename replaces an empty folder; after a crash any other one is aside
            old = move_aside(target) if replace and _is_in_use(target) else None
            _put(beside, target)
            sync_folder(target.parent)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot make the checkout {str(target)!r}: {reason(error)}"
        ) from error
    _stamp(target)
    if old is None or holds_other(old, digests, trust_stamps=False):
        return old
    shutil.rmtree(old, ignore_errors=True)
    return None


def has_content(folder: Path, pieces: Sequence[Piece]) -> bool:
    """Return whether a folder is an unchanged checkout of these files."""
    marker = read_marker(folder)
    expected = {
        piece.path: piece.digest if piece.rendered is None else digest_of(piece.rendered)
        for piece in pieces
    }
    return (
        marker is not None
        and {path: digest for path, (digest, _) in marker.files.items()} == expected
        and not verify(folder)
    )


def verify(folder: Path, *, trust_stamps: bool = True) -> list[str]:
    """What is wrong with a checkout's files: missing, changed, extra; nothing for a good one. Files that hash right are stamped."""
    marker = read_marker(folder)
    if marker is None:
        return ["it has no readable marker"]
    problems, stamped, hashed_at = [], dict(marker.files), dict(marker.hashed_at)
    for path, (digest, stamp) in marker.files.items():
        place = folder / path
        try:
            now = _stamp_of(place)
            if trust_stamps and stamp is not None and stamp == now and is_large(path, now[0]):
                continue
            found = _hash(place)
        except OSError:
            problems.append(f"{path} is missing or unreadable")
            continue
        if found != digest:
            problems.append(f"{path} was changed")
        else:
            stamped[path] = (digest, _settled(place, now))
            hashed_at[path] = int(time.time())
    problems += [f"{path} was not there before" for path in _extra(folder, marker.files)]
    if not problems and stamped != marker.files:
        _try_marker(folder, changed(marker, files=stamped, hashed_at=hashed_at))
    return problems


def is_large(path: str, size: int) -> bool:
    """Return whether a file's stamp is trusted: only for weights of a full model.

    All other files are hashed at each load, which takes milliseconds.
    """
    name = path.rpartition("/")[2]
    return name.endswith(WEIGHTS) and not name.startswith("adapter_model") and size >= LARGE


def due(folder: Path, age: float) -> list[str]:
    """Return the files with a trusted stamp, last hashed at least `age` seconds ago.

    A marker of format 1 does not hold the times; it was written after the last hash.
    """
    marker = read_marker(folder)
    if marker is None:
        return []
    written, now = (folder / MARKER).stat().st_mtime, time.time()
    return [
        path
        for path, (_, stamp) in marker.files.items()
        if stamp is not None
        and is_large(path, stamp[0])
        and now - marker.hashed_at.get(path, written) >= age
    ]


def hash_again(folder: Path, paths: Sequence[str]) -> list[str]:
    """Return which of these files have other bytes than the marker names."""
    marker = read_marker(folder)
    if marker is None:
        return list(paths)
    hashed_at, damaged = dict(marker.hashed_at), []
    for path in paths:
        if _is_one_of(folder / path, {marker.files[path][0]}):
            hashed_at[path] = int(time.time())
        else:
            damaged.append(path)
    if not damaged:
        _try_marker(folder, changed(marker, hashed_at=hashed_at))
    return damaged


def holds_other(folder: Path, own: Mapping[str, Digest], *, trust_stamps: bool) -> bool:
    """Whether it holds anything but what its marker names, and what `own` does: the version's files, or those about to take its place."""
    if not folder.is_dir():
        return folder.exists()
    try:
        marker = read_marker(folder)
    except NewerFormat:
        return True
    files = marker.files if marker is not None else {}
    known = {path: {digest} for path, digest in own.items()}
    for path, (digest, _) in files.items():
        known.setdefault(path, set()).add(digest)
    asked = [
        path
        for path in known
        if not (trust_stamps and path in files and _is_stamped(folder / path, files[path][1]))
    ]
    return bool(_extra(folder, known)) or any(
        os.path.lexists(folder / path) and not _is_one_of(folder / path, known[path])
        for path in asked
    )


def add_environment(folder: Path, environment: str) -> None:
    """Record that the probes passed here in an environment."""
    marker = read_marker(folder)
    if marker is not None and environment not in marker.environments:
        _try_marker(folder, changed(marker, environments=(*marker.environments, environment)))


def _unpack(
    beside: Path,
    piece: Piece,
    blobs: Blobs,
    links: bool,
    progress: Callable[[str, int, int | None], object] | None,
) -> Digest:
    place = beside / piece.path
    place.parent.mkdir(parents=True, exist_ok=True)
    if piece.rendered is not None:
        place.write_bytes(piece.rendered)
        digest = digest_of(piece.rendered)
    else:
        digest = piece.digest
        blob = blobs.path(digest)
        if (
            links
            and blob is not None
            and piece.size >= LARGE
            and os.getuid() != 0
            and not reflinkable(blob, beside)
        ):
            if not blobs.verify(digest):
                raise DigestMismatch(
                    f"the stored bytes of {piece.path!r} ({digest}) are damaged",
                    hint="add the same files again",
                )
            place.symlink_to(blob)
            return digest
        _copy(piece, place, blobs)
    if links:
        place.chmod(0o444)
    if progress is not None:
        progress("checking out", piece.size, None)
    return digest


def _copy(piece: Piece, place: Path, blobs: Blobs) -> None:
    """Copy and hash in one pass; where the file system can, share the bytes and hash them where they lie."""
    with _opened(piece, blobs) as source, place.open("xb") as out:
        if reflink(source.fileno() if blobs.path(piece.digest) is not None else -1, out.fileno()):
            digest, _ = digest_of_stream(source.read)
        else:
            digest, _ = digest_of_stream(source.read, out.write)
    if digest != piece.digest:
        raise DigestMismatch(
            f"the stored bytes of {piece.path!r} ({piece.digest}) are damaged",
            hint="add the same files again",
        )


def _opened(piece: Piece, blobs: Blobs) -> BinaryIO:
    try:
        return blobs.open(piece.digest)
    except BlobNotFound:
        raise DigestMismatch(
            f"the store has lost the bytes of {piece.path!r} ({piece.digest})",
            hint="add the same files again, or, from a home, a bundle or a folder that has them: "
            "registry repair --from SOURCE",
        ) from None


def _is_in_use(target: Path) -> bool:
    return target.exists() and not (target.is_dir() and not any(target.iterdir()))


def _make_parents(folder: Path) -> None:
    """Make a folder and those above it, each durable."""
    if not folder.is_dir():
        _make_parents(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            sync_folder(folder.parent)


def _sync_tree(folder: Path) -> None:
    """Sync every file below a folder, several at once, and then every folder."""
    folders, files = [], []
    for root, _, names in os.walk(folder):
        folders.append(Path(root))
        files += [path for name in names if not (path := Path(root) / name).is_symlink()]
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        list(pool.map(_sync_file, files))
    for path in reversed(folders):
        sync_folder(path)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put(beside: Path, target: Path) -> None:
    try:
        beside.rename(target)
    except OSError as error:
        if (target / MARKER).is_file():
            return
        if error.errno not in TAKEN or target.exists():
            raise
        _put(beside, target)  # who had put something there is just now exchanging it


def _is_stamped(place: Path, stamp: Stamp | None) -> bool:
    try:
        return stamp is not None and stamp == _stamp_of(place)
    except OSError:
        return False


def _is_one_of(place: Path, digests: set[Digest]) -> bool:
    try:
        return _hash(place) in digests
    except OSError:
        return (
            place.is_symlink() and not place.exists()
        )  # a link to a blob that is lost holds nothing


def _stamp(folder: Path) -> None:
    """Stamp what was just unpacked and hashed, once its times are old enough to tell a later change."""
    marker = read_marker(folder)
    if marker is None:
        return
    with contextlib.suppress(FileNotFoundError):  # it may be exchanged at this moment
        files = {
            path: (digest, _settled(folder / path, _stamp_of(folder / path)))
            for path, (digest, _) in marker.files.items()
        }
        if files != marker.files:
            _try_marker(folder, changed(marker, files=files))


def _settled(place: Path, before: Stamp) -> Stamp | None:
    now = _stamp_of(place)
    newest = max(now[1], now[2])
    return now if now == before and time.time_ns() - newest > FRESH else None


def _stamp_of(place: Path) -> Stamp:
    return stamp_of(place.stat())


def _hash(place: Path) -> Digest:
    with stream_of(place) as stream:
        return digest_of_stream(stream.read)[0]


def _extra(folder: Path, known: dict[str, Any]) -> list[str]:
    found = []
    for root, folders, files in os.walk(folder):
        relative = Path(root).relative_to(folder)
        folders[:] = [name for name in folders if name != "__pycache__"]
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        found += [
            str(relative / name)
            for name in (*files, *links)
            if str(relative / name) not in known
            and not _OWN.fullmatch(str(relative / name))
            and name not in LEFT_BY_DESKTOPS
        ]
    return sorted(found)


def _write_marker(folder: Path, marker: Marker) -> None:
    with replacing(folder / MARKER) as out:
        out.write(marker.to_bytes())


def _try_marker(folder: Path, marker: Marker) -> None:
    """A marker that cannot be written costs a hash at the next look, and nothing else."""
    with contextlib.suppress(OSError):
        _write_marker(folder, marker)
