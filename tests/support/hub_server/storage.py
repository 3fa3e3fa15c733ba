"""Large files: LFS in one piece or in parts, the links to them, and the other host that hands them out."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import TYPE_CHECKING, Any

from tests.support.hub_server.wire import Answer, Problem, Request

if TYPE_CHECKING:
    from tests.support.hub_server.hub import HubServer

_LFS = "application/vnd.git-lfs+json"


def batch(hub: HubServer, request: Request, name: str) -> Answer:
    """Where each large file is to be sent; nothing is said of those that this repository has."""
    found, asked = hub.find(request, name, write=True), request.json
    answer = Answer.json(
        {
            "transfer": "basic",
            "objects": [
                _upload(hub, found.id, thing, has=thing["oid"] in found.objects)
                for thing in asked["objects"]
            ],
        }
    )
    answer.type = _LFS
    return answer


def _upload(hub: HubServer, name: str, thing: dict[str, Any], *, has: bool) -> dict[str, Any]:
    oid, size = thing["oid"], thing["size"]
    if has:
        return {"oid": oid, "size": size}
    if hub.part_size and size > hub.part_size:
        count = -(-size // hub.part_size)
        header = {
            "chunk_size": str(hub.part_size),
            **{
                str(number): link(hub, "/__s3__/part/", f"{oid}/{number}", repo=name)
                for number in range(1, count + 1)
            },
        }
        upload = {"href": link(hub, "/__s3__/complete/", oid, repo=name), "header": header}
    else:
        upload = {"href": link(hub, "/__s3__/put/", oid, repo=name), "header": {}}
    verify = {"href": f"{hub.url}/{name}.git/info/lfs/verify", "header": {}}
    return {
        "oid": oid,
        "size": size,
        "authenticated": True,
        "actions": {"upload": {**upload, "expires_in": 900}, "verify": verify},
    }


def verify(hub: HubServer, request: Request, name: str) -> Answer:
    """Whether a large file arrived whole."""
    found, asked = hub.find(request, name, write=True), request.json
    if asked["oid"] not in found.objects or hub.size(asked["oid"]) != asked["size"]:
        raise Problem(404, f"LFS object {asked['oid']} was not uploaded")
    return Answer.json({})


def put(hub: HubServer, request: Request, oid: str) -> Answer:
    """A large file in one piece."""
    _signed(hub, request, "/__s3__/put/", oid)
    return _arrived(hub, request, oid, request.body)


def put_part(hub: HubServer, request: Request, oid: str, number: str) -> Answer:
    """One part of a large file."""
    _signed(hub, request, "/__s3__/part/", f"{oid}/{number}")
    hub.parts.setdefault(oid, {})[int(number)] = request.body
    return Answer(200, b"", {"ETag": _etag(request.body)}, "application/xml")


def complete(hub: HubServer, request: Request, oid: str) -> Answer:
    """The parts put together, each as its ETag says."""
    _signed(hub, request, "/__s3__/complete/", oid)
    kept = hub.parts.get(oid, {})
    asked = [(part["partNumber"], part["etag"]) for part in request.json["parts"]]
    if asked != [(number, _etag(kept[number])) for number in sorted(kept)]:
        raise Problem(400, "One or more of the specified parts could not be found")
    return _arrived(hub, request, oid, b"".join(kept[number] for number in sorted(kept)))


def _arrived(hub: HubServer, request: Request, oid: str, content: bytes) -> Answer:
    if hashlib.sha256(content).hexdigest() != oid:
        raise Problem(400, f"the bytes sent are not those of {oid}")
    hub.contents[oid] = content
    hub.parts.pop(oid, None)
    if (found := hub.repositories.get(request.first("repo"))) is not None:
        found.objects.add(oid)
    return Answer(200, b"", {"ETag": _etag(content)}, "application/xml")


def download(hub: HubServer, request: Request, oid: str) -> Answer:
    """A large file's bytes, whole or from where the client goes on."""
    _signed(hub, request, "/__cdn__/", oid)
    if oid not in hub.contents and oid not in hub.hashes:
        raise Problem(404, "NoSuchKey")
    return ranged(request, hub.content(oid), {"ETag": f'"{oid[:32]}"', "Accept-Ranges": "bytes"})


def ranged(request: Request, content: bytes, headers: dict[str, str]) -> Answer:
    """Bytes, or the range of them that was asked for."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if asked is None:
        return Answer(200, memoryview(content), headers, "application/octet-stream")
    start, end = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
    if start > end:
        raise Problem(
            416, "Range Not Satisfiable", headers={"Content-Range": f"bytes */{len(content)}"}
        )
    headers = {**headers, "Content-Range": f"bytes {start}-{end}/{len(content)}"}
    return Answer(206, memoryview(content)[start : end + 1], headers, "application/octet-stream")


def link(hub: HubServer, place: str, name: str, **more: str) -> str:
    """An address that is its own permission: on the other host for downloads, with a signature and an end."""
    expires = str(int(time.time()) + 900)
    query = "&".join(
        f"{key}={value}"
        for key, value in {
            **more,
            "Expires": expires,
            "Signature": _signature(hub, place, name, expires),
        }.items()
    )
    return f"{hub.elsewhere}{place}{name}?{query}"


def _signed(hub: HubServer, request: Request, place: str, name: str) -> None:
    """Raises Problem for a link that is not ours or over, and for a token, which has no business on this host."""
    expires = request.first("Expires")
    if (
        request.first("Signature") != _signature(hub, place, name, expires)
        or int(expires) < time.time()
    ):
        raise Problem(403, "SignatureDoesNotMatch")
    if "authorization" in request.headers:
        raise Problem(400, "Only one auth mechanism allowed")


def _signature(hub: HubServer, place: str, name: str, expires: str) -> str:
    return hmac.new(
        hub.secret.encode(), f"{place}{name} {expires}".encode(), hashlib.sha256
    ).hexdigest()[:32]


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
