"""Apply: the only writer of the catalog. One entry of the journal becomes rows; the same entries give the same rows.

An entry that does not follow from the state is refused, so it is never appended either. A manifest or facts that cannot be
read do not stop a fold: they are listed in `skipped`, and the version has what its entry says.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import NamedTuple

from registry.core.digest import Digest
from registry.core.entry import (
    Alias,
    Annotate,
    Approve,
    Delete,
    Entry,
    FactsUpdate,
    Format,
    Init,
    Probes,
    Publish,
    Register,
    Yank,
)
from registry.errors import (
    BlobNotFound,
    BrokenChain,
    DigestMismatch,
    EntryRefused,
    InvalidManifest,
    InvalidName,
    InvalidPath,
)

from . import columns as t
from .blob_rows import FactsRows, ManifestRows, rows_of_facts, rows_of_manifest
from .row_sinks import Rows, StoredRows

ReadBlob = Callable[[Digest], bytes]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


class Made(NamedTuple):
    """Rows that were made ahead, by the digest of the blob that says them, which was read, whole."""

    manifests: Mapping[str, ManifestRows]
    facts: Mapping[str, FactsRows]


NOTHING_MADE = Made({}, {})


def apply(connection: sqlite3.Connection, entry: Entry, read_blob: ReadBlob) -> None:
    """Fold one entry, the next one, into a catalog. read_blob gives verified bytes. Raises what fold raises."""
    fold(StoredRows(connection), entry, read_blob)


def fold(rows: Rows, entry: Entry, read_blob: ReadBlob, made: Made = NOTHING_MADE) -> None:
    """Fold one entry, the next one, into rows wherever they are kept. What is made already is not read again.

    Raises BrokenChain if the entry does not follow, EntryRefused if it says what cannot be so then, InvalidName for a name that
    differs only by case from one that is there, NewerFormat for a manifest or facts that a newer package wrote.
    """
    _record(rows, entry)
    body = entry.body
    if (entry.number == 1) != isinstance(body, Init):
        raise EntryRefused(
            f"entry {entry.number} is {entry.kind} (the first entry, and no other, is Init)"
        )
    if isinstance(body, Init | Approve | Format):
        return
    if isinstance(body, Register):
        _register(rows, entry.number, body)
        _read_manifest(rows, body.manifest, read_blob, made)
        _read_facts(rows, body.facts, read_blob, made)
        return
    if not (isinstance(body, Alias) and body.number is None) and not _is_open(
        rows, body.name, body.number
    ):
        raise EntryRefused(
            f"entry {entry.number} is about {body.name}@{body.number}, which is not registered there"
        )
    if isinstance(body, Alias):
        _alias(rows, entry.number, body)
    elif isinstance(body, Yank):
        _yank(rows, entry.number, body)
    elif isinstance(body, Annotate):
        _annotate(rows, entry.number, body)
    elif isinstance(body, FactsUpdate):
        _facts(rows, entry.number, body)
        _read_facts(rows, body.facts, read_blob, made)
    elif isinstance(body, Probes):
        _probes(rows, entry.number, body.name, body.number, body.probes)
    elif isinstance(body, Publish):
        _publish(rows, entry.number, body.name, body.number, body.repository, body.commit, body.tag)
    else:
        _delete(rows, entry.number, body)


def _record(rows: Rows, entry: Entry) -> None:
    number, digest, clock = rows.last()
    if entry.number != number + 1 or entry.previous != digest:
        raise BrokenChain(
            f"entry {entry.number} follows {entry.previous or 'nothing'}, and the catalog ends with entry "
            f"{number}, {digest or 'nothing'}"
        )
    rows.add_values(
        t.entries,
        [
            (
                entry.number,
                entry.id,
                entry.time,
                max(clock, entry.time),
                entry.by,
                entry.kind,
                getattr(entry.body, "name", None),
                getattr(entry.body, "number", None),
                str(entry.digest),
                entry.text,
                entry.format,
                entry.login,
                entry.uid,
            )
        ],
    )


def _register(rows: Rows, number: int, body: Register) -> None:
    spelled = rows.spelled(body.name.casefold())
    if spelled is None:
        rows.add(t.models, [{"name": body.name, "folded": body.name.casefold(), "since": number}])
    elif spelled != body.name:
        raise InvalidName(
            f"{body.name!r} differs only by case from the model {spelled!r}",
            hint=f"use the name {spelled}",
        )
    key = {"name": body.name, "number": body.number}
    for manifest, until in rows.registered(body.name, body.number):
        if until is None:
            raise EntryRefused(
                f"entry {number} registers {body.name}@{body.number}, which is registered already"
            )
        if manifest != body.manifest:
            raise EntryRefused(
                f"entry {number} registers {body.name}@{body.number} again with another content "
                "(numbers are not used twice)"
            )
    rows.add(
        t.versions,
        [
            {
                **key,
                "manifest": body.manifest,
                "probes": body.probes,
                "message": body.message,
                "source": body.source,
                "checkpoint": int(body.checkpoint),
                "forced": list(body.forced),
                "since": number,
            }
        ],
    )
    rows.add(t.version_facts, [{**key, "facts": body.facts, "since": number}])
    if body.probes is not None:
        _probes(rows, number, body.name, body.number, body.probes)
    rows.add(
        t.metrics,
        (
            {**key, "key": metric, "value": value, "real": _real(value), "since": number}
            for metric, value in _texts(body.source.get("metrics"))
        ),
    )
    hub = dict(_texts(body.source.get("hub")))
    if "repository" in hub and "commit" in hub:
        _publish(rows, number, body.name, body.number, hub["repository"], hub["commit"], None)
    rows.add(
        t.edges,
        (
            {
                **key,
                "since": number,
                "position": position,
                "role": edge.role,
                "parent": edge.digest,
                "evidence": edge.evidence,
                "reference": edge.reference,
            }
            for position, edge in enumerate(body.edges)
        ),
    )


def _facts(rows: Rows, entry: int, body: FactsUpdate) -> None:
    key = {"name": body.name, "number": body.number}
    rows.close(t.version_facts, entry, key)
    rows.add(t.version_facts, [{**key, "facts": body.facts, "since": entry}])


def _probes(rows: Rows, entry: int, name: str, number: int, probes: Digest) -> None:
    key = {"name": name, "number": number}
    rows.close(t.version_probes, entry, key)
    rows.add(t.version_probes, [{**key, "probes": probes, "since": entry}])


def _publish(
    rows: Rows, entry: int, name: str, number: int, repository: str, commit: str, tag: str | None
) -> None:
    key = {"name": name, "number": number, "repository": repository}
    rows.close(t.copies, entry, key)
    rows.add(t.copies, [{**key, "commit": commit, "tag": tag, "since": entry}])


def _alias(rows: Rows, number: int, body: Alias) -> None:
    key = {"name": body.name, "alias": body.alias}
    rows.close(t.aliases, number, key)
    if body.number is not None:
        rows.add(
            t.aliases, [{**key, "number": body.number, "message": body.message, "since": number}]
        )


def _yank(rows: Rows, number: int, body: Yank) -> None:
    key = {"name": body.name, "number": body.number}
    rows.close(t.yanks, number, key)
    if not body.undo:
        rows.add(t.yanks, [{**key, "reason": body.reason, "since": number}])


def _annotate(rows: Rows, number: int, body: Annotate) -> None:
    for note, value in body.notes.items():
        key = {"name": body.name, "number": body.number, "key": note}
        rows.close(t.notes, number, key)
        if value is not None:
            rows.add(t.notes, [{**key, "value": value, "real": _real(value), "since": number}])


def _delete(rows: Rows, number: int, body: Delete) -> None:
    rows.close_version(number, body.name, body.number)


def _read_manifest(rows: Rows, digest: Digest, read_blob: ReadBlob, made: Made) -> None:
    if rows.is_known(t.manifests, digest):
        return
    try:
        own, files, parents = made.manifests.get(digest) or rows_of_manifest(
            digest, read_blob(digest)
        )
    except (BlobNotFound, DigestMismatch, InvalidManifest, InvalidPath) as error:
        _skip(rows, digest, "manifest", error)
        return
    rows.unskip(digest)
    rows.add_values(t.manifests, [own])
    rows.add_values(t.files, files)
    rows.add_values(t.parents, parents)


def _read_facts(rows: Rows, digest: Digest, read_blob: ReadBlob, made: Made) -> None:
    if rows.is_known(t.facts, digest):
        return
    try:
        own, tokens, weights, tensors = made.facts.get(digest) or rows_of_facts(
            digest, read_blob(digest)
        )
    except (BlobNotFound, DigestMismatch, InvalidManifest) as error:
        _skip(rows, digest, "facts", error)
        return
    rows.unskip(digest)
    if tokens and not rows.is_known(t.tokens, tokens[0][0]):
        rows.add_values(t.tokens, tokens)
    if not rows.is_known(t.weights, weights[0]):
        rows.add_values(t.weights, [weights])
        rows.add_values(t.tensors, tensors)
    rows.add_values(t.facts, [own])


def _skip(rows: Rows, digest: Digest, what: str, error: Exception) -> None:
    rows.unskip(digest)
    rows.add(t.skipped, [{"digest": digest, "what": what, "reason": type(error).__name__}])


def _texts(value: object) -> list[tuple[str, str]]:
    """The texts by name that a part of a source holds; a part of another form, which only a newer package writes, holds none."""
    return (
        [(key, item) for key, item in sorted(value.items()) if isinstance(item, str)]
        if isinstance(value, dict)
        else []
    )


def _real(text: str) -> float | None:
    if not _NUMBER.fullmatch(text) or not math.isfinite(value := float(text)):
        return None
    return value


def _is_open(rows: Rows, name: str, number: int | None) -> bool:
    return number is not None and any(until is None for _, until in rows.registered(name, number))
