"""References: what a user types to mean a version, and the names it is made of.

    name    name@3    name@prod    name@sha256:ab12…    name@3@sha256:…    name@prod^    name@3:1_Pooling/config.json
    hf://org/repo@revision

What a selector is can be told from its own text: digits are a number, a letter first is an alias, `sha256:` a digest.
A bare string is never a path and never a Hub id.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from errno import ENAMETOOLONG
from pathlib import Path

from registry.errors import FolderNotFound, Invalid, InvalidName, InvalidReference, masked, reason

from .text import shell_word

NAME_LIMIT = 255
REFERENCE_LIMIT = 4096
"""Characters; a name, an alias, a digest and a path within a version have room in it."""
SHOWN = 300
"""Characters of a path or reference that a message shows whole."""
DIGEST_PREFIX_LEAST = 8
RESERVED_ALIASES = ("latest", "main", "sha256")

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,127}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_DIGEST_PREFIX = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/+(?P<rest>.*)", re.DOTALL)
"""A scheme of two letters or more, so that a drive of Windows is not one."""
_OTHER_WAY = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._/-]*)\s*(?:(?:==|=|#)\s*(?:v(?=\d))?|\s+v?(?=\d+$))([A-Za-z0-9][A-Za-z0-9._-]*)",
    re.ASCII,
)
"""A version as other tools would write it: name==3, name#3, name v3."""
_HUB = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


@dataclass(frozen=True)
class Reference:
    """A version as a user names it. At most one of number and alias is set; neither and no digest means latest."""

    name: str
    number: int | None = None
    alias: str | None = None
    digest: str | None = None
    """Hex digits of the manifest digest, 8 to 64 of them, without `sha256:`."""
    up: int = 0
    """How many parents up: the number of `^`."""
    path: str | None = None
    """A file of the version."""

    @property
    def bare(self) -> bool:
        """Whether no selector was given, so that `latest` is meant."""
        return self.number is None and self.alias is None and self.digest is None

    def __str__(self) -> str:
        label = self.number if self.number is not None else self.alias
        if self.bare and self.path is not None:
            label = "latest"
        return (
            self.name
            + (f"@{label}" if label is not None else "")
            + (f"@sha256:{self.digest}" if self.digest else "")
            + "^" * self.up
            + (f":{self.path}" if self.path is not None else "")
        )


@dataclass(frozen=True)
class HubReference:
    """A repository on the Hub, and a branch, tag or commit of it."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf://{self.repository}" + (f"@{self.revision}" if self.revision else "")


def check_name(text: str) -> str:
    """The text, if it can name a model: 1 to 4 parts joined by `/`. Raises InvalidName."""
    parts = text.split("/")
    if len(text) > NAME_LIMIT:
        raise InvalidName(
            f"the name {text[:40]!r}… has {len(text)} characters (at most {NAME_LIMIT})"
        )
    if not 1 <= len(parts) <= 4 or not all(_PART.fullmatch(part) for part in parts):
        if "@" in text and _PART.match(text):
            raise InvalidName(
                f"{text!r} is a version, and the name of a model is required",
                hint=f"write {text.partition('@')[0]}",
            )
        raise InvalidName(
            f"{text!r} cannot name a model",
            hint="use 1 to 4 parts joined by '/', each a letter or digit and then letters, "
            "digits, '.', '_' or '-'",
        )
    return text


def check_alias(text: str) -> str:
    """The text, if it can be an alias: a letter first, and no word with a meaning of its own. Raises InvalidName."""
    if not _ALIAS.fullmatch(text):
        raise InvalidName(
            f"{text!r} cannot be an alias",
            hint="use a letter and then letters, digits, '.', '_' or '-'",
        )
    if text.lower() in RESERVED_ALIASES or re.fullmatch(r"v\d+", text.lower()):
        raise InvalidName(
            f"{text!r} cannot be an alias (latest, main, sha256 and v<number> are reserved)"
        )
    return text


def looks_like_path(text: str) -> bool:
    """Whether a text that could be a version or a folder is a folder: it starts with `.`, `/` or `~`."""
    return text.startswith((".", "/", "~"))


def path_of(text: str | os.PathLike[str]) -> Path:
    """The path that a person or a file gave, with ~ and ~user as the folders they stand for.

    Raises FolderNotFound for an empty text, a user who is not known, and what no file system here can have as a path. Nothing need be there.
    """
    if text == "":  # a variable of a script that was not set must not mean wherever the script runs
        raise FolderNotFound("an empty text is not a path", hint="write . for the current folder")
    given = short(os.fspath(text))
    try:
        path = Path(text).expanduser()
        os.lstat(os.path.abspath(path))
    except RuntimeError:
        raise FolderNotFound(
            f"{given} begins with the home folder of an unknown user", hint="write the whole path"
        ) from None
    except ValueError as error:
        held = (
            "half a character (a lone surrogate)"
            if isinstance(error, UnicodeError)
            else "a null character"
        )
        raise FolderNotFound(f"{given} can be no path: it holds {held}") from None
    except OSError as error:
        if error.filename is None:
            raise FolderNotFound(
                f"the path {given} is relative, and the current folder cannot be found: "
                f"{reason(error)}",
                hint="change to an existing folder, or write the whole path",
            ) from None
        if error.errno == ENAMETOOLONG:
            raise FolderNotFound(f"{given} can be no path: {reason(error)}") from None
    return path


def refuse_address(text: str | None, description: str) -> None:
    """Raise Invalid for an address such as s3://bucket/x, which is not a folder."""
    address = _ADDRESS.match(text) if text is not None else None
    if address is None:
        return
    raise Invalid(
        f"{description} cannot be at {text!r} (the scheme {address['scheme']!r} is not supported)",
        hint=f"give the folder as /{address['rest']}"
        if address["scheme"].lower() == "file"
        else "give a folder of this machine",
    )


