"""Values: what the actions return, as --json prints it. Keys stay where a value is None; dates and digests are whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.core.version import LogRow, Model, Version
    from registry.results.queries import Found, Lineage
    from registry.results.registration import Added, AliasMove, Verdict
    from registry.results.storage import Checkout, Collected, Deleted


def model(found: Model) -> dict[str, Any]:
    """A model, as `list` prints it."""
    return {
        "name": found.name,
        "versions": found.versions,
        "latest": found.latest,
        "kind": found.kind,
        "class": found.model_class,
        "aliases": dict(found.aliases),
        "updated_at": found.updated_at,
    }


def version(found: Version) -> dict[str, Any]:
    """A version as the catalog knows it; `show` adds what its files say."""
    return {
        "reference": found.reference,
        "pinned": found.pinned,
        "name": found.name,
        "number": found.number,
        "kind": found.kind,
        "class": found.model_class,
        "digest": found.digest,
        "parents": [
            {
                "role": parent.role,
                "reference": parent.reference,
                "digest": parent.digest,
                "evidence": parent.evidence,
            }
            for parent in found.parents
        ],
        "aliases": list(found.aliases),
        "latest": found.latest,
        "yanked": found.yanked,
        "yank_reason": found.yank_reason,
        "checkpoint": found.checkpoint,
        "forced": list(found.forced),
        "vocabulary": {
            "digest": found.vocabulary,
            "size": found.vocabulary_size,
            "added": found.added,
        },
        "weights": {"digest": found.weights, "parameters": found.parameters, "dtype": found.dtype},
        "size": found.size,
        "source": dict(found.source),
        "message": found.message,
        "notes": dict(found.notes),
        "metrics": dict(found.metrics),
        "created_at": found.created_at,
        "created_by": found.created_by,
        "entry": found.entry,
    }


def added(result: Added) -> dict[str, Any]:
    """What became of a folder or a resize."""
    return {
        "reference": f"{result.name}@{result.number}",
        "digest": result.digest,
        "kind": result.kind,
        "class": result.version.model_class if result.version is not None else None,
        "already": result.already,
        "parent": result.parent,
        "evidence": result.evidence,
        "warnings": list(result.warnings),
        "left_out": [{"path": path, "reason": reason} for path, reason in result.left_out],
        "rows": result.rows,
        "plan": result.plan,
        "fixed": list(result.fixed),
    }


def verdict(result: Verdict) -> dict[str, Any]:
    """What became of one folder of several."""
    return {
        "folder": result.folder,
        "added": None if result.added is None else added(result.added),
        "error": None
        if result.error is None
        else {
            "kind": type(result.error).__name__,
            "message": str(result.error),
            "hint": result.error.hint,
            "exit_code": result.error.exit_code,
        },
    }


def log_row(row: LogRow) -> dict[str, Any]:
    """An entry of the journal."""
    return {
        "entry": row.entry,
        "time": row.time,
        "by": row.by,
        "kind": row.kind,
        "name": row.name,
        "number": row.number,
        "digest": row.digest,
        "body": dict(row.body),
        **({"before": row.before} if row.kind == "Alias" else {}),
    }


def lineage(found: Lineage) -> dict[str, Any]:
    """The graph around a version."""
    return {
        "reference": found.version.reference,
        "ancestors": [item.reference for item in found.ancestors],
        "descendants": [item.reference for item in found.descendants],
        "versions": [
            version(item) for item in (found.version, *found.ancestors, *found.descendants)
        ],
        "edges": [
            {
                "child": edge.child,
                "parent": edge.parent,
                "role": edge.role,
                "evidence": edge.evidence,
            }
            for edge in found.edges
        ],
    }


def match(found: Found) -> dict[str, Any]:
    """A version that was found, and by what."""
    return {**version(found.version), "why": found.why}


def checkout(result: Checkout) -> dict[str, Any]:
    """A version as files."""
    return {
        "reference": result.version.reference,
        "digest": result.version.digest,
        "class": result.version.model_class,
        "folder": str(result.folder),
        "fresh": result.fresh,
    }


def move(result: AliasMove) -> dict[str, Any]:
    """An alias that points elsewhere now."""
    return {
        "name": result.name,
        "alias": result.alias,
        "before": result.before,
        "after": result.after,
    }


def deleted(result: Deleted, *, dry_run: bool) -> dict[str, Any]:
    """Versions that were forgotten, and why others were kept."""
    return {
        "deleted": [item.reference for item in result.versions],
        "freed": result.freed,
        "young": result.young,
        "checkouts": result.checkouts,
        "kept": dict(result.notes),
        "dry_run": dry_run,
    }


def collected(result: Collected) -> dict[str, Any]:
    """What was freed and what stays."""
    return {
        "blobs": result.blobs,
        "size": result.size,
        "checkouts": result.checkouts,
        "checkouts_size": result.checkouts_size,
        "staging": result.staging,
        "young": result.young,
        "dry_run": result.dry_run,
        "catalogs": result.catalogs,
        "shorter": [{"older_than": age, "size": size} for age, size in result.shorter],
        "kept": [{"size": kept.size, "why": kept.why} for kept in result.kept],
    }


def settings(found: Mapping[str, str]) -> dict[str, str]:
    """What people set for a home."""
    return dict(found)
