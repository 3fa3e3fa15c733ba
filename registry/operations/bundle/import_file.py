"""A bundle, whichever of the two it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from registry.core import reference as _reference
from registry.core.progress import Progress
from registry.core.settings import Settings
from registry.errors import Invalid, InvalidManifest, UnsafeFile
from registry.home.home import Home
from registry.results.storage import Unbundled
from registry.transfer.bundle import Bundle

from .import_versions import UnbundleOptions, take_versions
from .restore_home import restore


def unbundle(
    settings: Settings,
    opened: Callable[[], Home],
    path: Path,
    *,
    options: UnbundleOptions,
    progress: Progress,
) -> Unbundled:
    """What came in. A whole home comes into a place without one, or with one that is its own past; versions into any.

    Raises NumberTaken, NameTaken, WrongStore, Corrupt for a damaged file, UnsafeFile for one that was made to be another, Invalid for what is
    no bundle; then nothing was registered.
    """
    for name in (
        *options.parent_as.values(),
        *([options.name] if options.name is not None else []),
    ):
        _reference.check_name(name)
    with Bundle(path) as bundle, _translated():
        if bundle.index.entries:
            if options != UnbundleOptions():
                raise Invalid(
                    f"{str(path)!r} contains a whole registry, whose names cannot be changed",
                    hint="leave out --as, --renumber, --parent-as and --from-any, which are for "
                    "bundles of versions",
                )
            return restore(settings, opened, bundle, progress)
        home = opened()
        with home.adding():
            return take_versions(home, bundle, options, progress)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What a bundle holds with the right digest and is not what it should be was not damaged: it was made so."""
    try:
        yield
    except InvalidManifest as error:
        raise UnsafeFile(str(error), hint=error.hint) from None