def short(text: str) -> str:
    """The text quoted for a message, of a very long one its two ends and its length."""
    if len(text) <= SHOWN:
        return repr(text)
    return f"{text[: SHOWN // 2]!r}…{text[-SHOWN // 4 :]!r} ({len(text)} characters)"


def version_hint(text: str) -> str:
    """Return the hint for a missing folder or file that may be a version, or ""."""
    with contextlib.suppress(Invalid):
        if not parse(text).bare:
            word = shell_word(text)
            return f"if a version is meant: registry show {word}, or registry checkout {word}"
    return ""


def folder_hint(text: object) -> str:
    """Return the hint for a missing version whose name is that of a folder, or ""."""
    there = isinstance(text, str) and not looks_like_path(text) and os.path.isdir(text)  # noqa: PTH112  # a path object refuses some texts
    return f"there is a folder of that name: write ./{text}" if there else ""


def parse(text: str) -> Reference:
    """Return the reference that a text spells.

    Raises InvalidReference, whose hint is what was probably meant.
    """
    _refuse_other_kinds(text)
    left, colon, path = _split_path(text)
    head = left.rstrip("^")
    up = len(left) - len(head)
    name, *selectors = head.split("@")
    try:
        check_name(name)
    except InvalidName as error:
        hint = _hint(text)
        raise InvalidReference(
            f"{text!r} is not a reference" + ("" if hint else f": {error}"), hint=hint or error.hint
        ) from None
    if name == "sha256" and colon:
        raise InvalidReference(
            f"{text!r} is a digest without a name",
            hint=f"write NAME@{text}; to find the name: registry find {shell_word(text)}",
        )
    number, alias, digest = _selectors(text, selectors)
    if colon and not selectors:
        raise InvalidReference(
            f"{text!r} has no version before ':'",
            hint=None if masked(text) != text else f"did you mean {_without_selector(name, path)}?",
        )
    if colon and not _is_file_path(path):
        raise InvalidReference(f"{text!r} does not name a file of a version: {path!r}")
    return Reference(name, number, alias, digest, up, path if colon else None)


def parse_hub(text: str) -> HubReference:
    """The repository that `hf://org/repo@revision` or `org/repo@revision` spells. Raises InvalidReference."""
    body = text.removeprefix("hf://")
    repository, at, revision = body.partition("@")
    if not _HUB.fullmatch(repository) or ".." in repository or (at and not revision):
        raise InvalidReference(
            f"{text!r} does not name a Hub repository",
            hint="write hf://org/repo or hf://org/repo@revision",
        )
    return HubReference(repository, revision or None)


