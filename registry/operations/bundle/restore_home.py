"""A whole home: it comes into a place without one, over one that `init` made just now, or goes on where one that is its past ends.

The bytes come in beside whoever writes there. What is there is looked at again under the write lock, right before the journal grows.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from registry.core.entry import Entry
from registry.core.progress import Progress
from registry.core.settings import Settings
from registry.errors import BlobNotFound, Busy, StoreUnavailable, WrongStore, reason
from registry.home.home import WRITE_WAIT, Home
from registry.home.location import FIRST_ENTRY, is_home, make_private, refuse_foreign
from registry.results.storage import Unbundled
from registry.store.journal import Journal
from registry.store.local import LocalBackend, try_place
from registry.transfer.bundle import Bundle

from .import_versions import take_blobs


def restore(
    settings: Settings, opened: Callable[[], Home], bundle: Bundle, progress: Progress
) -> Unbundled:
    """What came in. Raises WrongStore where another registry is, or one that went another way, BrokenChain where one lost its beginning."""
    entries = bundle.entries()
    if is_home(settings.home):
        return _restore(opened().begun(), bundle, entries, progress)
    was_there = settings.home.exists()
    home = _new(settings)
    try:
        return _restore(home, bundle, entries, progress)
    except BaseException:
        if not was_there:
            _take_back(home)
        raise


def _take_back(home: Home) -> None:
    """The folder that was made for a home that does not come to be, unless somebody else is at work in it by now."""
    with (
        contextlib.suppress(Busy),
        home.store_lock.exclusive(timeout=0.0),
        home.write_lock.exclusive(timeout=0.0),
    ):
        if not is_home(home.root):
            shutil.rmtree(home.root, ignore_errors=True)


def _restore(home: Home, bundle: Bundle, entries: Sequence[Entry], progress: Progress) -> Unbundled:
    place = home.root / "staging" / f"restore-{secrets.token_hex(8)}"
    begun = _refuse_another(home, entries)
    with home.store_lock.shared(timeout=60.0):
        take_blobs(home, bundle, progress)
        _refuse_unsound(home, entries)
        try:
            for entry in entries if begun == 0 else ():
                Journal(LocalBackend(place)).append(entry)
            with home.write_lock.exclusive(WRITE_WAIT):
                here = _refuse_another(home, entries)
                if here == 0:
                    _put_journal(home, place)
                for entry in entries[here:] if here else ():
                    home.journal.append(entry)
                home.catch_up()
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return Unbundled((), (), (), len(entries), max(0, len(entries) - here))


def _new(settings: Settings) -> Home:
    make_private(settings.home)
    refuse_foreign(settings.home)
    try_place(settings.home)
    return Home(settings)


def _refuse_another(home: Home, entries: Sequence[Entry]) -> int:
    """How many entries are here, 0 where `init` alone was; raises WrongStore unless they are the past of those that come."""
    last = home.journal.last()
    if last <= 1:
        return 0
    first = home.journal.read(1)
    if first is None or first.digest != entries[0].digest:
        raise WrongStore(
            f"the bundle contains another registry, and {str(home.root)!r} has entries of its own",
            hint="pull it with --home NEW, or bundle only the versions that are required",
        )
    for entry in entries[:last]:
        there = home.journal.read(entry.number)
        if there is None or there.digest != entry.digest:
            raise WrongStore(
                f"the bundle and {str(home.root)!r} were one registry up to entry "
                f"{entry.number - 1} and differ since",
                hint="bundle only the versions that are required",
            )
    return last


def _refuse_unsound(home: Home, entries: Sequence[Entry]) -> None:
    """Fold it where nobody sees it, and look whether every blob that a version needs is here, before anything is recorded."""
    from registry.catalog import queries
    from registry.catalog.reader import Catalog
    from registry.catalog.rebuild import fill

    catalog = Catalog.passing(lambda connection: fill(connection, entries, home.blobs.read))
    try:
        with catalog.reading() as connection:
            needs = queries.needs(connection)
    finally:
        catalog.close()
    lost = [digest for digest in needs.blobs() if not home.blobs.has(digest)]
    if lost:
        raise BlobNotFound(
            f"the bundle lacks {needs.what(lost[0])}"
            + (f" and {len(lost) - 1} more" if len(lost) > 1 else "")
            + ", nothing was restored"
        )


def _put_journal(home: Home, place: Path) -> None:
    """The whole journal at once: it was written beside its place, and one rename is the commit. One of Init alone makes way."""
    home.close()
    try:
        if (home.root / FIRST_ENTRY).exists():
            shutil.rmtree(
                home.root / "catalog", ignore_errors=True
            )  # first: without a journal it would tell of entries that are lost
            (home.root / "journal").rename(place / "made-by-init")
        elif (home.root / "journal").exists():
            (home.root / "journal").rmdir()
        (place / "journal").rename(home.root / "journal")
        LocalBackend(home.root).sync(".")
    except OSError as error:
        raise StoreUnavailable(
            f"cannot put the journal into {str(home.root)!r}: {reason(error)}"
        ) from error
