"""Find adapters that were registered on another base than the one recorded evidence
names.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from registry.core.filenames import ADAPTER_CONFIG
from registry.core.reference import is_commit
from registry.core.text import shell_word
from registry.core.version import Version
from registry.errors import RegistryError
from registry.home.home import Home
from registry.operations.registration.parents import Evidence, agrees, digest_in, of_version
from registry.operations.registration.provenance import PARENT_EVIDENCE
from registry.operations.shared import source_log
from registry.results.audit import Finding

if TYPE_CHECKING:
    from sqlalchemy import Connection


def check_evidence(home: Home, connection: Connection) -> list[Finding]:
    """Return a finding for each adapter whose declared base is not the recorded one.

    Earlier versions of this package registered these without a check. The evidence is
    what the adapter's configuration named when it was added: a registry's own checkout,
    whose path holds a digest, or a commit of a registered repository.
    """
    from registry.catalog import queries

    declared: dict[str, list[Version]] = {}
    for version in queries.with_evidence(connection, "given"):
        if (
            version.kind == "adapter"
            and version.parents
            and version.parents[0].evidence == "given"
            and PARENT_EVIDENCE not in version.forced
        ):
            declared.setdefault(version.digest, []).append(version)
    findings = {}
    for source in source_log.sources(home) if declared else ():
        versions = declared.get(source["manifest"], [])
        evidence = _recorded(home, connection, source) if versions else None
        if evidence is None:
            continue
        for version in versions:
            with contextlib.suppress(RegistryError):  # a lost manifest is a finding of its own
                bases = queries.with_manifest(connection, version.parents[0].digest, deleted=True)
                if not any(agrees(home, base, evidence) for base in bases):
                    findings[version.reference] = _finding(version, evidence, source["folder"])
    return list(findings.values())


def _recorded(home: Home, connection: Connection, source: dict[str, Any]) -> Evidence | None:
    from registry.catalog import queries

    originals = source["originals"].get(ADAPTER_CONFIG)
    if not isinstance(originals, dict):
        return None
    base, revision = originals.get("base_model_name_or_path"), originals.get("revision")
    if not isinstance(base, str):
        return None
    digest, kind = digest_in(base), "witnessed"
    if digest is not None:
        versions = queries.with_manifest(connection, digest)
    elif is_commit(revision):
        versions, kind = queries.from_hub(connection, base, str(revision)), "hub"
    else:
        return None
    if versions:
        return of_version(home, versions[0], kind)
    return Evidence(digest, kind, None) if digest is not None else None


def _finding(version: Version, evidence: Evidence, folder: str) -> Finding:
    base = (
        evidence.version.reference if evidence.version is not None else "the base it was trained on"
    )
    return Finding(
        PARENT_EVIDENCE,
        f"{version.reference} is registered on {version.parents[0].reference} as declared, and "
        f"was trained on {evidence}",
        (version.reference,),
        f"registry add {shell_word(folder)} --as {version.name} --parent {base}, then "
        f"registry delete {version.reference}",
    )
