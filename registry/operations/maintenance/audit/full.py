"""What only reading every byte can tell: facts computed anew, checkouts hashed without trusting their stamps, probes of the heads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from registry.core import manifest as _manifest
from registry.core.digest import Digest
from registry.core.facts import Facts
from registry.core.progress import Progress
from registry.core.text import shell_word
from registry.core.version import Version
from registry.errors import NewerFormat, RegistryError
from registry.home.home import Home
from registry.home.prefetch import processors
from registry.operations.shared.resolve import line_of
from registry.results.audit import Finding
from registry.store import checkout as _store
from registry.store.blob_files import StoredFiles
from registry.store.preserve import aside, is_aside

if TYPE_CHECKING:
    from sqlalchemy import Connection


def check_facts(
    home: Home, connection: Connection, bad: set[Digest], progress: Progress
) -> list[Finding]:
    """Versions whose files, read again, say something else than the facts that were recorded. Those with a bad blob are passed over."""
    from registry.catalog import queries

    versions = {
        version.digest: version
        for model in queries.models(connection)
        for version in queries.versions(connection, model.name)
    }
    roots = {digest: line_of(connection, version)[-1] for digest, version in versions.items()}
    whole = [
        version
        for version in versions.values()
        if not _is_bad(home, version, roots[version.digest], bad)
    ]
    findings = []
    with ThreadPoolExecutor(processors()) as pool:
        asked = pool.map(lambda version: _differing(home, version, roots[version.digest]), whole)
        for count, (version, said) in enumerate(zip(whole, asked, strict=True), 1):
            progress("computing facts", count, len(whole))
            if said is not None:
                findings.append(
                    Finding(
                        "facts-differ",
                        f"the facts recorded for {version.reference} are not those of its files: {said}",
                        (version.reference,),
                        f"registry delete {version.reference}, and add its folder again",
                    )
                )
    return findings


def facts_of(
    home: Home, manifest: _manifest.Manifest, root: Version | None, schema: int
) -> tuple[Facts, bytes]:
    """Return the facts and the vocabulary's blob of a stored version, from its files.

    root is its root ancestor, None for its own.
    """
    from registry.model_files.facts import inspect
    from registry.model_files.layout import layout
    from registry.model_files.tokenizer.vocabulary import parse_vocabulary

    files = StoredFiles(manifest, home.blobs)
    tokens = parse_vocabulary(home.blobs.read(root.vocabulary)) if root is not None else None
    found = inspect(
        files,
        layout(files, class_hint=manifest.model_class, parent_class=manifest.model_class),
        root=tokens,
        base_type=_base_type(home, manifest),
        schema=schema,
    )
    return found.facts, found.vocabulary


def _base_type(home: Home, manifest: _manifest.Manifest) -> str | None:
    """Return the model type of an adapter's base, by which the class of its tokenizer
    is chosen."""
    from registry.model_files.layout import layout
    from registry.model_files.tokenizer.pipeline import model_type_of

    base = next((parent for parent in manifest.parents if parent.role == "base"), None)
    if manifest.kind != "adapter" or base is None:
        return None
    base_manifest = _manifest.parse(home.blobs.read(base.digest))
    files = StoredFiles(base_manifest, home.blobs)
    return model_type_of(files, layout(files, class_hint=base_manifest.model_class))


def _is_bad(home: Home, version: Version, root: Version, bad: set[Digest]) -> bool:
    if {version.digest, version.facts, version.vocabulary, root.digest, root.vocabulary} & bad:
        return True
    return any(
        file.digest in bad for file in _manifest.parse(home.blobs.read(version.digest)).files
    )


def _differing(home: Home, version: Version, root: Version) -> str | None:
    from registry.core.facts import parse

    manifest = _manifest.parse(home.blobs.read(version.digest))
    recorded = home.blobs.read(version.facts)
    before = parse(recorded)
    try:
        facts, vocabulary = facts_of(
            home, manifest, root if root.digest != version.digest else None, before.schema
        )
    except RegistryError as error:
        return error.with_hint()
    if facts.to_bytes() == recorded and home.blobs.read(version.vocabulary) == vocabulary:
        return None
    names = [
        name
        for name in (
            "model_class",
            "tokenizer",
            "vocabulary",
            "weights",
            "rows",
            "width",
            "max_length",
            "modules",
            "architecture",
            "adapter",
            "settings",
            "pipeline",
        )
        if getattr(before, name) != getattr(facts, name)
    ]
    return f"{', '.join(names) or 'the vocabulary'} differ"


def check_checkouts(home: Home, connection: Connection, notes: list[str]) -> list[Finding]:
    """Return findings for checkouts of this home whose files or marker differ from the
    version.

    A checkout that a newer version of this package made is a note.
    """
    from registry.catalog import queries

    findings = []
    root = home.root / "checkouts"
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        try:
            marker = (
                _store.read_marker(folder)
                if not folder.name.startswith(".") and not is_aside(folder.name)
                else None
            )
        except NewerFormat as error:
            notes.append(f"{error}; it was not compared")
            continue
        manifest = marker.manifest if marker is not None else _named_by(home, folder.name)
        if manifest is None:
            continue  # never used by a load; collect takes it away, or names what was moved aside
        versions = [version.reference for version in queries.with_manifest(connection, manifest)]
        wrong = [
            *(_marker_problems(home, folder.name, marker) if marker is not None else ()),
            *_store.verify(folder, trust_stamps=False),
        ]
        if wrong and versions:
            findings.append(
                Finding(
                    "checkout-changed",
                    f"the checkout of {versions[0]} was changed on disk: {wrong[0]}",
                    tuple(versions),
                    f"mv {shell_word(str(folder))} {shell_word(str(aside(folder)))}; the next load makes it anew",
                )
            )
    return findings


def _named_by(home: Home, name: str) -> Digest | None:
    """The manifest whose checkout a load looks for under this name."""
    manifest = (
        Digest(f"sha256:{name[7:71]}")
        if _store.is_ours(name) and not name.startswith(".")
        else None
    )
    return (
        manifest
        if manifest is not None and name == _store.folder_name(home.root, manifest)
        else None
    )


def _marker_problems(home: Home, name: str, marker: _store.Marker) -> list[str]:
    """A marker that was edited says of a changed file that it is right."""
    if marker.manifest.hex not in name:
        return ["its marker names another version"]
    try:
        files = _manifest.parse(home.blobs.read(marker.manifest)).files
    except RegistryError:
        return []
    return [
        f"its marker says {file.path} has another digest"
        for file in files
        if not file.path.endswith("adapter_config.json")
        and marker.files.get(file.path, (None,))[0] != file.digest
    ]


def check_probes(home: Home, progress: Progress) -> list[Finding]:
    """Loads the latest version of each model, and those that aliases point to; says which encodes otherwise than it was recorded."""
    from registry.catalog import queries
    from registry.operations.loading.load import load

    with home.reading() as connection:
        heads = [
            version
            for model in queries.models(connection)
            for version in queries.versions(connection, model.name)
            if version.latest or version.aliases
        ]
    findings = []
    for count, version in enumerate(heads, 1):
        progress("probing", count, len(heads))
        try:
            model = load(home, version, probes="skip", progress=progress)
            said = _encoding_differs(home, version, model)
        except RegistryError as error:
            said = f"does not load as registered: {error.with_hint()}"
        if said is not None:
            findings.append(
                Finding(
                    "probes-differ",
                    f"{version.reference} {said}",
                    (version.reference,),
                    "to see whether its files are whole: registry audit --full; if they are, a library or this machine differs",
                )
            )
    return findings


def _encoding_differs(home: Home, version: Version, model: Any) -> str | None:
    """Measured now, whatever a checkout says of an earlier measurement."""
    from registry.runtime import probes

    if version.probes is None:
        return None
    recorded = probes.parse(home.blobs.read(version.probes))
    differences = (
        probes.compare(model, recorded) if probes.unmeasured(model, recorded, {}) is None else ()
    )
    return f"encodes otherwise than at its registration: {differences[0]}" if differences else None
