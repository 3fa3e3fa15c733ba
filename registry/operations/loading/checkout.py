"""checkout: a version as files, with its line, loadable by plain sentence-transformers without this package.

In the home, one folder for each manifest: `checkouts/sha256-<manifest>-<hash of the home's path>`, an adapter's base beside it
in its own. In a folder that the user names, the base lies within, in `.registry/base/`. Either way the adapter's configuration
names its base by an absolute path, because the loaders know nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from registry.core.filenames import ADAPTER_CONFIG
from registry.core.manifest import Manifest
from registry.core.progress import Progress, silent
from registry.core.reference import refuse_address, short
from registry.core.version import Version
from registry.errors import Invalid, InvalidPath, NotEmpty, NotLoadable
from registry.home.home import Home
from registry.home.location import make_private
from registry.operations.shared.resolve import (
    VersionLike,
    at_a_glance,
    line_here,
    line_of,
    look_up,
    manifest_of,
    resolve,
    stored,
    warn_if_yanked,
)
from registry.results.storage import Checkout
from registry.store import checkout as _store
from registry.store.output_file import refuse_within


def checkout(
    home: Home,
    version: VersionLike,
    folder: Path | None,
    *,
    for_path: str | None,
    force: bool,
    progress: Progress,
) -> Checkout:
    """The version as files: in `folder`, new or empty unless force, or in the home's
    own checkout.

    A folder that is an unchanged checkout of the same content is not changed. for_path
    is the absolute path where the folder will lie later, e.g. in an image. Raises
    NotEmpty, Invalid.
    """
    if folder is None:
        if for_path is not None or force:
            raise Invalid(
                "--for and --force require a folder", hint="give the folder to check out into"
            )
        found = resolve(home, version)
        return home_checkout(home, found, progress=progress)
    if for_path is not None and (not for_path.startswith("/") or "\0" in for_path):
        raise InvalidPath(
            f"--for requires an absolute path, not {short(for_path)}", hint="e.g. --for /app/model"
        )
    refuse_address(os.fspath(folder), "a checkout")
    target = Path(os.path.abspath(folder))
    refuse_within(home.root, target, f"cannot check out to {str(folder)!r}", "folder")
    with home.reading() as connection:
        found = look_up(connection, version)
        base = base_of(home, line_of(connection, found))
    warn_if_yanked(home, found)
    pieces = _pieces(
        home,
        found,
        base_path(home, base, Path(for_path or target) / ".registry" / "base") if base else None,
    )
    if base is not None:
        pieces += [
            _store.Piece(f".registry/base/{piece.path}", piece.digest, piece.size, piece.rendered)
            for piece in _pieces(home, base, None)
        ]
    if target.is_dir() and _store.has_content(target, pieces):
        return Checkout(target, found, False)
    _refuse_used(folder, force)
    with home.store_lock.shared(timeout=60.0):
        marker = _marker(home, found, base, for_path or str(target))
        aside = _store.materialise(
            target, pieces, home.blobs, links=False, marker=marker, progress=progress, replace=True
        )
    if aside is not None:
        home.warn(
            f"what {str(target)!r} held was not all a checkout's own, and is kept in {str(aside)!r}"
        )
    return Checkout(target, found, True)


def home_checkout(
    home: Home, version: Version, *, progress: Progress = silent, trust_stamps: bool = True
) -> Checkout:
    """The home's checkout of a version, its base's beside it; made, or made anew where something was changed on disk."""
    base = _base_of(home, version)
    base_folder, base_fresh = (
        _ready(home, base, None, progress, trust_stamps=trust_stamps)
        if base is not None
        else (None, False)
    )
    folder, fresh = _ready(
        home, version, base_folder, progress, base=base, trust_stamps=trust_stamps
    )
    return Checkout(folder, version, fresh or base_fresh)


def folders_of(home: Home, version: Version) -> list[Path]:
    """Return the folders that a load of the version reads: its checkout, and its
    base's.
    """
    base = _base_of(home, version)
    versions = [version] if base is None else [version, base]
    return [checkout_folder(home, stage) for stage in versions]


def _base_of(home: Home, version: Version) -> Version | None:
    """As base_of, by a glance where that suffices, since every load of an adapter asks."""
    if version.kind != "adapter":
        return None
    parent = version.parents[0]
    found = at_a_glance(home, f"{parent.reference}@{parent.digest}")
    if found is not None:
        return found
    return base_of(home, line_here(home, version))


def transformer_folder(home: Home, base: Version, *, progress: Progress = silent) -> str:
    """What an adapter names as its base here: the folder, in the home's checkout, of the base's transformer."""
    return base_path(home, base, home_checkout(home, base, progress=progress).folder)


def checkout_folder(home: Home, version: Version) -> Path:
    """Where the home's checkout of a version lies, whether it is there or not."""
    root = home.root / "checkouts"
    if not (os.access(root, os.W_OK) if root.exists() else home.writable):
        root = home.settings.cache
    return root / _store.folder_name(home.root, version.digest)


