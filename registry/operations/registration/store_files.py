"""Storing: the files of a folder go into the store, several at once, since a small file is mostly waiting for the disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any, Protocol

from registry.core.digest import Digest, digest_of, digest_of_stream
from registry.core.facts import Files
from registry.core.manifest import File
from registry.core.progress import Progress
from registry.errors import RegistryError, UnsafeFile
from registry.home.home import Home
from registry.operations.shared.examine import rewritten_content
from registry.util.fingerprint import Stamp, stamp_of

AT_ONCE = 4
"""Files on their way at the same time. The disk syncs several together in the time of one."""


Stored = tuple[tuple[File, ...], dict[str, Any]]
"""The files as a manifest lists them, and what location-free form replaced, by path."""
Finish = Callable[[], Stored]


class Giving(Protocol):
    """Files that were hashed when they came, and need not be read again."""

    def settle(self) -> None:
        """Let the disk write what came. Raises StoreUnavailable."""
        ...

    def give(self, path: str) -> tuple[Digest, int] | None:
        """(digest, size) of a file whose bytes are in the store now; None for one that has to be read."""
        ...


def stamps(files: Files, paths: Sequence[str]) -> list[Stamp]:
    """What tells whether the files are changed from now on."""
    found: list[Stamp] = []
    for path in paths:
        with files.open(path) as stream:
            found.append(stamp_of(os.fstat(stream.fileno())))
    return found


def refuse_changed(before: list[Stamp], files: Files, paths: Sequence[str]) -> None:
    """Raises UnsafeFile unless the files still have the stamps that they had."""
    if before != stamps(files, paths):
        raise UnsafeFile(
            "a file was changed while it was read",
            hint="run the command again when no other process writes to the folder",
        )


@contextlib.contextmanager
def storing_meanwhile(
    home: Home,
    files: Files,
    paths: Sequence[str],
    parent: Digest | None,
    *,
    write: bool,
    progress: Progress,
) -> Iterator[Finish]:
    """While this holds the files go into the store, or without write are hashed; what it gives waits for them. Raises UnsafeFile for a file
    that is another one at the end.
    """
    before, stop = stamps(files, paths), Event()
    with ThreadPoolExecutor(1) as pool:
        stored = pool.submit(
            store, home, files, paths, parent, write=write, stop=stop, progress=progress
        )
        try:
            yield stored.result
        except BaseException:
            stop.set()
            raise
    refuse_changed(before, files, paths)


@contextlib.contextmanager
def storing_at_the_end(
    home: Home,
    files: Files,
    paths: Sequence[str],
    parent: Digest | None,
    given: Giving,
    *,
    write: bool,
    progress: Progress,
) -> Iterator[Finish]:
    """Nothing is stored before what this gives is called; meanwhile the disk writes what came. Raises as storing_meanwhile."""
    before = stamps(files, paths)
    with ThreadPoolExecutor(1) as pool:
        settled = pool.submit(given.settle)

        def finish() -> Stored:
            settled.result()
            refuse_changed(before, files, paths)
            return store(
                home,
                files,
                paths,
                parent,
                write=write,
                stop=Event(),
                progress=progress,
                given=given,
            )

        yield finish


def store_small(home: Home, contents: Sequence[bytes]) -> list[Digest]:
    """The digests of contents that are now blobs, put there at once."""
    with ThreadPoolExecutor(AT_ONCE, "store") as pool:
        return list(pool.map(home.blobs.add, contents))


def store(
    home: Home,
    files: Files,
    paths: Sequence[str],
    parent: Digest | None,
    *,
    write: bool,
    stop: Event,
    progress: Progress,
    given: Giving | None = None,
) -> Stored:
    """The files as a manifest lists them, their bytes in the store; and what location-free form replaced, by path.

    Without write they are only hashed. Raises RegistryError soon after stop is set.
    """
    total, done, counting = sum(files.size(path) for path in paths), 0, Lock()
    originals: dict[str, Any] = {}

    def count(size: int) -> None:
        nonlocal done
        with counting:
            done += size
            progress("storing" if write else "reading", done, total)
        if stop.is_set():
            raise RegistryError("stopped")

    def one(path: str) -> File:
        rewritten = rewritten_content(files, path, parent)
        if rewritten is None:
            moved = given.give(path) if given is not None else None
            if moved is not None:
                count(moved[1])
                return File(path, *moved)
            with files.open(path) as stream:
                return File(
                    path,
                    *(home.blobs.add_stream if write else digest_of_stream)(
                        stream.read, progress=count
                    ),
                )
        content, original = rewritten
        digest = home.blobs.add(content) if write else digest_of(content)
        if original:
            originals[path] = original
        count(len(content))
        return File(path, digest, len(content))

    def guarded(path: str) -> File | None:
        try:
            return one(path)
        except BaseException as error:
            if not stop.is_set():
                failures.append(error)
            stop.set()
            return None

    failures: list[BaseException] = []
    largest_first = sorted(paths, key=files.size, reverse=True)
    with ThreadPoolExecutor(AT_ONCE, "store") as pool:
        kept = {file.path: file for file in pool.map(guarded, largest_first) if file is not None}
    if failures or len(kept) < len(paths):
        raise failures[0] if failures else RegistryError("stopped")
    return tuple(kept[path] for path in paths), {
        path: originals[path] for path in paths if path in originals
    }
