"""Nets 1 and 2: identity, integrity and structure, from bytes, headers and JSON alone. torch is never imported here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from registry.core import manifest as _manifest
from registry.core.digest import digest_of_stream
from registry.core.facts import Facts
from registry.core.manifest import Manifest
from registry.core.text import counted
from registry.core.version import Version
from registry.errors import RegistryError, reason
from registry.home.home import Home
from registry.model_files.tokenizer.ambiguous_tokens import CHECK as AMBIGUOUS_TOKENS
from registry.operations.shared.resolve import facts_of
from registry.results.check import FAILED, FORCED, OK, UNMEASURED, WARNED, Outcome

from .check_list import FACTS, FILES, LINEAGE, MANIFEST
from .stages import Stage

_SHOWN = 3


def identity(home: Home, version: Version) -> Iterator[Outcome]:
    """Whether a version is what its digest says: its manifest, its parents, the bytes of its files."""
    try:
        manifest = _manifest.parse(home.blobs.read(version.digest))
    except RegistryError as error:
        yield Outcome(
            MANIFEST,
            "identity",
            version.reference,
            FAILED,
            expected=version.digest,
            message=error.with_hint(),
        )
        return
    yield Outcome(
        MANIFEST,
        "identity",
        version.reference,
        OK,
        expected=version.digest.short,
        found=manifest.digest.short,
    )
    yield from _lineage(home, version, manifest)
    yield from _files(home, version, manifest)


def reason_of(error: RegistryError | OSError, what: str) -> str:
    """Why something could not be read, as one line."""
    if isinstance(error, OSError):
        return f"the disk does not give {what}: {reason(error)}"
    return error.with_hint()


def same_facts(home: Home, stage: Stage, version: Version) -> Outcome:
    """Whether the files say what they said when they were registered."""
    try:
        recorded = facts_of(home, version)
    except RegistryError as error:
        return Outcome(FACTS, "integrity", version.reference, FAILED, message=error.with_hint())
    other = _other_facts(recorded, stage.facts.in_schema(recorded.schema))
    if not other:
        return Outcome(
            FACTS,
            "integrity",
            version.reference,
            OK,
            expected=version.facts.short,
            found=version.facts.short,
        )
    named = ", ".join(other[:_SHOWN])
    return Outcome(
        FACTS,
        "integrity",
        version.reference,
        FAILED,
        message=f"the files say otherwise now, and their bytes are the same: {named}",
    )


def not_asked(version: Version) -> Outcome:
    """What is said of facts where files are damaged: that these say otherwise is no wonder."""
    return Outcome(
        FACTS,
        "integrity",
        version.reference,
        UNMEASURED,
        message="not looked at, for its files are not those registered, as told above",
    )


def structure(stage: Stage) -> Iterator[Outcome]:
    """What each check at the door finds in a stage."""
    from registry.model_files.checks import CHECKS

    candidate, told = stage.candidate, set[str | None]()
    for check in CHECKS:
        try:
            problem = check.find(candidate)
            message = problem.with_hint() if problem is not None else None
        except RegistryError as error:
            message = error.with_hint()
            if message in told:
                yield Outcome(
                    check.id,
                    check.net,
                    stage.name,
                    UNMEASURED,
                    message="not looked at, for what was told above",
                )
                continue
        told.add(message)
        verdict = OK
        if message is not None:
            verdict = (
                FORCED
                if check.id in stage.forced
                else WARNED
                if check.error is None or _was_accepted_before(check.id, stage)
                else FAILED
            )
        yield Outcome(check.id, check.net, stage.name, verdict, message=message or "")


def _was_accepted_before(check_id: str, stage: Stage) -> bool:
    """Return whether a registered version passed the checks when it was registered.

    Schema 1 compared the digests of tokenizer files alone, and there was no check of
    added tokens that are equal after normalisation.
    """
    if check_id == AMBIGUOUS_TOKENS:
        return stage.version is not None
    return (
        check_id == "adapter-tokenizer"
        and stage.version is not None
        and stage.parent is not None
        and stage.facts.tokenizer == stage.parent.facts.tokenizer
    )


def _lineage(home: Home, version: Version, manifest: Manifest) -> Iterator[Outcome]:
    from registry.catalog import queries

    told = {parent.role: parent for parent in version.parents}
    for parent in manifest.parents:
        edge = told.get(parent.role)
        with home.reading() as connection:
            here = queries.with_manifest(connection, parent.digest)
        if edge is None or edge.digest != parent.digest:
            said = "the entry that registered it names another parent than its manifest"
        elif not here:
            said = f"{edge.reference} is not here any more"
        else:
            yield Outcome(
                LINEAGE,
                "identity",
                version.reference,
                OK,
                edge.reference,
                parent.digest.short,
                here[0].digest.short,
                message=f"{parent.role}, known: {edge.evidence}",
            )
            continue
        yield Outcome(
            LINEAGE,
            "identity",
            version.reference,
            FAILED,
            edge.reference if edge else parent.role,
            parent.digest.short,
            message=said,
        )


def _files(home: Home, version: Version, manifest: Manifest) -> Iterator[Outcome]:
    damaged = 0
    for file in manifest.files:
        try:
            with home.blobs.open(file.digest) as stream:
                found = digest_of_stream(stream.read)[0]
            said = (
                ""
                if found == file.digest
                else "its bytes changed; adding the same files again mends them"
            )
        except (RegistryError, OSError) as error:  # one bad sector ends no check
            found, said = None, reason_of(error, file.path)
        if said:
            damaged += 1
            yield Outcome(
                FILES,
                "integrity",
                version.reference,
                FAILED,
                file.path,
                file.digest.short,
                found.short if found else "",
                message=said,
            )
    if not damaged:
        yield Outcome(
            FILES,
            "integrity",
            version.reference,
            OK,
            expected=counted(len(manifest.files), "file"),
            found=counted(manifest.size, "byte"),
        )


def _other_facts(recorded: Facts, now: Facts) -> list[str]:
    one, other = asdict(recorded), asdict(now)
    return [name for name in one if one[name] != other[name]]
