"""approve: custom code may run in this registry, by its digest; or no longer."""

from __future__ import annotations

from pathlib import Path

from registry.core.digest import Digest, is_digest
from registry.core.version import Version
from registry.errors import ForeignCode
from registry.home.home import Home
from registry.operations.shared.custom_code import (
    CodeOptions,
    code_of_version,
    decide,
    record_approval,
)
from registry.operations.shared.examine import open_folder
from registry.operations.shared.resolve import line_here, resolve
from registry.results.registration import Approval


def approve(
    home: Home, version: str | Version, *, message: str | None = None, undo: bool = False
) -> Approval:
    """Approve the custom code of a version or its base, or a code digest; or withdraw.

    Raises ForeignCode for a version without custom code.
    """
    if isinstance(version, str) and is_digest(version):
        digest = Digest(version)
        return Approval(digest, (), record_approval(home, digest, message=message, undo=undo))
    resolved = resolve(home, version)
    for ancestor in (resolved, *line_here(home, resolved)):
        code = code_of_version(home, ancestor)
        if code is not None:
            changed = record_approval(home, code.digest, message=message, undo=undo)
            return Approval(code.digest, code.files, changed)
    raise ForeignCode(f"{resolved.reference} has no custom code")


def code_in(
    home: Home, folder: Path, *, code: Path | None, model_class: str | None
) -> Approval | None:
    """Return the code that `add --trust-code` would approve; None without code."""
    decided = decide(
        open_folder(home, folder),
        CodeOptions(trust=True, folder=code),
        model_class=model_class,
        measured=True,
        command=f"registry add {folder} --as NAME",
    )
    if decided.code is None:
        return None
    return Approval(decided.code.digest, decided.code.files, False)
