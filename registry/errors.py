"""Every error a user can meet, with the exit code of its family.

RegistryError            exit 1
├─ Invalid               2   InvalidReference InvalidName InvalidPath InvalidManifest InvalidTokens InvalidTime
│                            NewerFormat
├─ NotFound              3   HomeNotFound ModelNotFound VersionNotFound AliasNotFound BlobNotFound
│                            RemoteNotFound ParentNotFound FolderNotFound EntryNotFound
├─ Conflict              4   Busy WrongStore AmbiguousParent AliasMoved RemoteMoved NumberTaken NameTaken
├─ Corrupt               5   DigestMismatch BrokenChain EntryRefused CatalogDiverged ProbeMismatch
├─ Refused               6   UnsafeFile ForeignCode ParentMismatch NotLoadable NoEffect InUse NotEmpty LocalPath
└─ Unavailable           7   HubUnavailable StoreUnavailable CatalogBehind SchemaBehind MissingExtra

A message is one line, lower case, no full stop: `<what failed>: <value> (<why>)`, values quoted. What the user can do
about it is `error.hint`, a second line. Callers catch families, tests name leaves.
"""

from __future__ import annotations

import re

INTERRUPTED = 130
"""Exit code of a command that the user interrupted: 128 + SIGINT, as shells have it."""


_CREDENTIALS = re.compile(
    r"([a-z][a-z0-9+.-]*:/{1,2})[^\s'\"/@:]*:(?!\d{1,5}/)[^\s'\"]*@", re.IGNORECASE
)
"""User and password in an address, also in one with a misspelled scheme."""
HUB_TOKEN = re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{20,}\b")
"""An access token of the Hub."""


def masked(text: str) -> str:
    """Return the text with passwords in addresses and Hub tokens replaced by stars."""
    if "@" in text and "/" in text:
        text = _CREDENTIALS.sub(r"\1***@", text)
    return HUB_TOKEN.sub(r"\1_***", text) if "hf_" in text or "api_org_" in text else text


class RegistryError(Exception):
    """Base class of all errors that this package raises on purpose."""

    exit_code = 1
    hint: str | None
    """The command or the action that helps, if there is one; the command line prints it as `hint: ...`."""

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        super().__init__(masked(message))
        self.hint = masked(hint) if hint else None

    def with_hint(self) -> str:
        """Return message and hint as one line, for reports and warnings that have no second line."""
        return f"{self}; {self.hint}" if self.hint else str(self)


class Invalid(RegistryError, ValueError):
    """What was asked for cannot be meant."""

    exit_code = 2


class InvalidReference(Invalid):
    """A text that is no reference to a version."""


class InvalidName(Invalid):
    """A text that cannot name a model or an alias."""


class InvalidPath(Invalid):
    """A path that no file of a version may have."""


class InvalidManifest(Invalid):
    """Bytes that should be a manifest, an entry or facts, and are not."""


class InvalidTokens(Invalid):
    """Tokens that cannot be added; the message lists every bad one."""


class InvalidTime(Invalid):
    """A text that is no moment: no number of an entry, no day, no time."""


class NewerFormat(Invalid):
    """Written by a newer version of this package."""

    digest: str | None = None
    """The digest of a newer journal entry, which is checked as that of any entry."""
    previous: str | None = None
    """The digest that a newer journal entry gives for its predecessor."""


class NotFound(RegistryError, LookupError):
    """Something named does not exist."""

    exit_code = 3


class EntryNotFound(NotFound):
    """A moment at which the journal had no such entry, or none at all."""


class HomeNotFound(NotFound):
    """No registry home at the place that was named."""


class FolderNotFound(NotFound):
    """A folder or file of the user's is not there, or cannot be read."""


class ModelNotFound(NotFound):
    """No model has this name."""


class VersionNotFound(NotFound):
    """The model has no such version."""


class AliasNotFound(NotFound):
    """The model has no such alias."""


class BlobNotFound(NotFound):
    """The store lacks bytes that a manifest names."""


class RemoteNotFound(NotFound):
    """No such repository or revision on the Hub or in its cache."""


class ParentNotFound(NotFound):
    """No registered version is known to be the parent."""


class Conflict(RegistryError):
    """The registry is not in the state that the request assumes."""

    exit_code = 4


class Busy(Conflict):
    """Another process holds the lock."""


class WrongStore(Conflict):
    """The journal belongs to another store than the catalog."""


class AmbiguousParent(Conflict):
    """More than one registered version could be meant."""


class AliasMoved(Conflict):
    """An alias does not point where --expect says."""


class RemoteMoved(Conflict):
    """A repository is not in the state that was seen, or not the one that was known."""


class NumberTaken(Conflict):
    """Another content has the number already, here or on the Hub."""


class NameTaken(Conflict):
    """A name from elsewhere means something else here."""


class Corrupt(RegistryError):
    """Bytes are not what they were when they were registered."""

    exit_code = 5


class DigestMismatch(Corrupt):
    """Content does not have the digest it is named by."""


class BrokenChain(Corrupt):
    """A journal entry does not follow from its predecessor."""


class EntryRefused(Corrupt):
    """A journal entry, whole and in its place, says what cannot be so after those before it."""


class CatalogDiverged(Corrupt):
    """The catalog was folded from another journal than the one that lies here."""


class ProbeMismatch(Corrupt):
    """The model encodes a recorded text otherwise than at its registration."""


class Refused(RegistryError):
    """It could be done, and would do harm."""

    exit_code = 6


class UnsafeFile(Refused):
    """A file that is not what it must be: a pickle, a link, a damaged header."""


class ForeignCode(Refused):
    """The model needs code from its folder or from elsewhere."""


class ParentMismatch(Refused):
    """The parent and the model do not belong together."""


class NotLoadable(Refused):
    """No loader could load this as it lies there."""


class NoEffect(Refused):
    """An adapter that changes nothing."""


class InUse(Refused):
    """Something else still stands on it."""


class NotEmpty(Refused):
    """A folder that should be new or empty holds files."""


class LocalPath(Refused):
    """A file that would be published names a place on this machine."""


class Unavailable(RegistryError):
    """Something outside this process does not answer."""

    exit_code = 7


class HubUnavailable(Unavailable):
    """The Hub cannot be reached, or does not answer with what was asked for."""

    AGAIN = "run the command again; it resumes from this point"
    """Hint of an error that interrupts a transfer which can be resumed."""
    momentary = False
    """Whether it may go away by waiting."""
    unanswered = False
    """Whether the endpoint did not answer at all, whatever was requested."""
    seconds: float | None = None
    """How long the Hub asks to wait, if it does."""


class StoreUnavailable(Unavailable):
    """The store's medium refuses: no space, no right, no such feature."""


class CatalogBehind(Unavailable):
    """The catalog lags behind the journal and cannot be brought up."""


class SchemaBehind(Unavailable):
    """The catalog has an older schema and cannot be migrated here."""


class MissingExtra(Unavailable):
    """An optional dependency is not installed."""


def reason(error: OSError) -> str:
    """Why the system refused, as it stands in a sentence: no such file or directory."""
    return (error.strerror or str(error) or type(error).__name__).lower()
