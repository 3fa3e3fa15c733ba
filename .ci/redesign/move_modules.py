"""Move modules and definitions to new places and rewrite every reference to them.

    python .ci/redesign/move_modules.py .ci/redesign/moves.txt

`moves.txt` has one line per change:

    OLD.py -> NEW.py                  the module moves
    OLD.py => NEW.py                  its definitions are appended to NEW.py
    OLD.py -- name, name --> NEW.py   these top-level definitions of OLD.py move
    OLD.py ==                         the module stays
    NEW.py ++ text                    the docstring of a file that the move creates
    NEW.py ~~ text ~~> text           a reference that only a person recognises

Every tracked Python file of registry/ and tests/ must be named once (an empty
`__init__.py` of tests/ excepted); a file that is not, or a name that cannot be
resolved, ends the script before anything is written. Imports become relative inside
one package and absolute across packages. The order of imports is left to ruff.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOTS = ("registry", "tests", "benchmarks", "migrations", ".ci")
MOVED_ROOTS = ("registry", "tests")


def module_of(path: str) -> str:
    """Return the dotted name of a module's file."""
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


@dataclass
class Moves:
    """What `moves.txt` says."""

    files: dict[str, str] = field(default_factory=dict)
    folded: dict[str, str] = field(default_factory=dict)
    names: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)
    docstrings: dict[str, str] = field(default_factory=dict)
    edits: list[tuple[str, str, str]] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> Moves:
        """Parse the file. Raises ValueError for a line of another form."""
        moves = cls()
        for line in file.read_text().splitlines():
            text = "" if line.startswith("#") else line.strip()
            if not text:
                continue
            if match := re.fullmatch(r"(\S+) -> (\S+)", text):
                moves.files[match[1]] = match[2]
            elif match := re.fullmatch(r"(\S+) => (\S+)", text):
                moves.folded[match[1]] = match[2]
            elif match := re.fullmatch(r"(\S+) -- (.+) --> (\S+)", text):
                moves.names.append((match[1], tuple(match[2].split(", ")), match[3]))
            elif match := re.fullmatch(r"(\S+) \+\+ (.+)", text):
                moves.docstrings[match[1]] = match[2]
            elif match := re.fullmatch(r"(\S+) ~~ (.+) ~~> (.+)", text):
                moves.edits.append((match[1], match[2], match[3]))
            elif match := re.fullmatch(r"(\S+) ==", text):
                moves.files[match[1]] = match[1]
            else:
                raise ValueError(f"unknown line: {line}")
        return moves

    def new_path(self, old: str) -> str | None:
        """Return where the content of a file goes, None if it is not named."""
        return self.files.get(old) or self.folded.get(old)


@dataclass
class Tree:
    """The tracked modules before the move, and the names that each package binds."""

    paths: dict[str, str]
    """Module to file."""
    bound: dict[str, set[str]]
    """Package to the names that its `__init__.py` binds."""

    @classmethod
    def read(cls, files: list[str]) -> Tree:
        """Parse the packages' `__init__.py` files."""
        paths = {module_of(path): path for path in files if path.endswith(".py")}
        bound: dict[str, set[str]] = {}
        for module, path in paths.items():
            if not path.endswith("/__init__.py"):
                continue
            names: set[str] = set()
            for node in ast.parse(Path(path).read_text()).body:
                if isinstance(node, ast.ImportFrom):
                    own = resolve(module, node, is_package=True)
                    for alias in node.names:
                        if f"{own}.{alias.name}" not in paths:
                            names.add(alias.asname or alias.name)
                elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                    names.add(node.name)
                elif isinstance(node, ast.Assign):
                    names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            bound[module] = names
        return cls(paths, bound)

    def is_module(self, package: str, name: str) -> bool:
        """Return whether `from package import name` gives a module."""
        return f"{package}.{name}" in self.paths and name not in self.bound.get(package, ())


def resolve(module: str, node: ast.ImportFrom, *, is_package: bool) -> str:
    """Return the absolute dotted name of what an import is from."""
    package = module if is_package else module.rpartition(".")[0]
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
    return ".".join(part for part in (base, node.module) if part)


@dataclass
class Edit:
    """A replacement of a range of a source text, in character offsets."""

    start: int
    end: int
    text: str


