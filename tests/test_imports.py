"""Which module may import which: the layers of docs/architecture, enforced on the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("util",),
    ("core",),
    ("results",),
    ("store", "catalog", "hub"),
    ("transfer", "home", "model_files", "html_report"),
    ("runtime",),
    ("operations",),
    ("api",),
    ("",),
    ("integrations", "cli"),
    ("__main__",),
)
"""Parts of the package, lowest layer first; the empty name is `registry/__init__.py`.

A module imports from its own part and from lower layers. Parts of one layer do not import each other.
"""

OPERATIONS: tuple[tuple[str, ...], ...] = (
    ("shared",),
    ("labels", "loading"),
    ("registration",),
    ("inspection", "hub", "bundle", "demo"),
    ("check", "maintenance"),
)
"""The groups of `registry/operations`, by the same rule."""

INTERFACES: dict[str, tuple[str, ...]] = {
    "cli": ("errors", "util", "core", "results", "api", "", "cli", "catalog.fast_reads"),
    "integrations": ("errors", "util", "core", "results", "api", "", "integrations"),
    "api": ("errors", "util", "core", "results", "home", "operations", "html_report", "api"),
}
"""What the interfaces may import of the package: not the layers below the operations.

`catalog.fast_reads` is for `list` and completion, which are typed often and must not load SQLAlchemy.
"""

LIBRARIES: dict[str, tuple[str, ...]] = {
    "sqlalchemy": ("catalog",),
    "alembic": ("catalog",),
    "torch": ("runtime",),
    "sentence_transformers": ("runtime",),
    "peft": ("runtime",),
    "transformers": ("runtime", "integrations"),
    "safetensors": ("runtime",),
    "tokenizers": ("model_files", "runtime"),
    "numpy": ("model_files", "runtime"),
    "huggingface_hub": ("hub.huggingface",),
    "yaml": ("model_files", "hub.card"),
    "click": ("cli",),
    "rich": ("cli",),
}
"""The only parts that may import each third-party library; for annotations alone, any part may."""

LAZY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "peft",
    "safetensors",
    "tokenizers",
    "huggingface_hub",
)
"""Libraries that are imported inside functions only."""

NOT_AT_START = ("torch", "transformers", "huggingface_hub", "alembic", "sqlalchemy", "numpy")
"""Libraries that are not loaded when the command line starts."""

MODULES_LIMIT = 16
"""Modules in one folder of registry/ and tests/, `__init__.py` not counted."""


@dataclass(frozen=True)
class Import:
    """One imported module or name, and the context of the statement."""

    module: str
    is_lazy: bool
    """In a function, so that it runs when the function is called."""
    is_for_types: bool
    """Under `if TYPE_CHECKING`, so that it never runs."""


def imports(module: str, source: str, *, is_package: bool = False) -> Iterator[Import]:
    """Yield every import of a module's source, relative ones resolved; `from x import y` is `x.y`."""
    package = module if is_package else module.rpartition(".")[0]

    def visit(node: ast.AST, *, is_lazy: bool, is_for_types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, is_lazy, is_for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            parent = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (parent, node.module) if part)
            yield from (
                Import(f"{origin}.{alias.name}", is_lazy, is_for_types) for alias in node.names
            )
        elif isinstance(node, ast.If) and ast.unparse(node.test) in (
            "TYPE_CHECKING",
            "typing.TYPE_CHECKING",
        ):
            for child in node.body:
                yield from visit(child, is_lazy=is_lazy, is_for_types=True)
            for child in node.orelse:
                yield from visit(child, is_lazy=is_lazy, is_for_types=is_for_types)
        else:
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, is_lazy=is_lazy or is_function, is_for_types=is_for_types)

    yield from visit(ast.parse(source), is_lazy=False, is_for_types=False)


def part_of(module: str) -> str:
    """Return the part of the package that a module or a name of it belongs to."""
    part = module.split(".")[1] if "." in module else ""
    return part if any(part in layer for layer in LAYERS) else ""


def is_within(module: str, part: str) -> bool:
    """Return whether a module, or a name of it, belongs to a part such as `hub.huggingface`."""
    return part_of(module) == "" if part == "" else f"{module}.".startswith(f"registry.{part}.")


def _level(layers: tuple[tuple[str, ...], ...], part: str) -> int:
    return next(level for level, layer in enumerate(layers) if part in layer)


