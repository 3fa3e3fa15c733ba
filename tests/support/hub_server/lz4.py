"""LZ4 frames, unpacked in Python: slow, small, and enough for what tests send. Source: the frame and block formats, lz4.org."""

from __future__ import annotations


def unpack(frame: bytes) -> bytearray:
    """The bytes of a frame. Checksums are not looked at: whoever reads the result knows its SHA-256."""
    assert frame[:4] == b"\x04\x22\x4d\x18", "not an LZ4 frame"
    flags = frame[4]
    at = 7 + (8 if flags & 8 else 0) + (4 if flags & 1 else 0)
    done = bytearray()
    while size := int.from_bytes(frame[at : at + 4], "little"):
        at += 4
        length = size & 0x7FFFFFFF
        if size >> 31:
            done += frame[at : at + length]
        else:
            _block(frame[at : at + length], done)
        at += length + (4 if flags & 16 else 0)
    return done


def _block(block: bytes, done: bytearray) -> None:
    at = 0
    while at < len(block):
        token = block[at]
        length, at = _length(block, at + 1, token >> 4)
        done += block[at : at + length]
        at += length
        if at >= len(block):
            return
        back = int.from_bytes(block[at : at + 2], "little")
        length, at = _length(block, at + 2, token & 15)
        length += 4
        start = len(done) - back
        while length > 0:  # what is copied may overlap what it makes
            piece = done[start : start + length]
            done += piece
            length -= len(piece)
            start += len(piece)


def _length(block: bytes, at: int, short: int) -> tuple[int, int]:
    length = short
    while short == 15:
        length += block[at]
        at += 1
        if block[at - 1] != 255:
            break
    return length, at