class Rewriter:
    """Rewrites the references in one source text."""

    def __init__(self, moves: Moves, tree: Tree) -> None:
        self._moves, self._tree = moves, tree
        self._modules = {
            module_of(old): module_of(new)
            for old, new in [*moves.files.items(), *moves.folded.items()]
            if old.endswith(".py")
        }
        self._names = {
            (module_of(old), name): module_of(new)
            for old, names, new in moves.names
            for name in names
        }

    def new_module(self, module: str) -> str:
        """Return the new name of a module."""
        return self._modules.get(module, module)

    def rewrite(self, source: str, old: str, new: str) -> str:
        """Return the source of file `old` as it has to be in file `new`."""
        tree = ast.parse(source)
        offsets = _line_offsets(source)
        edits: list[Edit] = []
        renamed: dict[str, str] = {}
        taken = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {
            node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)
        }
        rebound = {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        } | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                text = self._import_from(node, old, new, (taken, rebound), renamed)
                if text is not None:
                    indent = "\n" + " " * node.col_offset
                    edits.append(Edit(*_range(node, offsets, source), indent.join(text)))
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and renamed.get(node.value.id) == ""
            ):
                edits.append(Edit(*_range(node, offsets, source), node.attr))
            elif isinstance(node, ast.Name) and renamed.get(node.id):
                edits.append(Edit(*_range(node, offsets, source), renamed[node.id]))
        for edit in sorted(edits, key=lambda edit: -edit.start):
            source = source[: edit.start] + edit.text + source[edit.end :]
        return self.rewrite_strings(source)

    def _import_from(
        self,
        node: ast.ImportFrom,
        old: str,
        new: str,
        names: tuple[set[str], set[str]],
        renamed: dict[str, str],
    ) -> list[str] | None:
        taken, rebound = names
        origin = resolve(module_of(old), node, is_package=old.endswith("/__init__.py"))
        if origin.split(".")[0] not in MOVED_ROOTS:
            return None
        groups: dict[str, list[str]] = {}
        for alias in node.names:
            suffix = f" as {alias.asname}" if alias.asname else ""
            if self._tree.is_module(origin, alias.name):
                target = self.new_module(f"{origin}.{alias.name}")
                if target == module_of(new):
                    renamed[alias.asname or alias.name] = ""
                    continue
                package, _, name = target.rpartition(".")
                if name != alias.name and not alias.asname:
                    if name in taken or alias.name in rebound:
                        suffix = f" as {alias.name}"
                    else:
                        renamed[alias.name] = name
                groups.setdefault(self._spelled(package, new), []).append(f"{name}{suffix}")
            else:
                target = self._names.get((origin, alias.name)) or self.new_module(origin)
                if target == module_of(new):
                    continue
                groups.setdefault(self._spelled(target, new), []).append(f"{alias.name}{suffix}")
        return [f"from {origin} import {', '.join(names)}" for origin, names in groups.items()] or (
            ["pass"] if node.col_offset else [""]
        )

    def _spelled(self, target: str, new: str) -> str:
        """Return how the file `new` imports `target`: relative in one package, else absolute."""
        package = (
            module_of(new) if new.endswith("/__init__.py") else module_of(new).rpartition(".")[0]
        )
        if new.split("/")[0] != "registry" or package == "registry":
            return (
                target
                if package != "registry" or target == "registry"
                else f".{target.removeprefix('registry.')}"
            )
        if target == package:
            return "."
        if target.rpartition(".")[0] == package:
            return f".{target.rpartition('.')[2]}"
        return target

    def rewrite_strings(self, source: str) -> str:
        """Return source with dotted module names rewritten in strings and comments."""
        offsets = _line_offsets(source)
        edits = []
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in (tokenize.STRING, tokenize.COMMENT):
                start = offsets[token.start[0] - 1] + token.start[1]
                edits.append(
                    Edit(start, start + len(token.string), self.rewrite_text(token.string))
                )
        for edit in reversed(edits):
            source = source[: edit.start] + edit.text + source[edit.end :]
        return source

    def rewrite_text(self, text: str) -> str:
        """Return the text with dotted module names rewritten."""

        def imported(match: re.Match[str]) -> str:
            origin, names = match[1], match[2].split(", ")
            if not all(self._tree.is_module(origin, name) for name in names):
                return match[0]
            moved = [self.new_module(f"{origin}.{name}").rpartition(".") for name in names]
            return "; ".join(
                f"from {package} import {name}{f' as {old}' if old != name else ''}"
                for (package, _, name), old in zip(moved, names, strict=True)
            )

        def dotted(match: re.Match[str]) -> str:
            parts = match[0].split(".")
            for end in range(len(parts), 1, -1):
                module = ".".join(parts[:end])
                if module in self._tree.paths:
                    return ".".join([self.new_module(module), *parts[end:]])
            return match[0]

        text = re.sub(r"from ((?:registry|tests)(?:\.\w+)*) import (\w+(?:, \w+)*)", imported, text)
        return re.sub(r"(?<![\w./])(?:registry|tests)(?:\.\w+)+", dotted, text)


def _line_offsets(source: str) -> list[int]:
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    return offsets


