"""A registry of the moment: what comes is prepared in it, and its blobs are those of the home that it comes into."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from registry.core.entry import Init
from registry.home.home import Home
from registry.store.backend import Backend, Staged, Stat
from registry.store.local import LocalBackend
from registry.util.fingerprint import Stamp


@contextlib.contextmanager
def scratch_of(home: Home) -> Iterator[Home]:
    """A registry of the moment whose blobs are this one's."""
    with tempfile.TemporaryDirectory(prefix="registry-") as folder:
        scratch = Home(
            replace(home.settings, home=Path(folder)),
            _Shared(LocalBackend(Path(folder)), home.backend),
        )
        try:
            scratch.record(lambda: Init(secrets.token_hex(16)))
            yield scratch
        finally:
            scratch.close()


class _Shared:
    """A back end whose blobs are another's, to be read; what is staged is its own."""

    def __init__(self, own: Backend, blobs: Backend) -> None:
        self._own, self._blobs = own, blobs

    def _of(self, name: str) -> Backend:
        return self._blobs if name.startswith("blobs/") else self._own

    def stage(self) -> Staged:
        return self._own.stage()

    def adopt(self, file: Path, name: str, stamp: Stamp) -> None:
        self._own.adopt(file, name, stamp)

    def open(self, name: str) -> BinaryIO:
        return self._of(name).open(name)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        return self._of(name).read(name, offset, length)

    def stat(self, name: str) -> Stat | None:
        return self._of(name).stat(name)

    def list(self, prefix: str) -> Iterator[str]:
        return self._of(f"{prefix}/").list(prefix)

    def scan(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        return self._of(f"{prefix}/").scan(prefix)

    def remove(self, name: str) -> None:
        self._of(name).remove(name)

    def touch(self, name: str) -> None:
        self._of(name).touch(name)

    def sync(self, prefix: str) -> None:
        self._of(f"{prefix}/").sync(prefix)

    def local_path(self, name: str) -> Path | None:
        return self._of(name).local_path(name)
