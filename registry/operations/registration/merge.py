"""merge: an adapter and its base become one full model, kind merged, whose parents both are. Compared before it is registered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from registry.core import entry as _entry, reference as _reference
from registry.core.digest import real
from registry.core.facts import read
from registry.core.filenames import ADAPTER_CONFIG
from registry.core.manifest import Manifest, Parent
from registry.core.progress import Progress
from registry.core.provenance import FORMAT
from registry.core.text import counted
from registry.core.version import Version
from registry.errors import ParentMismatch
from registry.home.home import Home
from registry.operations.loading.checkout import base_of, home_checkout
from registry.operations.loading.load import load
from registry.operations.shared.custom_code import derived_folder
from registry.operations.shared.examine import open_folder
from registry.operations.shared.resolve import VersionLike, facts_of, line_here, resolve
from registry.operations.shared.staging import staging
from registry.results.registration import Added

from .commit import register
from .parents import Known
from .pipeline import AddOptions, prepare
from .provenance import provenance


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """What is said of the result."""

    alias: str | None = None
    message: str | None = None
    run: str | None = None
    dry_run: bool = False


def merge(
    home: Home, version: VersionLike, name: str, *, options: MergeOptions, progress: Progress
) -> Added:
    """Merge an adapter into its base and register the full model as `name`, or give the version that is that merge already.

    Raises ParentMismatch for what is no adapter, NotLoadable for one that cannot be merged, ProbeMismatch where the result
    encodes otherwise than the adapter on its base.
    """
    _reference.check_name(name)
    if options.alias is not None:
        _reference.check_alias(options.alias)
    adapter = resolve(home, version)
    if adapter.kind != "adapter":
        raise ParentMismatch(
            f"{adapter.reference} is not an adapter but of kind {adapter.kind}, already a full "
            "model",
            hint="give the adapter",
        )
    base = base_of(home, line_here(home, adapter))
    assert base is not None
    edges = tuple(
        _entry.Edge(role, parent.digest, "witnessed", parent.reference)
        for role, parent in (("adapter", adapter), ("base", base))
    )
    there = _merged_before(home, name, edges)
    if there is not None:
        return _already(home, there, edges, options)
    with home.adding():
        return _merge(home, adapter, base, name, edges, options, progress)


def _merge(
    home: Home,
    adapter: Version,
    base: Version,
    name: str,
    edges: tuple[_entry.Edge, ...],
    options: MergeOptions,
    progress: Progress,
) -> Added:
    unmerged = load(home, adapter, probes="refuse", progress=progress, device="cpu")
    from registry.runtime import merge as _artifacts

    folder = home_checkout(home, adapter, progress=progress).folder
    with staging(home, "merge-") as work:
        progress("merging", 0, None)
        report = _artifacts.merge(
            unmerged,
            folder,
            _transformer(home, folder),
            work / "model",
            model_class=adapter.model_class,
            added=facts_of(home, adapter).vocabulary.added,
        )
        prepared = prepare(
            home,
            derived_folder(home, work / "model", base),
            Known(base, "witnessed"),
            model_class=adapter.model_class,
            write=not options.dry_run,
            progress=progress,
        )
        manifest = Manifest(
            "merged",
            prepared.manifest.model_class,
            prepared.manifest.files,
            tuple(Parent(edge.role, edge.digest) for edge in edges),
        )
        probes = None if options.dry_run else home.blobs.add(report.probes.to_bytes())
        source = provenance(run=options.run, how="merge", merge=_record(report))
        said = AddOptions(
            alias=options.alias, message=options.message, run=options.run, dry_run=options.dry_run
        )
        amount, tolerated = report.difference.amount, report.difference.tolerance
        plan = (
            f"merged into {base.reference}: {counted(len(report.changed), 'tensor')} changed, encodings differ by {amount:.2g} at most from the "
            f"unmerged model's (tolerated: {tolerated:.2g})"
        )
        return register(
            home,
            name,
            replace(prepared, manifest=manifest, edges=edges),
            source=source,
            options=said,
            plan=plan,
            probes=probes,
        )


def _record(report: Any) -> dict[str, Any]:
    """How it was made and how near it came, for the journal; real numbers as their text."""
    return {
        "format": FORMAT,
        "difference": real(report.difference.amount),
        "tolerance": real(report.difference.tolerance),
        "probe": report.difference.text[:80],
        "layout": report.layout,
        "tensors": len(report.changed),
    }


def _transformer(home: Home, folder: Path) -> Path:
    """The folder of the transformer that an adapter's checkout names."""
    from registry.model_files.adapter.config import location_of

    return Path(
        location_of(read(open_folder(home, folder), ADAPTER_CONFIG))["base_model_name_or_path"]
    )


def _merged_before(home: Home, name: str, edges: tuple[_entry.Edge, ...]) -> Version | None:
    """The version of this model that is the merge of these two. Told by the parents: another processor's sums may differ in the last bit."""
    from registry.catalog import queries

    with home.reading() as connection:
        spelled = queries.spelled(connection, name)
        found = queries.versions(connection, spelled) if spelled is not None else []
    wanted = {(edge.role, edge.digest) for edge in edges}
    return next(
        (
            version
            for version in found
            if version.kind == "merged"
            and {(parent.role, parent.digest) for parent in version.parents} == wanted
        ),
        None,
    )


def _already(
    home: Home, version: Version, edges: tuple[_entry.Edge, ...], options: MergeOptions
) -> Added:
    if options.alias is not None and not options.dry_run:
        from registry.operations.labels.labels import alias

        alias(home, version, options.alias)
        version = resolve(home, version)
    return Added(
        version,
        True,
        version.kind,
        version.digest,
        version.name,
        version.number,
        edges[0].evidence,
        edges[0].reference,
    )
