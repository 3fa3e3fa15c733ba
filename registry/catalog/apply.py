"""Apply: the only writer of the catalog. One entry of the journal becomes rows; the same entries give the same rows.

An entry that does not follow from the state is refused, so it is never appended either. A manifest or facts that cannot be
read do not stop a fold: they are listed in `skipped`, and the version has what its entry says.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table, insert, select, update

from .. import facts as _facts, manifest as _manifest
from ..digest import Digest, canonical, digest_of
from ..entry import Alias, Annotate, Delete, Entry, Init, Probes, Publish, Register, Yank
from ..errors import BlobNotFound, BrokenChain, DigestMismatch, InvalidManifest, InvalidName, InvalidPath
from . import tables as t

ReadBlob = Callable[[Digest], bytes]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_INTEGERS = range(-(1 << 63), 1 << 63)


def apply(connection: Connection, entry: Entry, read_blob: ReadBlob) -> None:
    """Fold one entry, the next one. read_blob gives verified bytes.

    Raises BrokenChain if the entry does not follow, InvalidName for a name that differs only by case from one that is there,
    NewerFormat for a manifest or facts that a newer package wrote.
    """
    _record(connection, entry)
    body = entry.body
    if isinstance(body, Init):
        return
    if isinstance(body, Register):
        _register(connection, entry.number, body)
        _read_manifest(connection, body.manifest, read_blob)
        _read_facts(connection, body.facts, read_blob)
        return
    if not (isinstance(body, Alias) and body.number is None) and not _is_open(connection, body.name, body.number):
        raise BrokenChain(f"entry {entry.number} is about {body.name}@{body.number}, which is not registered there")
    if isinstance(body, Alias):
        _alias(connection, entry.number, body)
    elif isinstance(body, Yank):
        _yank(connection, entry.number, body)
    elif isinstance(body, Annotate):
        _annotate(connection, entry.number, body)
    elif isinstance(body, Probes):
        _probes(connection, entry.number, body.name, body.number, body.probes)
    elif isinstance(body, Publish):
        _publish(connection, entry.number, body.name, body.number, body.repository, body.commit, body.tag)
    else:
        _delete(connection, entry.number, body)


def _record(connection: Connection, entry: Entry) -> None:
    last = connection.execute(select(t.entries.c.number, t.entries.c.digest, t.entries.c.clock)
                              .order_by(t.entries.c.number.desc()).limit(1)).first()
    number, digest, clock = tuple(last) if last is not None else (0, None, "")
    if entry.number != number + 1 or entry.previous != digest:
        raise BrokenChain(f"entry {entry.number} follows {entry.previous or 'nothing'}, and the catalog ends with entry "
                          f"{number}, {digest or 'nothing'}")
    _add(connection, t.entries, {
        "number": entry.number, "id": entry.id, "time": entry.time, "clock": max(clock, entry.time), "by": entry.by,
        "kind": entry.kind, "name": getattr(entry.body, "name", None), "version": getattr(entry.body, "number", None),
        "digest": entry.digest, "body": dataclasses.asdict(entry.body)})


def _register(connection: Connection, number: int, body: Register) -> None:
    spelled = connection.scalar(select(t.models.c.name).where(t.models.c.folded == body.name.casefold()))
    if spelled is None:
        _add(connection, t.models, {"name": body.name, "folded": body.name.casefold(), "since": number})
    elif spelled != body.name:
        raise InvalidName(f"{body.name!r} differs only by case from the model {spelled!r}; use that name")
    key = {"name": body.name, "number": body.number}
    for earlier in connection.execute(select(t.versions.c.manifest, t.versions.c.until).where(*_are(t.versions, key))):
        if earlier.until is None:
            raise BrokenChain(f"entry {number} registers {body.name}@{body.number}, which is registered already")
        if earlier.manifest != body.manifest:
            raise BrokenChain(f"entry {number} registers {body.name}@{body.number} anew with another content; "
                              "numbers are not used twice")
    _add(connection, t.versions, {
        **key, "manifest": body.manifest, "probes": body.probes, "message": body.message, "source": body.source,
        "checkpoint": int(body.checkpoint), "forced": list(body.forced), "since": number})
    _add(connection, t.version_facts, {**key, "facts": body.facts, "since": number})
    if body.probes is not None:
        _probes(connection, number, body.name, body.number, body.probes)
    _add_all(connection, t.metrics, ({**key, "key": metric, "value": value, "real": _real(value), "since": number}
                                     for metric, value in _texts(body.source.get("metrics"))))
    hub = dict(_texts(body.source.get("hub")))
    if "repository" in hub and "commit" in hub:
        _publish(connection, number, body.name, body.number, hub["repository"], hub["commit"], None)
    _add_all(connection, t.edges, ({
        **key, "since": number, "position": position, "role": edge.role, "parent": edge.digest, "evidence": edge.evidence,
        "reference": edge.reference} for position, edge in enumerate(body.edges)))


def _probes(connection: Connection, entry: int, name: str, number: int, probes: Digest) -> None:
    key = {"name": name, "number": number}
    _close(connection, t.version_probes, entry, key)
    _add(connection, t.version_probes, {**key, "probes": probes, "since": entry})


def _publish(connection: Connection, entry: int, name: str, number: int, repository: str, commit: str, tag: str | None) -> None:
    key = {"name": name, "number": number, "repository": repository}
    _close(connection, t.copies, entry, key)
    _add(connection, t.copies, {**key, "commit": commit, "tag": tag, "since": entry})


def _alias(connection: Connection, number: int, body: Alias) -> None:
    key = {"name": body.name, "alias": body.alias}
    _close(connection, t.aliases, number, key)
    if body.number is not None:
        _add(connection, t.aliases, {**key, "number": body.number, "message": body.message, "since": number})


def _yank(connection: Connection, number: int, body: Yank) -> None:
    key = {"name": body.name, "number": body.number}
    _close(connection, t.yanks, number, key)
    if not body.undo:
        _add(connection, t.yanks, {**key, "reason": body.reason, "since": number})


def _annotate(connection: Connection, number: int, body: Annotate) -> None:
    for note, value in body.notes.items():
        key = {"name": body.name, "number": body.number, "key": note}
        _close(connection, t.notes, number, key)
        if value is not None:
            _add(connection, t.notes, {**key, "value": value, "real": _real(value), "since": number})


def _delete(connection: Connection, number: int, body: Delete) -> None:
    for table in t.INTERVALS:
        _close(connection, table, number, {"name": body.name, "number": body.number})


def _read_manifest(connection: Connection, digest: Digest, read_blob: ReadBlob) -> None:
    if _is_known(connection, t.manifests, digest):
        return
    try:
        manifest = _manifest.parse(read_blob(digest))
        _refuse_large([manifest.size])
    except (BlobNotFound, DigestMismatch, InvalidManifest, InvalidPath) as error:
        _skip(connection, digest, "manifest", error)
        return
    _unskip(connection, digest)
    _add(connection, t.manifests, {"digest": digest, "kind": manifest.kind, "class": manifest.model_class, "size": manifest.size})
    _add_all(connection, t.files, ({"manifest": digest, "path": file.path, "digest": file.digest, "size": file.size}
                                   for file in manifest.files))
    _add_all(connection, t.parents, ({"manifest": digest, "role": parent.role, "parent": parent.digest}
                                     for parent in manifest.parents))


def _read_facts(connection: Connection, digest: Digest, read_blob: ReadBlob) -> None:
    if _is_known(connection, t.facts, digest):
        return
    try:
        facts = _facts.parse(read_blob(digest))
        _refuse_large([facts.vocabulary.size, facts.rows, facts.width, facts.max_length, facts.weights.parameters,
                       facts.adapter.rank if facts.adapter else None, *(token.id for token in facts.vocabulary.added)])
    except (BlobNotFound, DigestMismatch, InvalidManifest) as error:
        _skip(connection, digest, "facts", error)
        return
    _unskip(connection, digest)
    vocabulary, adapter = facts.vocabulary, facts.adapter
    _add(connection, t.facts, {
        "digest": digest, "schema": _facts.SCHEMA, "class": facts.model_class, "tokenizer": facts.tokenizer,
        "vocabulary": vocabulary.digest, "vocabulary_size": vocabulary.size,
        "added_digest": _read_tokens(connection, vocabulary.added), "added": len(vocabulary.added),
        "weights": _read_weights(connection, facts.weights), "rows": facts.rows, "width": facts.width,
        "max_length": facts.max_length, "architecture": facts.architecture, "adapter": adapter.type if adapter else None,
        "rank": adapter.rank if adapter else None})


def _read_tokens(connection: Connection, tokens: tuple[_facts.Token, ...]) -> Digest:
    """The digest of the list, which many versions share; its rows are there afterwards."""
    rows = [token._asdict() for token in tokens]
    digest = digest_of(canonical(rows))
    there = select(t.tokens.c.id).where(t.tokens.c.added_digest == digest).limit(1)
    if connection.scalar(there) is None:
        _add_all(connection, t.tokens, ({**row, "added_digest": digest} for row in rows))
    return digest


def _read_weights(connection: Connection, weights: _facts.Weights) -> Digest:
    if not _is_known(connection, t.weights, weights.digest):
        _add(connection, t.weights, {"digest": weights.digest, "dtype": weights.dtype, "parameters": weights.parameters,
                                     "tensors": len(weights.tensors)})
        _add_all(connection, t.tensors, ({
            "weights": weights.digest, "name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape),
            "digest": tensor.digest} for tensor in weights.tensors))
    return weights.digest


def _skip(connection: Connection, digest: Digest, what: str, error: Exception) -> None:
    _unskip(connection, digest)
    _add(connection, t.skipped, {"digest": digest, "what": what, "reason": type(error).__name__})


def _unskip(connection: Connection, digest: Digest) -> None:
    connection.execute(sa.delete(t.skipped).where(t.skipped.c.digest == digest))


def _refuse_large(numbers: Iterable[int | None]) -> None:
    for number in numbers:
        if number is not None and number not in _INTEGERS:
            raise InvalidManifest(f"{number} is no size of anything")


def _texts(value: object) -> list[tuple[str, str]]:
    """The texts by name that a part of a source holds; a part of another form, which only a newer package writes, holds none."""
    return [(key, item) for key, item in sorted(value.items()) if isinstance(item, str)] if isinstance(value, dict) else []


def _real(text: str) -> float | None:
    if not _NUMBER.fullmatch(text) or not math.isfinite(value := float(text)):
        return None
    return value


def _is_open(connection: Connection, name: str, number: int | None) -> bool:
    condition = _are(t.versions, {"name": name, "number": number})
    return connection.scalar(select(t.versions.c.number).where(*condition, t.versions.c.until.is_(None))) is not None


def _is_known(connection: Connection, table: Table, digest: Digest) -> bool:
    return connection.scalar(select(table.c.digest).where(table.c.digest == digest)) is not None


def _close(connection: Connection, table: Table, number: int, key: dict[str, Any]) -> None:
    connection.execute(update(table).where(*_are(table, key), table.c.until.is_(None)).values(until=number))


def _are(table: Table, key: dict[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [table.c[column] == value for column, value in key.items()]


def _add(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    connection.execute(insert(table), [row])


def _add_all(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    listed = list(rows)
    if listed:
        connection.execute(insert(table), listed)