def _allows(layers: tuple[tuple[str, ...], ...], importer: str, imported: str) -> bool:
    return importer == imported or _level(layers, imported) < _level(layers, importer)


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Return what a module imports against the rules, one sentence each."""
    part = module.split(".")[1] if "." in module else ""
    if not any(part in layer for layer in LAYERS):
        return [f"{module} is not in the table of layers"]
    sentences = []
    for item in imports(module, source, is_package=is_package):
        library = item.module.split(".")[0]
        if library == "registry":
            sentences += _inside(module, part, item)
        elif library in sys.stdlib_module_names or item.is_for_types:
            continue
        elif not any(is_within(module, allowed) for allowed in LIBRARIES.get(library, ())):
            allowed = " and ".join(LIBRARIES.get(library, ())) or "no part"
            sentences.append(f"{module} imports {library}; only {allowed} may")
        elif library in LAZY and not item.is_lazy:
            sentences.append(f"{module} imports {library} outside of a function")
    return sentences


def _inside(module: str, part: str, item: Import) -> Iterator[str]:
    imported = part_of(item.module)
    sentence = f"{module} imports {item.module}; {part or 'the package'} may not"
    if part in INTERFACES:
        if not any(is_within(item.module, allowed) for allowed in INTERFACES[part]):
            yield sentence
    elif not _allows(LAYERS, part, imported):
        yield sentence
    if part == imported == "operations" and module != "registry.operations":
        group, other = module.split(".")[2], item.module.split(".")[2]
        if not _allows(OPERATIONS, group, other):
            yield f"{module} imports {item.module}; operations/{group} may not"


def modules(folder: str) -> list[tuple[str, Path]]:
    """Return (dotted name, file) of all modules below a folder of the project."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    return [
        (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path)
        for path in paths
    ]


