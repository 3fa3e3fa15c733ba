"""Options of a pull."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from registry.core.text import shell_word
from registry.core.version import Version
from registry.operations.shared.custom_code import CodeOptions
from registry.operations.shared.resolve import VersionLike

OPTIONS_OF_ADD = (
    "--accept-lost-rows",
    "--allow-no-effect",
    "--fix",
    "--force",
    "--no-measure",
    "--tokenizer",
    "--trained-rows",
    "--with-parents",
)
"""Options in hints of checks that `add` has and `pull` does not."""
_OF_ADD = re.compile(rf"(?<![\w-])({'|'.join(OPTIONS_OF_ADD)})(?![\w-])")


def hint_of_pull(hint: str | None, repository: str) -> str | None:
    """Return the hint of a refused pull, which also explains options of `add`."""
    if hint is None or not _OF_ADD.search(hint):
        return hint
    name, _, revision = repository.removeprefix("hf://").partition("@")
    download = ["hf", "download", shell_word(name), "--local-dir", "FOLDER"]
    download += ["--revision", shell_word(revision)] if revision else []
    return f"{' '.join(download)}, then registry add FOLDER --as NAME, where: {hint}"


@dataclass(frozen=True, kw_only=True)
class PullOptions:
    """What the versions are called here, and what is allowed."""

    name: str | None = None
    aliases: bool = False
    renumber: bool = False
    parent_as: Mapping[str, str] = field(default_factory=dict)
    from_any: bool = False
    parent: VersionLike | None = None
    model_class: str | None = None
    convert: bool = False
    """These three for a repository that no registry made."""
    message: str | None = None
    run: str | None = None
    code: CodeOptions = field(default_factory=CodeOptions)
    """What the user decided about custom code of the models."""

    def command(self, repository: str) -> str:
        """Return the command that pulls a repository with these options, except for
        those about code."""
        words = ["registry", "pull", shell_word(repository)]
        if self.name is not None:
            words += ["--as", self.name]
        words += ["--renumber"] * self.renumber
        for old_name, new_name in self.parent_as.items():
            words += ["--parent-as", f"{old_name}={new_name}"]
        words += ["--from-any"] * self.from_any
        if self.model_class is not None:
            words += ["--class", self.model_class]
        if self.parent is not None:
            parent = self.parent.reference if isinstance(self.parent, Version) else self.parent
            words += ["--parent", shell_word(str(parent))]
        words += ["--convert"] * self.convert
        if self.code.folder is not None:
            words += ["--code", shell_word(str(self.code.folder))]
        return " ".join(words)