def hub_hint(text: str) -> str | None:
    """`org/repo` or `org/repo@revision` if a text is the address of a repository's page, or of a place in it; else None."""
    scheme, slashes, rest = text.partition("://")
    if not slashes or scheme not in ("http", "https"):
        return None
    parts = [part for part in re.split(r"[?#]", rest)[0].split("/")[1:] if part]
    revision = (
        f"@{parts[3]}"
        if len(parts) > 3
        and parts[2] in ("tree", "blob", "resolve", "commit")
        and parts[3] != "main"
        else ""
    )
    with contextlib.suppress(InvalidReference):
        found = parse_hub("/".join(parts[:2]) + revision)
        return (
            str(found).removeprefix("hf://")
            if len(parts) > 1 and parts[0] not in ("datasets", "spaces", "api")
            else None
        )
    return None


def _refuse_other_kinds(text: str) -> None:
    if not text:
        raise InvalidReference(
            "an empty text is not a reference", hint="write name, name@3 or name@alias"
        )
    if len(text) > REFERENCE_LIMIT:
        raise InvalidReference(
            f"{short(text)} is not a reference (at most {REFERENCE_LIMIT} characters)"
        )
    if looks_like_path(text):
        raise InvalidReference(
            f"{text!r} is a path, and a registered version is required",
            hint="write name, name@3 or name@alias",
        )
    if text.startswith("hf://"):
        raise InvalidReference(
            f"{text!r} is a Hub repository, and a registered version is required"
        )
    if "://" in text:
        raise InvalidReference(
            f"{text!r} has a scheme, which a reference does not have",
            hint="write name, name@3, name@alias or name@sha256:…",
        )


def _split_path(text: str) -> tuple[str, str, str]:
    """(reference, ':' or '', path); the colon of `sha256:` is not the one before a path."""
    protected = re.sub(r"@sha256:", "@sha256\0", text)
    left, colon, path = protected.partition(":")
    return left.replace("\0", ":"), colon, path.replace("\0", ":")


def _selectors(text: str, selectors: list[str]) -> tuple[int | None, str | None, str | None]:
    number: int | None = None
    alias: str | None = None
    digest: str | None = None
    for position, selector in enumerate(selectors):
        if not selector:
            raise InvalidReference(
                f"{text!r} has nothing after '@'", hint="write a number, an alias or sha256:…"
            )
        if selector.startswith("sha256:"):
            digest = selector[7:].lower()
            if not _DIGEST_PREFIX.fullmatch(digest):
                raise InvalidReference(
                    f"{text!r} has a malformed digest",
                    hint=f"give sha256: and {DIGEST_PREFIX_LEAST} to 64 hex digits",
                )
            if position != len(selectors) - 1:
                raise InvalidReference(
                    f"{text!r} has another selector after its digest", hint="write the digest last"
                )
        elif position > 0:
            raise InvalidReference(
                f"{text!r} has two selectors",
                hint="give a number or an alias, and optionally a digest after it",
            )
        elif _NUMBER.fullmatch(selector):
            number = int(selector)
        elif selector == "latest":
            pass  # the bare name says the same
        elif _ALIAS.fullmatch(selector):
            if re.fullmatch(r"v\d+", selector):
                raise InvalidReference(
                    f"{text!r} is not a reference",
                    hint=f"did you mean {text.split('@')[0]}@{selector[1:]}?",
                )
            alias = selector
        else:
            raise InvalidReference(
                f"{text!r} is not a reference: {selector!r} is neither a number, an alias nor "
                "sha256:…"
            )
    return number, alias, digest


def _without_selector(name: str, path: str) -> str:
    """What was meant by name:path: a tag, a file of the latest version, or models:/name/3 as MLflow says."""
    if name == "models" and path.count("/") == 2 and path.startswith("/"):
        return "@".join(path[1:].split("/"))
    tag = path[1:] if re.fullmatch(r"v\d+", path) else path
    return (
        f"{name}@latest:{path}"
        if _is_file_path(path) and ("." in path or "/" in path)
        else f"{name}@{tag}"
    )


def _is_file_path(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")


def _hint(text: str) -> str | None:
    if masked(text) != text:
        return None
    other = _OTHER_WAY.fullmatch(text)
    if other is not None:
        return f"did you mean {other[1]}@{other[2]}?"
    if text.count(":") == 1 and "@" not in text:
        return f"did you mean {_without_selector(*text.split(':'))}?"
    if text.endswith("/"):
        return f"did you mean {text.rstrip('/')}, or the folder ./{text}?"
    return None


_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)


def is_commit(text: str | None) -> bool:
    """Whether a revision is a full commit, and so names one content for ever."""
    return text is not None and _COMMIT.fullmatch(text) is not None