def import_graph(*, lazy: bool) -> dict[str, set[str]]:
    """Return, for each module of the package, the modules of it that it imports when it runs."""
    paths = dict(modules("registry"))
    graph: dict[str, set[str]] = {}
    for module, path in paths.items():
        graph[module] = set()
        for item in imports(module, path.read_text(), is_package=path.name == "__init__.py"):
            if item.is_for_types or (item.is_lazy and not lazy):
                continue
            name = item.module if item.module in paths else item.module.rpartition(".")[0]
            if name in paths and name not in {module, "registry"}:
                graph[module].add(name)
    return graph


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of two or more nodes (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def connect(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph[node]:
            if target not in index:
                connect(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            start = stack.index(node)
            component = stack[start:]
            del stack[start:]
            if len(component) > 1:
                components.append(sorted(component))

    for node in graph:
        if node not in index:
            connect(node)
    return components


def loaded_after(code: str) -> list[str]:
    """Return which of the libraries that must wait are loaded in a new process that ran this code."""
    report = (
        f"import sys; sys.stderr.write(' '.join(sorted(set({NOT_AT_START!r}) & set(sys.modules))))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return ran.stderr.split()


@pytest.mark.parametrize(
    ("module", "path"),
    modules("registry"),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_module_imports_only_what_its_place_allows(module: str, path: Path) -> None:
    assert violations(module, path.read_text(), is_package=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "path"),
    modules("migrations"),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_migration_needs_only_alembic_and_sqlalchemy_so_that_it_never_changes_its_meaning(
    module: str, path: Path
) -> None:
    ours = {"registry"} if path.name == "env.py" else set()

    libraries = {item.module.split(".")[0] for item in imports(module, path.read_text())}

    assert libraries - sys.stdlib_module_names - {"alembic", "sqlalchemy"} <= ours


def test_every_part_of_the_package_stands_in_the_table() -> None:
    parts = {module.split(".")[1] for module, _ in modules("registry") if "." in module}
    groups = {
        module.split(".")[2]
        for module, _ in modules("registry/operations")
        if module != "registry.operations"
    }

    assert parts | {""} == {part for layer in LAYERS for part in layer}
    assert groups == {group for layer in OPERATIONS for group in layer}


@pytest.mark.parametrize("root", ["registry", "tests"])
def test_no_folder_holds_more_than_sixteen_modules(root: str) -> None:
    folders: dict[Path, int] = {}
    for _, path in modules(root):
        if path.name != "__init__.py":
            folders[path.parent] = folders.get(path.parent, 0) + 1

    assert {str(folder): count for folder, count in folders.items() if count > MODULES_LIMIT} == {}


def test_no_modules_import_each_other_in_a_cycle() -> None:
    assert cycles(import_graph(lazy=True)) == []


def test_a_cycle_would_be_seen() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}

    assert cycles(graph) == [["b", "c"]]


@pytest.mark.parametrize(
    ("module", "source", "violation"),
    [
        (
            "registry.core.digest",
            "from registry import store",
            "registry.core.digest imports registry.store; core may not",
        ),
        (
            "registry.core.digest",
            "import click",
            "registry.core.digest imports click; only cli may",
        ),
        (
            "registry.store.blobs",
            "from ..catalog.reader import Catalog",
            "registry.store.blobs imports registry.catalog.reader.Catalog; store may not",
        ),
        (
            "registry.store.blobs",
            "from .. import catalog",
            "registry.store.blobs imports registry.catalog; store may not",
        ),
        (
            "registry.store.blobs",
            "import registry.hub",
            "registry.store.blobs imports registry.hub; store may not",
        ),
        (
            "registry.store.blobs",
            "def f():\n    from ..home.home import Home",
            "registry.store.blobs imports registry.home.home.Home; store may not",
        ),
        (
            "registry.catalog.reader",
            "if TYPE_CHECKING:\n    from ..store.blobs import Blobs",
            "registry.catalog.reader imports registry.store.blobs.Blobs; catalog may not",
        ),
        (
            "registry.store.blobs",
            "from registry import open",
            "registry.store.blobs imports registry.open; store may not",
        ),
        (
            "registry.home.home",
            "from registry.operations.registration import add",
            "registry.home.home imports registry.operations.registration.add; home may not",
        ),
        (
            "registry.api.registry",
            "from registry.catalog import queries",
            "registry.api.registry imports registry.catalog.queries; api may not",
        ),
        (
            "registry.cli.commands.inspect",
            "from registry.operations.inspection.list_show import show",
            "registry.cli.commands.inspect imports registry.operations.inspection.list_show.show; cli may not",
        ),
        (
            "registry.operations.registration.add",
            "from registry.cli import main",
            "registry.operations.registration.add imports registry.cli.main; operations may not",
        ),
        (
            "registry.operations.registration.add",
            "from registry.operations.hub.push import push",
            "registry.operations.registration.add imports registry.operations.hub.push.push;"
            " operations/registration may not",
        ),
        (
            "registry.model_files.facts",
            "def f():\n    from registry.runtime.loading import load",
            "registry.model_files.facts imports registry.runtime.loading.load; model_files may not",
        ),
        (
            "registry.model_files.facts",
            "def f():\n    import torch",
            "registry.model_files.facts imports torch; only runtime may",
        ),
        (
            "registry.home.home",
            "import sqlalchemy",
            "registry.home.home imports sqlalchemy; only catalog may",
        ),
        (
            "registry.hub.cache",
            "def f():\n    import huggingface_hub",
            "registry.hub.cache imports huggingface_hub; only hub.huggingface may",
        ),
        (
            "registry.hub.huggingface",
            "from huggingface_hub import HfApi",
            "registry.hub.huggingface imports huggingface_hub outside of a function",
        ),
        (
            "registry.runtime.loading",
            "class A:\n    import torch.nn",
            "registry.runtime.loading imports torch outside of a function",
        ),
        (
            "registry.runtime.loading",
            "if True:\n    import requests",
            "registry.runtime.loading imports requests; only no part may",
        ),
        ("registry.utilities", "", "registry.utilities is not in the table of layers"),
    ],
)
def test_a_breach_is_seen(module: str, source: str, violation: str) -> None:
    assert violations(module, source) == [violation]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "registry.store.blobs",
            "import hashlib\nfrom ..core.digest import Digest\nfrom .backend import Backend\nfrom . import lock",
        ),
        (
            "registry.home.home",
            "if TYPE_CHECKING:\n    from sqlalchemy import Connection\nfrom ..store.lock import Lock",
        ),
        (
            "registry.runtime.loading",
            "def load():\n    import torch\n    from peft import LoraConfig",
        ),
        ("registry.model_files.weights.rows", "if TYPE_CHECKING:\n    import torch\nimport numpy"),
        (
            "registry.cli.commands.inspect",
            "import click\nfrom registry import __version__, open\nfrom registry.errors import RegistryError",
        ),
        (
            "registry.cli.commands.inspect",
            "def f():\n    from registry.catalog import fast_reads\n"
            "    from registry.catalog.fast_reads import complete",
        ),
        (
            "registry.operations.registration.add",
            "from registry.model_files import folder\nfrom registry.hub import cache\n"
            "from registry.operations.shared.resolve import resolve",
        ),
    ],
)
def test_what_the_design_allows_is_no_breach(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_importing_the_commands_loads_nothing_heavy() -> None:
    assert loaded_after("import registry.cli") == []


def test_asking_the_commands_for_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom registry.cli import main\nsys.argv = ['registry', '--help']\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code, done.code"
    )

    assert loaded_after(code) == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import registry\nregistry.open, registry.load, registry.add") == []


def test_the_short_cut_to_the_catalog_loads_nothing_heavy() -> None:
    assert loaded_after("from registry.catalog import fast_reads") == []


def test_a_library_that_was_loaded_would_be_seen() -> None:
    assert loaded_after("import numpy") == ["numpy"]