def base_of(home: Home, line: Sequence[Version]) -> Version | None:
    """The full model that an adapter stands on; None for a full model. Raises NotLoadable if it is gone."""
    version = line[0]
    if version.kind != "adapter":
        return None
    base = next((item for item in line[1:] if item.digest == version.parents[0].digest), None)
    if base is None:
        raise NotLoadable(
            f"{version.reference} stands on {version.parents[0].reference} ({version.parents[0].digest.short}), which is not here"
        )
    return base


def _ready(
    home: Home,
    version: Version,
    base_folder: Path | None,
    progress: Progress,
    base: Version | None = None,
    *,
    trust_stamps: bool,
) -> tuple[Path, bool]:
    """(folder, whether it was made just now)."""
    folder = checkout_folder(home, version)
    there = folder.exists()
    problems = _store.verify(folder, trust_stamps=trust_stamps) if there else []
    if there and not problems:
        return folder, False
    is_cached = folder.parent == home.settings.cache
    make_private(folder.parent, variable="REGISTRY_CACHE" if is_cached else None)
    pieces = _pieces(
        home,
        version,
        base_path(home, base, base_folder)
        if base is not None and base_folder is not None
        else None,
    )
    with home.store_lock.shared(timeout=60.0):
        aside = _store.materialise(
            folder,
            pieces,
            home.blobs,
            links=True,
            marker=_marker(home, version, base, str(folder)),
            progress=progress,
            replace=bool(problems),
        )
    if problems:
        kept = f", and what was there is kept in {str(aside)!r}" if aside is not None else ""
        home.warn(
            f"the checkout of {version.reference} was changed on disk ({problems[0]}); it is made anew{kept}"
        )
    return folder, True


def base_path(home: Home, base: Version, folder: Path) -> str:
    """What an adapter must name so that loaders find its base's weights: the folder of its transformer, mostly the root."""
    from registry.model_files.layout import layout

    return str(folder / layout(stored(home, base), class_hint=base.model_class).transformer)


def _pieces(home: Home, version: Version, place: str | None) -> list[_store.Piece]:
    manifest: Manifest = manifest_of(home, version)
    pieces = []
    for file in manifest.files:
        rendered = None
        if place is not None and file.path.rsplit("/", 1)[-1] == ADAPTER_CONFIG:
            from registry.model_files.adapter.config import render_config

            rendered = render_config(home.blobs.read(file.digest), place)
        pieces.append(_store.Piece(file.path, file.digest, file.size, rendered))
    return pieces


def _marker(home: Home, version: Version, base: Version | None, place: str) -> _store.Marker:
    line = [
        {
            "role": "self",
            "name": version.name,
            "number": version.number,
            "manifest": str(version.digest),
        }
    ]
    if base is not None:
        line.append(
            {"role": "base", "name": base.name, "number": base.number, "manifest": str(base.digest)}
        )
    # a registry that older packages still read gets markers that they read
    return _store.Marker(
        manifest=version.digest, place=place, line=line, format=min(home.format, _store.FORMAT)
    )


def _refuse_used(folder: Path, force: bool) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise NotEmpty(f"{str(folder)!r} is not a folder", hint="give a new or empty folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    ours = (folder / ".registry" / "marker.json").is_file()
    if not force:
        raise NotEmpty(
            f"the folder {str(folder)!r} is not empty",
            hint=f"give a new folder{', or add --force to replace this checkout' if ours else ''}",
        )
    if not ours:
        raise NotEmpty(
            f"the folder {str(folder)!r} contains files that are not from a checkout (--force "
            "replaces only checkouts)",
            hint="give a new folder",
        )
