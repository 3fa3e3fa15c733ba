"""Custom code of models on the Hub: which code a pull brings, and whether it may."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.core import reference as _reference
from registry.core.code_permission import is_permitted
from registry.core.digest import Digest
from registry.core.facts import Files
from registry.core.progress import silent
from registry.core.version import Version
from registry.errors import ForeignCode
from registry.home.home import Home
from registry.operations.shared.custom_code import (
    CodeOptions,
    code_of_version,
    decide,
    record_approval,
    trusting,
)
from registry.operations.shared.resolve import line_here
from registry.results.registration import Approval
from registry.transfer import line_json as _line

from .download_area import Quarantine, member_sources, sources
from .repositories import line_at, the_hub
from .transfer_progress import Bytes

if TYPE_CHECKING:
    from registry.model_files.code import Code

IGNORED = "custom-code"
"""Id of the override by which a version was registered without its code."""


def code_at(
    home: Home, repository: str, *, code: Path | None, model_class: str | None
) -> Approval | None:
    """Return the custom code that a pull with trust_code would approve, or None.

    Raises ForeignCode if the versions of a line have several unapproved codes.
    """
    target = _reference.parse_hub(repository)
    remote = the_hub()
    tree = remote.tree(target.repository, target.revision)
    members, bytes_ = line_at(remote, tree), Bytes(silent)
    codes: dict[Digest, Code] = {}
    if members is None:
        area = Quarantine(home, remote, tree.repository, tree.commit, sources(tree), bytes_)
        with area.kept():
            reached = decide(
                area,
                CodeOptions(trust=True, folder=code),
                model_class=model_class,
                measured=True,
                command=f"registry pull {repository}",
            ).code
        codes = {reached.digest: reached} if reached is not None else {}
    for member in members or ():
        address = (
            (member.repository, member.commit) if member.commit else (tree.repository, tree.commit)
        )
        area = Quarantine(home, remote, *address, member_sources(member), bytes_)
        with area.kept():
            reached = _code_in(area)
        codes |= {reached.digest: reached} if reached is not None else {}
    unapproved = [code for digest, code in codes.items() if not is_permitted(digest)]
    if len(unapproved) > 1:
        raise ForeignCode(
            f"the versions of hf://{tree.repository} have {len(unapproved)} different codes",
            hint="approve each after reading it: "
            + ", ".join(f"registry approve {code.digest}" for code in unapproved),
        )
    reached = next(iter([*unapproved, *codes.values()]), None)
    return Approval(reached.digest, reached.files, False) if reached is not None else None


def decide_members(
    members: Sequence[tuple[_line.Member, Quarantine]],
    options: CodeOptions,
    command: str,
    *,
    line: Iterable[_line.Member],
    present: Callable[[], Iterable[Code | None]],
) -> dict[Digest, Code]:
    """Return the code of the versions of a line that are to be registered.

    The publisher decided which files a version has; here they must be permitted.
    present returns the code of registered versions of the line, whose descendants need
    no approval for the same. Raises ForeignCode.
    """
    is_ignored = any(IGNORED in member.forced for member in line)
    codes: dict[Digest, Code] = {}
    for member, area in members:
        code = _code_in(area)
        area.code_is_decided = code is not None or is_ignored
        if code is None:
            continue
        is_trusted = options.trust in (True, code.digest) or is_permitted(code.digest)
        if not is_trusted:
            bases = [*codes.values(), *(base for base in present() if base is not None)]
            is_trusted = any(
                base.contains(code)
                for base in bases
                if options.trust in (True, base.digest) or is_permitted(base.digest)
            )
        if not is_trusted:
            raise ForeignCode(
                f"{member.reference} needs custom code: {', '.join(path for path, _ in code.files)} "
                f"(code digest {code.digest})",
                hint=trusting(command),
            )
        codes[member.digest] = code
    return codes


def approve_line(home: Home, version: Version, trust: bool | str, *, message: str | None) -> None:
    """Approve the code of a version and of its ancestors, or only that of a digest."""
    for ancestor in (version, *line_here(home, version)):
        code = code_of_version(home, ancestor)
        if code is not None and trust in (True, code.digest):
            record_approval(home, code.digest, message=message)


def _code_in(files: Files) -> Code | None:
    """Return the code of a version's files, None if it has none."""
    from registry.model_files.code import code_of, references_of

    paths = files.paths()
    if not any(path.endswith(".py") for path in paths):
        return None
    return code_of(files, references_of(files, paths))