def _range(node: ast.expr | ast.stmt, offsets: list[int], source: str) -> tuple[int, int]:
    """Return the character offsets of a node (ast counts columns in UTF-8 bytes)."""

    def offset(line: int, column: int) -> int:
        text = source[offsets[line - 1] : offsets[line]]
        return offsets[line - 1] + len(text.encode()[:column].decode())

    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)


def definitions(source: str) -> dict[str, tuple[int, int]]:
    """Return the line range (first, after the last) of each top-level definition.

    Comments before a definition and the docstring after a constant belong to it.
    """
    body = ast.parse(source).body
    lines = source.splitlines()
    ranges: dict[str, tuple[int, int]] = {}
    for position, node in enumerate(body):
        names: list[str] = []
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [
                name.id
                for target in targets
                for name in ast.walk(target)
                if isinstance(name, ast.Name)
            ]
            first = node.lineno
        else:
            continue
        last = node.end_lineno or node.lineno
        after = body[position + 1] if position + 1 < len(body) else None
        if (
            isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            last = after.end_lineno or last
        while first > 1 and lines[first - 2].startswith("#"):
            first -= 1
        for name in names:
            ranges[name] = (first - 1, last)
    return ranges


def imports_of(source: str) -> list[str]:
    """Return the top-level imports of a source, those under TYPE_CHECKING as a block."""
    result = []
    for node in ast.parse(source).body:
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if isinstance(node, ast.Import | ast.ImportFrom) or is_typing:
            result.append(ast.get_source_segment(source, node) or "")
    return [text for text in result if "__future__" not in text]


def without(source: str, ranges: list[tuple[int, int]]) -> str:
    """Return the source without these line ranges."""
    lines = source.splitlines(keepends=True)
    for first, last in sorted(set(ranges), reverse=True):
        del lines[first:last]
    return "".join(lines)


def body_of(source: str) -> str:
    """Return what follows the docstring and the top-level imports."""
    tree = ast.parse(source)
    drop = []
    for position, node in enumerate(tree.body):
        is_docstring = (
            position == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if is_docstring or is_typing or isinstance(node, ast.Import | ast.ImportFrom):
            drop.append((node.lineno - 1, node.end_lineno or node.lineno))
    return without(source, drop).strip("\n") + "\n"


def insert_imports(source: str, statements: list[str]) -> str:
    """Return the source with added imports; those for types join the TYPE_CHECKING block."""
    plain = [text for text in statements if not text.startswith("if ")]
    typing = [
        line for text in statements if text.startswith("if ") for line in text.splitlines()[1:]
    ]
    last, block = 0, 0
    for node in ast.parse(source).body:
        is_docstring = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.lineno == 1
        )
        if isinstance(node, ast.Import | ast.ImportFrom) or is_docstring:
            last = node.end_lineno or node.lineno
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            block = node.end_lineno or node.lineno
    lines = source.splitlines(keepends=True)
    if typing and block:
        lines[block:block] = [f"{line}\n" for line in typing]
    elif typing:
        plain = [*plain, "from typing import TYPE_CHECKING"]
        lines[last:last] = ["\n", "if TYPE_CHECKING:\n", *(f"{line}\n" for line in typing)]
    return "".join([*lines[:last], *(f"{text}\n" for text in plain), *lines[last:]])


def tracked() -> list[str]:
    """Return all tracked files of the folders that are rewritten."""
    ran = subprocess.run(["git", "ls-files", *ROOTS], capture_output=True, text=True, check=True)
    return ran.stdout.split()


def unmapped(files: list[str], moves: Moves) -> Iterator[str]:
    """Yield Python files that moves.txt does not name."""
    for path in files:
        in_scope = path.split("/")[0] in MOVED_ROOTS and path.endswith(".py")
        empty = (
            path.startswith("tests/")
            and path.endswith("__init__.py")
            and not Path(path).read_text().strip()
        )
        if in_scope and not empty and moves.new_path(path) is None:
            yield path


def extract(moves: Moves, sources: dict[str, str]) -> dict[str, list[tuple[str, str, list[str]]]]:
    """Cut the definitions that move alone.

    Return, by new file, a list of (old file, text, imports that it may need).
    """
    parts: dict[str, list[tuple[str, str, list[str]]]] = {}
    for old, names, new in moves.names:
        source = sources[old]
        ranges = definitions(source)
        missing = [name for name in names if name not in ranges]
        if missing:
            raise ValueError(f"{old} does not define {', '.join(missing)}")
        lines = source.splitlines(keepends=True)
        ordered = sorted(names, key=lambda name: ranges[name])
        text = "\n\n".join("".join(lines[slice(*ranges[name])]) for name in ordered)
        parts.setdefault(new, []).append((old, text, imports_of(source)))
    for old in {old for old, _, _ in moves.names}:
        cut = [name for moved, names, _ in moves.names if moved == old for name in names]
        source = sources[old]
        ranges = definitions(source)
        rest = without(source, [ranges[name] for name in cut])
        remaining = {node.id for node in ast.walk(ast.parse(rest)) if isinstance(node, ast.Name)}
        remaining |= set(re.findall(r"\w+", " ".join(re.findall(r"\"[\w\[\], |.]+\"", rest))))
        needed = [
            f"from {module_of(old)} import {name}"
            for moved, names, _ in moves.names
            if moved == old
            for name in names
            if name in remaining
        ]
        sources[old] = insert_imports(rest, needed)
    return parts


def main(moves_file: str) -> int:
    """Apply the moves to the working tree."""
    moves = Moves.read(Path(moves_file))
    files = tracked()
    not_mapped = list(unmapped(files, moves))
    not_tracked = [path for path in [*moves.files, *moves.folded] if path not in files]
    if not_mapped or not_tracked:
        print(
            *(f"not mapped: {path}" for path in not_mapped),
            *(f"not tracked: {path}" for path in not_tracked),
            sep="\n",
        )
        return 1
    tree = Tree.read(files)
    rewriter = Rewriter(moves, tree)
    sources = {path: Path(path).read_text() for path in files if path.endswith(".py")}
    texts = {path: Path(path).read_text() for path in files if path.endswith((".toml", ".cfg"))}
    parts = extract(moves, sources)

    written: dict[str, str] = {}
    for old, source in sources.items():
        if old.endswith("__init__.py") and old.startswith("tests/") and not source.strip():
            continue
        if old not in moves.folded:
            written[moves.files.get(old, old)] = rewriter.rewrite(
                source, old, moves.files.get(old, old)
            )
    for old, new in moves.folded.items():
        source = sources[old]
        header = "from __future__ import annotations\n"
        rewritten = rewriter.rewrite(
            f"{header}{chr(10).join(imports_of(source))}\n\n\n{body_of(source)}", old, new
        )
        written[new] = (
            insert_imports(written[new], imports_of(rewritten)) + "\n\n" + body_of(rewritten)
        )
    for new, pieces in parts.items():
        for old, text, imports in pieces:
            header = "from __future__ import annotations\n"
            used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
            own = [name for name in definitions(sources[old]) if name in used]
            needed = [
                *imports,
                *([f"from {module_of(old)} import {', '.join(own)}"] if own else []),
            ]
            rewritten = rewriter.rewrite(f"{header}{chr(10).join(needed)}\n\n\n{text}", old, new)
            base = (
                written.get(new)
                or f'"""{moves.docstrings[new]}"""\n\nfrom __future__ import annotations\n'
            )
            written[new] = insert_imports(base, imports_of(rewritten)) + "\n\n" + body_of(rewritten)

    for path, before, after in moves.edits:
        if written[path].count(before) != 1:
            raise ValueError(f"{path} does not contain once: {before}")
        written[path] = written[path].replace(before, after)

    for old, new in moves.files.items():
        if old != new:
            Path(new).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["git", "mv", "-k", old, new], check=True)
    for old in moves.folded:
        subprocess.run(["git", "rm", "-q", "-f", old], check=True)
    for new, source in written.items():
        Path(new).parent.mkdir(parents=True, exist_ok=True)
        Path(new).write_text(source)
    for path, text in texts.items():
        Path(path).write_text(rewriter.rewrite_text(text))
    _packages(moves.docstrings)
    return 0


def _packages(docstrings: dict[str, str]) -> None:
    """Create missing `__init__.py` files; delete those of folders without modules."""
    for root in MOVED_ROOTS:
        for folder in sorted({*Path(root).rglob("*")}):
            if not folder.is_dir() or folder.name == "__pycache__":
                continue
            modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
            packages = list(folder.glob("*/__init__.py"))
            marker = folder / "__init__.py"
            if not modules and not packages and marker.exists() and not marker.read_text().strip():
                subprocess.run(
                    ["git", "rm", "-q", "-f", "--ignore-unmatch", str(marker)], check=True
                )
                marker.unlink(missing_ok=True)
            elif modules and not marker.exists():
                marker.write_text(
                    f'"""{docstrings[str(marker)]}"""\n' if root == "registry" else ""
                )
    for root in MOVED_ROOTS:
        for folder in sorted({path.parent for path in Path(root).rglob("*/__init__.py")}):
            parent = folder.parent / "__init__.py"
            if not parent.exists():
                parent.write_text(
                    f'"""{docstrings[str(parent)]}"""\n' if root == "registry" else ""
                )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
