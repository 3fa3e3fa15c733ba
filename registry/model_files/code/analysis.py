"""The Python files that references reach, their packages, and the code digest.

Relative imports are read with `ast` and compared with what transformers finds by a
regular expression, since it copies only these files.
Source: transformers 5.23, dynamic_module_utils.get_relative_imports, get_imports.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from registry.core.digest import Digest, canonical, digest_of
from registry.core.facts import Files, read
from registry.errors import ForeignCode

from .packages import distribution_of, is_installed
from .references import CodeReference

_RELATIVE = (
    re.compile(r"^\s*import\s+\.(\S+)\s*$", re.MULTILINE),
    re.compile(r"^\s*from\s+\.(\S+)\s+import", re.MULTILINE),
)
SIZE_LIMIT = 4 << 20


@dataclass(frozen=True)
class Code:
    """All custom code of one folder."""

    files: tuple[tuple[str, Digest], ...]
    """(path, digest) of every Python file that a reference reaches, sorted."""
    references: tuple[CodeReference, ...]
    packages: tuple[str, ...]
    """Top-level names of the packages that the code imports, sorted."""

    @cached_property
    def digest(self) -> Digest:
        """The code digest: covers the sorted files and all references."""
        references = sorted({(r.key, r.text) for r in self.references})
        return digest_of(
            canonical(
                {
                    "files": [[path, digest] for path, digest in self.files],
                    "references": [list(pair) for pair in references],
                }
            )
        )

    def contains(self, code: Code) -> bool:
        """Return whether all files and classes of other code are among these.

        Libraries save the files of a model flat, so folders are not compared.
        """
        classes = {reference.name.rpartition("/")[2] for reference in self.references}
        digests = {digest for _, digest in self.files}
        return {digest for _, digest in code.files} <= digests and all(
            reference.name.rpartition("/")[2] in classes for reference in code.references
        )


def code_of(files: Files, references: Sequence[CodeReference]) -> Code:
    """Return the code that references reach.

    Raises ForeignCode, naming the reference or import, for what plain Sentence
    Transformers cannot load from the folder or what is not in it.
    """
    paths = set(files.paths())
    waiting = [(_file_of(reference, paths), str(reference)) for reference in references]
    digests: dict[str, Digest] = {}
    packages: dict[str, str] = {}
    while waiting:
        path, origin = waiting.pop()
        if path in digests:
            continue
        if path not in paths:
            raise ForeignCode(
                f"custom code is not complete: {path!r} is missing ({origin})",
                hint="download all Python files of the repository",
            )
        if files.size(path) > SIZE_LIMIT:
            raise ForeignCode(f"custom code is too large: {path!r} ({SIZE_LIMIT} bytes allowed)")
        content = read(files, path)
        digests[path] = digest_of(content)
        folder = path.rpartition("/")[0]
        imports = _Imports(path, content)
        inside = f"{folder}/" if folder else ""
        waiting += [(f"{inside}{module}.py", f"{path} imports it") for module in imports.relative]
        for package in imports.packages:
            if package not in packages and not is_installed(package):
                _refuse_package(path, package, is_file=f"{inside}{package}.py" in paths)
            packages[package] = path
    return Code(tuple(sorted(digests.items())), tuple(sorted(references)), tuple(sorted(packages)))


def _refuse_package(path: str, package: str, *, is_file: bool) -> None:
    if is_file:
        raise ForeignCode(
            f"{path} imports {package!r} without a dot (loaders do not find a file of the model)",
            hint=f"change the line to: from .{package} import ...",
        )
    raise ForeignCode(
        f"{path} imports {package!r}, which is not installed",
        hint=f"pip install {distribution_of(package)}",
    )


def _file_of(reference: CodeReference, paths: set[str]) -> str:
    where = str(reference)
    if reference.repository is not None:
        raise ForeignCode(
            f"{where}, code of another repository that is not in the folder",
            hint="registry add FOLDER --as NAME --trust-code (with --code DIR if the cache of the "
            "Hub does not have it)",
        )
    module, _, name = reference.name.rpartition(".")
    if not module or not name.isidentifier():
        raise ForeignCode(f"{where}, expected module.Class")
    if "." in module:
        if is_installed(module.partition(".")[0]):
            raise ForeignCode(
                f"{where}, a class of the installed package {module.partition('.')[0]!r}, "
                "which is not part of the model"
            )
        raise ForeignCode(f"{where}, a dotted module, which loaders cannot import")
    if f"{module}.py" not in paths and is_installed(module):
        raise ForeignCode(
            f"{where}, a class of the installed package {module!r}, which is not part of the model"
        )
    return f"{module}.py"


class _Imports:
    """The imports of one Python file."""

    def __init__(self, path: str, content: bytes) -> None:
        try:
            text = content.decode("utf-8")
            tree = ast.parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise ForeignCode(f"{path} is not a Python file of this version: {error}") from None
        copied = {name for pattern in _RELATIVE for name in pattern.findall(text)}
        self.relative: list[str] = sorted(copied)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                line = f"from {'.' * node.level}{node.module or ''} import ..."
                if node.level > 1 or not node.module or "." in node.module:
                    raise ForeignCode(
                        f"{path} has the import {line!r}, which loaders cannot follow "
                        "(only files in the same folder)"
                    )
                if node.module not in copied:
                    raise ForeignCode(
                        f"{path} has the import {line!r} in a form that loaders do not find",
                        hint="write it on a line of its own",
                    )
        broken = next((name for name in self.relative if not name.isidentifier()), None)
        if broken is not None:
            raise ForeignCode(f"{path} imports {'.' + broken!r}, which loaders cannot follow")
        self.packages = sorted(set(_packages(tree)))


def _packages(tree: ast.AST) -> Iterator[str]:
    """Names of the packages that loading requires: not those inside `try` or a test."""
    if isinstance(tree, ast.Try):
        return
    if isinstance(tree, ast.If) and any(
        isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("available")
        for node in ast.walk(tree.test)
    ):
        return
    if isinstance(tree, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom) and not tree.level and tree.module:
        yield tree.module.partition(".")[0]
    for child in ast.iter_child_nodes(tree):
        yield from _packages(child)
