"""Tar: the one form of it that bundles have, as every tar reads it: plain files, read-only, of nobody and no time.

Reading takes that form to the byte and nothing else, so no link, device, long name or odd number gets in. Nothing is unpacked by names.
Source: POSIX.1-2017, pax, "ustar Interchange Format"; sizes from 8 GiB on as GNU tar writes them, in base 256.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from registry.errors import Corrupt, UnsafeFile

BLOCK = 512
NAME_LIMIT = 100
COPY_AGAIN = "copy the file again from its source"
"""Hint for a file that was damaged or cut off on its way."""
_OCTAL_LIMIT = 8**11
_SIZE_LIMIT = 1 << 62
_DAMAGED = 16
"""Bytes of a header that may be others before it counts as that of another kind of file."""


@dataclass(frozen=True)
class Member:
    """A file within: its name, where its bytes begin, and how many there are."""

    name: str
    offset: int
    size: int


def header(name: str, size: int) -> bytes:
    """The block before a file's bytes."""
    encoded = name.encode("ascii")
    if not 0 < len(encoded) <= NAME_LIMIT:
        raise ValueError(f"{name!r} does not fit into the header of a tar")
    length = b"%011o\0" % size if size < _OCTAL_LIMIT else b"\x80" + size.to_bytes(11, "big")
    before = encoded.ljust(100, b"\0") + b"0000444\0" + b"0000000\0" * 2 + length + b"%011o\0" % 0
    after = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(167)
    return before + b"%06o\0 " % sum(before + b" " * 8 + after) + after


def padding(size: int) -> bytes:
    """What follows a file's bytes up to the next block."""
    return bytes(-size % BLOCK)


END = bytes(2 * BLOCK)
"""What follows the last file."""


def members(stream: BinaryIO, length: int, what: str) -> Iterator[Member]:
    """The files of a tar of `length` bytes, by their headers alone. Raises Corrupt for a damaged one, UnsafeFile for one of another form."""
    offset = 0
    while True:
        stream.seek(offset)
        block = stream.read(BLOCK)
        if len(block) < BLOCK:
            raise Corrupt(f"{what} is cut off at byte {length}", hint=COPY_AGAIN)
        if block == END[:BLOCK]:
            if offset + len(END) > length:
                raise Corrupt(f"{what} is cut off within its last block", hint=COPY_AGAIN)
            if offset + len(END) != length or stream.read(BLOCK + 1) != END[BLOCK:]:
                raise Corrupt(f"{what} is damaged: there are bytes after its end", hint=COPY_AGAIN)
            return
        member = _member(block, offset, what)
        offset = member.offset + member.size + len(padding(member.size))
        if offset + len(END) > length:
            raise Corrupt(
                f"{what} is cut off at byte {length}: {member.name!r} should have {member.size} "
                "bytes",
                hint=COPY_AGAIN,
            )
        stream.seek(member.offset + member.size)
        if stream.read(-member.size % BLOCK).strip(b"\0"):
            raise Corrupt(
                f"{what} is damaged: there are bytes between its files, after {member.name!r}",
                hint=COPY_AGAIN,
            )
        yield member


def begins_so(block: bytes, name: str) -> bool:
    """Whether a file that begins with these bytes, 512 or as many as it has, begins with a member of this name; damage is overlooked."""
    expected = header(name, 0)
    asked = [
        place
        for place in range(min(len(block), BLOCK))
        if not (124 <= place < 136 or 148 <= place < 156)
    ]  # all but size and sum
    return sum(block[place] != expected[place] for place in asked) <= (
        _DAMAGED if len(block) >= BLOCK else 0
    )


def _member(block: bytes, offset: int, what: str) -> Member:
    try:
        name = block[:100].rstrip(b"\0").decode("ascii")
        size = (
            int.from_bytes(block[125:136], "big")
            if block[124:125] == b"\x80"
            else int(block[124:135], 8)
        )
        if 0 <= size < _SIZE_LIMIT and header(name, size) == block:
            return Member(name, offset + BLOCK, size)
    except ValueError:
        pass
    if block[148:156] == b"%06o\0 " % (
        sum(block) - sum(block[148:156]) + sum(b" " * 8)
    ):  # nothing was damaged
        raise UnsafeFile(
            f"{what} holds, at byte {offset}, what no bundle does: something else than a plain file, or one in another form"
        )
    raise Corrupt(
        f"{what} is damaged: at byte {offset} should be the header of a file", hint=COPY_AGAIN
    )


def part(path: Path, member: Member) -> BinaryIO:
    """The bytes of a member, as a stream of its own."""
    return io.BufferedReader(_Part(path, member.offset, member.size))


class _Part(io.RawIOBase):
    """A range of a file, as a stream of its own."""

    def __init__(self, path: Path, offset: int, size: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._offset, self._size, self._place = offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = 0) -> int:
        self._place = max(0, place + (0, self._place, self._size)[whence])
        return self._place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: max(0, self._size - self._place)]
        self._file.seek(self._offset + self._place)
        done = self._file.readinto(view) or 0
        self._place += done
        return done

    def close(self) -> None:
        self._file.close()
        super().close()
