"""Files on their way to the Hub: counted as they are read, and compared with their digests before the commit is made."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from registry.core.digest import Digest, digest_of
from registry.errors import DigestMismatch
from registry.hub.protocol import Upload

BLOCK = 1 << 20
LARGE = 64 * BLOCK


def digests_first() -> bool:
    """Whether the client sends by LFS; by Xet it hashes what it sends while it sends it. Said without importing it."""
    return (
        os.environ.get("HF_HUB_DISABLE_XET", "").upper() in {"1", "ON", "YES", "TRUE"}
        or find_spec("hf_xet") is None
    )


class Told:
    """The caller's progress. What it raises, to cancel perhaps, is the caller's own, and no fault of the Hub's."""

    def __init__(self, progress: Callable[[int], object]) -> None:
        self._progress = progress
        self._raised: Exception | None = None

    def __call__(self, size: int) -> None:
        """Bytes that were sent since."""
        try:
            self._progress(size)
        except Exception as error:
            self._raised = error if self._raised is None else self._raised
            raise

    @contextlib.contextmanager
    def own(self) -> Iterator[None]:
        """Raises what the progress raised, whatever the client, or who translates its errors, made of it."""
        try:
            yield
        except Exception:
            if self._raised is None:
                raise
        else:
            return
        raise self._raised


def addition(
    upload: Upload,
    progress: Callable[[int], object],
    heard: Callable[[], object],
    hashed: Callable[[Digest], Digest | None],
) -> Any:
    """The client's word for a file to be added, which tells how many of its bytes were sent, and when some were."""
    from huggingface_hub import CommitOperationAdd

    class Addition(CommitOperationAdd):  # type: ignore[misc]
        """Counts bytes as they are read for sending; what is sent in other ways is counted at its end."""

        counted = 0

        @contextlib.contextmanager
        def as_file(self, with_tqdm: bool = False) -> Iterator[Any]:
            if not with_tqdm or not isinstance(self.path_or_fileobj, str):
                with super().as_file() as stream:
                    yield stream
                return
            with _Counted(self.path_or_fileobj, self._count) as stream:
                yield stream

        def _count(self, size: int) -> None:
            heard()
            size = min(size, upload.size - self.counted)
            self.counted += size
            progress(size)

        def sent(self) -> None:
            self._count(upload.size)

    added = Addition(
        path_in_repo=upload.path,
        path_or_fileobj=upload.source if isinstance(upload.source, bytes) else str(upload.source),
    )
    found = hashed(upload.digest)
    if found is not None:
        added.upload_info.sha256 = bytes.fromhex(found.hex)
    return added


class _Counted(io.BufferedReader):
    """A file that tells how much of it is read."""

    def __init__(self, path: str, count: Callable[[int], object]) -> None:
        super().__init__(io.FileIO(path), BLOCK)
        self._told = count

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        self._told(len(block))
        return block


def groups(
    additions: Sequence[Any], uploads: Sequence[Upload]
) -> Iterator[list[tuple[Any, Upload]]]:
    """All at once, except that each of several very large files goes alone, so that progress can be told between them."""
    pairs = list(zip(additions, uploads, strict=True))
    large = [pair for pair in pairs if pair[1].size >= LARGE]
    alone = large if len(large) > 1 else []
    together = [pair for pair in pairs if pair not in alone]
    if together:
        yield together
    yield from ([pair] for pair in alone)


def refuse_other_bytes(added: Any, upload: Upload) -> None:
    """Raises DigestMismatch if what was read for sending is not what is registered."""
    found = (
        added.upload_info.sha256.hex()
        if added._upload_mode == "lfs"
        else digest_of(upload.content()).hex
    )
    if found != upload.digest.hex:
        raise DigestMismatch(
            f"the stored bytes of {upload.path!r} ({upload.digest}) are damaged, nothing was "
            "published"
        )
