"""Xet: files as lists of chunks in xorbs, which the client cuts, packs and fetches by itself; the hub keeps xorbs and lists.

A shard says of which chunks a file is made, and its SHA-256; a xorb is chunks, each with a head of eight bytes. Source: xet-core, the formats
of shards and xorbs.
"""

from __future__ import annotations

import secrets
import struct
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.support.hub_server import lz4
from tests.support.hub_server.repositories import admit
from tests.support.hub_server.storage import ranged
from tests.support.hub_server.wire import Answer, Problem, Request

if TYPE_CHECKING:
    from tests.support.hub_server.hub import HubServer

_RECORD = 48
_VERIFIED, _DESCRIBED = 1 << 31, 1 << 30
_FOOTER = b"XETBLOB"


@dataclass(frozen=True)
class Term:
    """A run of chunks of one xorb; its length in bytes of the file."""

    xorb: str
    start: int
    end: int
    length: int


@dataclass(frozen=True)
class Grant:
    """What a token of the chunk store is good for."""

    repository: str
    write: bool


def token(hub: HubServer, request: Request, name: str, kind: str, revision: str) -> Answer:
    """The address of the chunk store, on the other host, and a token of its own for it."""
    found = hub.find(request, name, write=kind == "write")
    admit(hub, request, found)
    made, end = f"xet-{secrets.token_hex(16)}", int(time.time()) + 3600
    hub.grants[made] = Grant(found.id, kind == "write")
    cas = f"{hub.elsewhere}/__cas__"
    return Answer.json(
        {"casUrl": cas, "exp": end, "accessToken": made},
        x_xet_cas_url=cas,
        x_xet_access_token=made,
        x_xet_token_expiration=str(end),
    )


def put_xorb(hub: HubServer, request: Request, name: str) -> Answer:
    """A xorb kept."""
    _granted(hub, request, write=True)
    is_new = name not in hub.xorbs
    hub.xorbs[name] = request.body
    return Answer.json({"was_inserted": is_new})


def put_shard(hub: HubServer, request: Request) -> Answer:
    """Files told; from now on they may be committed to the repository that the token is for."""
    grant = _granted(hub, request, write=True)
    for file, digest, terms in _files(request.body):
        if missing := [term.xorb for term in terms if term.xorb not in hub.xorbs]:
            raise Problem(400, f"the shard names a xorb that is not here: {missing[0]}")
        hub.terms[file] = terms
        hub.hashes[digest] = file
        hub.repositories[grant.repository].objects.add(digest)
    return Answer.json({"result": 1})


def reconstruction(hub: HubServer, request: Request, file: str) -> Answer:
    """The chunks that a range of a file is made of, and where they lie."""
    _granted(hub, request)
    if file not in hub.terms:
        raise Problem(404, "no such file")
    start, end = _range(request, sum(term.length for term in hub.terms[file]))
    terms, offset, skipped = [], 0, 0
    for term in hub.terms[file]:
        if offset < end and offset + term.length > start:
            skipped = skipped if terms else start - offset
            terms.append(term)
        offset += term.length
    where: dict[str, list[Any]] = {}
    for term in terms:
        edges = _edges(hub.xorbs[term.xorb])
        where.setdefault(term.xorb, []).append(
            {
                "range": {"start": term.start, "end": term.end},
                "url": f"{hub.elsewhere}/__cas__/xorb/{term.xorb}",
                "url_range": {"start": edges[term.start], "end": edges[term.end] - 1},
            }
        )
    said = [
        {
            "hash": term.xorb,
            "unpacked_length": term.length,
            "range": {"start": term.start, "end": term.end},
        }
        for term in terms
    ]
    return Answer.json({"offset_into_first_range": skipped, "terms": said, "fetch_info": where})


def get_xorb(hub: HubServer, request: Request, name: str) -> Answer:
    """Bytes of a xorb; the address is the permission."""
    if name not in hub.xorbs:
        raise Problem(404, "NoSuchKey")
    return ranged(request, hub.xorbs[name], {"ETag": f'"{name}"'})


def content(hub: HubServer, digest: str) -> bytes:
    """A file's bytes, put together from its chunks."""
    parts = []
    for term in hub.terms[hub.hashes[digest]]:
        xorb = hub.xorbs[term.xorb]
        edges = _edges(xorb)
        parts += [
            _unpacked(xorb[start:end]) for start, end in pairwise(edges[term.start : term.end + 1])
        ]
    return b"".join(parts)


def size(hub: HubServer, digest: str) -> int:
    """How many bytes that is."""
    return sum(term.length for term in hub.terms[hub.hashes[digest]])


def _granted(hub: HubServer, request: Request, *, write: bool = False) -> Grant:
    grant = hub.grants.get(request.bearer or "")
    if grant is None or (write and not grant.write):
        raise Problem(401, "the chunk store does not know this token")
    return grant


def _range(request: Request, length: int) -> tuple[int, int]:
    asked = request.headers.get("range", "").removeprefix("bytes=").split("-")
    if len(asked) != 2:
        return 0, length
    start, end = int(asked[0]), min(int(asked[1] or length) + 1, length)
    if start >= end:
        raise Problem(416, "Range Not Satisfiable")
    return start, end


def _files(shard: bytes) -> list[tuple[str, str, list[Term]]]:
    """(xet hash, SHA-256, chunks) of each file of a shard."""
    found, at = [], _RECORD
    while shard[at : at + 32] != b"\xff" * 32:
        name, (flags, count) = _hash(shard[at : at + 32]), struct.unpack_from("<II", shard, at + 32)
        terms = []
        for start in range(at + _RECORD, at + _RECORD * (count + 1), _RECORD):
            length, first, last = struct.unpack_from("<III", shard, start + 36)
            terms.append(Term(_hash(shard[start : start + 32]), first, last, length))
        at += _RECORD * (1 + count * (2 if flags & _VERIFIED else 1))
        if not flags & _DESCRIBED:
            raise Problem(400, "the shard does not tell the file's SHA-256")
        found.append((name, _hash(shard[at : at + 32]), terms))
        at += _RECORD
    return found


def _hash(raw: bytes) -> str:
    """How a hash is written: as four numbers, each little-endian."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


def _edges(xorb: bytes) -> list[int]:
    """Where each chunk begins, and where the last one ends."""
    edges, at = [0], 0
    while at < len(xorb) and not xorb.startswith(_FOOTER, at):
        at += 8 + int.from_bytes(xorb[at + 1 : at + 4], "little")
        edges.append(at)
    return edges


def _unpacked(chunk: bytes) -> bytes:
    scheme, length, packed = chunk[4], int.from_bytes(chunk[5:8], "little"), chunk[8:]
    if scheme == 0:
        return packed
    plain = lz4.unpack(packed)
    if scheme == 2:
        grouped, plain = plain, bytearray(length)
        at = 0
        for number in range(4):
            count = len(range(number, length, 4))
            plain[number::4] = grouped[at : at + count]
            at += count
    return bytes(plain)
