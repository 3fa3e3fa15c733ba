"""A back end that fails, or dies, at its n-th call: before the call has an effect, or right after."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Literal, Self

from registry.errors import StoreUnavailable
from registry.store.backend import Backend, Staged, Stat
from registry.util.fingerprint import Stamp


class Died(BaseException):
    """The process is gone; nothing catches this."""


class FailingBackend:
    """Another back end, whose call number `at` fails like a full disk ("error") or dies ("die").

    With `after` only calls that change something count: to die after a look is to die before what follows.
    """

    def __init__(
        self,
        inner: Backend,
        at: int,
        mode: Literal["error", "die"] = "error",
        *,
        after: bool = False,
    ) -> None:
        self._inner, self._at, self._mode, self._after = inner, at, mode, after
        self._counting = Lock()
        self.calls = 0

    def look(self, act: Any, *arguments: Any) -> Any:
        """One call of the inner back end that changes nothing."""
        return act(*arguments) if self._after else self.call(act, *arguments)

    def call(self, act: Any, *arguments: Any, **keywords: Any) -> Any:
        """One call of the inner back end, counted."""
        with self._counting:
            self.calls += 1
            call = self.calls
        if call > self._at and self._mode == "die":
            raise Died(f"at call {self._at}, and this is another thread of the dead process")
        if call != self._at:
            return act(*arguments, **keywords)
        if self._after:
            act(*arguments, **keywords)
        if self._mode == "die":
            raise Died(f"at call {call}")
        raise StoreUnavailable(f"call {call} failed: {errno.errorcode[errno.ENOSPC]}")

    def stage(self) -> Staged:
        return _Staged(self, self.look(self._inner.stage))

    def adopt(self, file: Path, name: str, stamp: Stamp) -> None:
        self.call(self._inner.adopt, file, name, stamp)

    def open(self, name: str) -> BinaryIO:
        return self.look(self._inner.open, name)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        return self.look(self._inner.read, name, offset, length)

    def stat(self, name: str) -> Stat | None:
        return self.look(self._inner.stat, name)

    def list(self, prefix: str) -> Iterator[str]:
        return self.look(self._inner.list, prefix)

    def scan(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        return self.look(self._inner.scan, prefix)

    def remove(self, name: str) -> None:
        self.call(self._inner.remove, name)

    def touch(self, name: str) -> None:
        self.call(self._inner.touch, name)

    def sync(self, prefix: str) -> None:
        self.call(self._inner.sync, prefix)

    def local_path(self, name: str) -> Path | None:
        return self.look(self._inner.local_path, name)


class _Staged:
    def __init__(self, backend: FailingBackend, inner: Staged) -> None:
        self._backend, self._inner = backend, inner

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        if not isinstance(exception[1], Died):  # whoever is dead tidies nothing up
            self._inner.__exit__(*exception)

    def write(self, block: bytes) -> None:
        self._backend.call(self._inner.write, block)

    def publish(self, name: str, *, replace: bool = False) -> bool:
        return self._backend.call(self._inner.publish, name, replace=replace)
