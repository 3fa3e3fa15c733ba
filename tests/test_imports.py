"""Who may import whom: DESIGN section 4 and registry/DESIGN.md, as tables that are enforced."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

WORDS = {
    "verdicts",
    "digest",
    "reference",
    "manifest",
    "entry",
    "version",
    "facts",
    "settings",
    "errors",
    "results",
    "progress",
    "differences",
    "published",
    "filenames",
    "garbage",
    "findings",
    "moment",
    "movement",
    "order",
    "page",
    "plural",
    "saved",
    "shown",
    "source",
    "stamp",
    "there",
    "written",
}
ROOMS = {"store", "catalog", "artifacts", "hub"}
PUBLIC = {"", "api", "functions"}
"""The empty name is the package itself."""
MAY_IMPORT: dict[str, set[str]] = {
    **dict.fromkeys(WORDS, WORDS),
    **{room: {room} | WORDS for room in ROOMS},
    "helpers": ROOMS | WORDS,
    "site": ROOMS | WORDS,
    "home": {"helpers", "site"} | ROOMS | WORDS,
    "actions": {"actions", "home", "helpers", "site"} | ROOMS | WORDS,
    "api": {"actions", "home", "site"} | WORDS,
    "functions": {"api"} | WORDS,
    "": {"api", "functions"} | WORDS,
    "cli": {"cli"} | PUBLIC | WORDS,
    "integrations": {"integrations"} | PUBLIC | WORDS,
    "__main__": {"cli"},
}
"""What each part of the package may import of the package."""

SHORT_CUTS = {("cli", "catalog.glance")}
"""`list` and completion are typed a hundred times a day: they ask the database without what the long way loads."""

HOMES: dict[str, tuple[str, ...]] = {
    "sqlalchemy": ("catalog",),
    "alembic": ("catalog",),
    "torch": ("artifacts",),
    "sentence_transformers": ("artifacts",),
    "peft": ("artifacts",),
    "safetensors": ("artifacts",),
    "tokenizers": ("artifacts",),
    "transformers": ("artifacts", "integrations"),
    "numpy": ("artifacts",),
    "huggingface_hub": ("hub.huggingface",),
    "yaml": ("artifacts", "hub.card"),
    "click": ("cli",),
    "rich": ("cli",),
}
"""The only places that may import each library of others; for a value's type alone, any place may."""
HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "peft",
    "safetensors",
    "tokenizers",
    "huggingface_hub",
)
"""To be imported inside functions, by who needs them, when it is needed."""
NEVER_AT_THE_START = ("torch", "transformers", "huggingface_hub", "alembic", "sqlalchemy", "numpy")


@dataclass(frozen=True)
class Import:
    """One imported module, and where it stands."""

    module: str
    inside: bool
    """In a function, so that it runs when that is called."""
    typing: bool
    """Under `if TYPE_CHECKING`, so that it never runs."""


def imports(module: str, source: str, *, is_package: bool = False) -> Iterator[Import]:
    """Every import of a module's source, relative ones resolved; `from x import y` is `x.y`."""
    package = module if is_package else module.rpartition(".")[0]

    def visit(node: ast.AST, *, inside: bool, typing: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, inside, typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = (
                ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
                if node.level
                else ""
            )
            origin = ".".join(part for part in (above, node.module) if part)
            yield from (Import(f"{origin}.{alias.name}", inside, typing) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in (
            "TYPE_CHECKING",
            "typing.TYPE_CHECKING",
        ):
            for child in node.body:
                yield from visit(child, inside=inside, typing=True)
            for child in node.orelse:
                yield from visit(child, inside=inside, typing=typing)
        else:
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, inside=inside or is_function, typing=typing)

    yield from visit(ast.parse(source), inside=False, typing=False)


def part_of(module: str) -> str:
    """The part of the package that `registry.part.…` belongs to; a public name of the package itself is the package's."""
    part = module.split(".")[1] if "." in module else ""
    return part if part in MAY_IMPORT else ""


def lies_in(module: str, home: str) -> bool:
    """Whether a module of the package is that part, or below it."""
    return f"{module}.".startswith(f"registry.{home}.")


def breaches(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """What a module imports and may not, a sentence each."""
    part = module.split(".")[1] if "." in module else ""
    if part not in MAY_IMPORT:
        return [f"{module} has no place in the table of who may import whom"]
    found = []
    for item in imports(module, source, is_package=is_package):
        library = item.module.split(".")[0]
        if library == "registry":
            short = any(
                part == ours and lies_in(item.module, theirs) for ours, theirs in SHORT_CUTS
            )
            if part_of(item.module) not in MAY_IMPORT[part] and not short:
                found.append(f"{module} imports {item.module}; {part or 'the package'} may not")
        elif library in sys.stdlib_module_names or item.typing:
            continue
        elif not any(lies_in(module, home) for home in HOMES.get(library, ())):
            found.append(
                f"{module} imports {library}, whose home is {' and '.join(HOMES.get(library, ())) or 'nowhere'}"
            )
        elif library in HEAVY and not item.inside:
            found.append(f"{module} imports {library} outside of any function")
    return found


def modules(folder: str) -> list[tuple[str, Path]]:
    """(dotted name, file) of all modules below a folder of the project."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    return [
        (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path)
        for path in paths
    ]


def loaded_after(code: str) -> list[str]:
    """Which of the libraries that must wait are loaded in a new process that ran this code."""
    report = f"import sys; sys.stderr.write(' '.join(sorted(set({NEVER_AT_THE_START!r}) & set(sys.modules))))"
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
    assert breaches(module, path.read_text(), is_package=path.name == "__init__.py") == []


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

    assert parts <= set(MAY_IMPORT)
    assert parts >= WORDS | ROOMS | {"home", "actions", "api", "cli"}


@pytest.mark.parametrize(
    ("module", "source", "breach"),
    [
        (
            "registry.digest",
            "from . import store",
            "registry.digest imports registry.store; digest may not",
        ),
        ("registry.digest", "import click", "registry.digest imports click, whose home is cli"),
        (
            "registry.store.blobs",
            "from ..catalog.engine import Catalog",
            "registry.store.blobs imports registry.catalog.engine.Catalog; store may not",
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
            "def f():\n    from ..home import Home",
            "registry.store.blobs imports registry.home.Home; store may not",
        ),
        (
            "registry.catalog.engine",
            "if TYPE_CHECKING:\n    from ..store.blobs import Blobs",
            "registry.catalog.engine imports registry.store.blobs.Blobs; catalog may not",
        ),
        (
            "registry.store.blobs",
            "from .. import open",
            "registry.store.blobs imports registry.open; store may not",
        ),
        (
            "registry.home",
            "from .actions import add",
            "registry.home imports registry.actions.add; home may not",
        ),
        (
            "registry.api",
            "from .catalog import queries",
            "registry.api imports registry.catalog.queries; api may not",
        ),
        (
            "registry.cli.look",
            "from ..actions.look import show",
            "registry.cli.look imports registry.actions.look.show; cli may not",
        ),
        (
            "registry.cli.look",
            "from ..catalog import queries",
            "registry.cli.look imports registry.catalog.queries; cli may not",
        ),
        (
            "registry.actions.add",
            "from ..cli import main",
            "registry.actions.add imports registry.cli.main; actions may not",
        ),
        (
            "registry.home",
            "import sqlalchemy",
            "registry.home imports sqlalchemy, whose home is catalog",
        ),
        (
            "registry.hub.cache",
            "def f():\n    import huggingface_hub",
            "registry.hub.cache imports huggingface_hub, whose home is hub.huggingface",
        ),
        (
            "registry.hub.huggingface",
            "from huggingface_hub import HfApi",
            "registry.hub.huggingface imports huggingface_hub outside of any function",
        ),
        (
            "registry.artifacts.weights",
            "class A:\n    import torch.nn",
            "registry.artifacts.weights imports torch outside of any function",
        ),
        (
            "registry.artifacts.weights",
            "if True:\n    import requests",
            "registry.artifacts.weights imports requests, whose home is nowhere",
        ),
        (
            "registry.utilities",
            "",
            "registry.utilities has no place in the table of who may import whom",
        ),
    ],
)
def test_a_breach_is_seen(module: str, source: str, breach: str) -> None:
    assert breaches(module, source) == [breach]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "registry.store.blobs",
            "import hashlib\nfrom ..digest import Digest\nfrom .backend import Backend\nfrom . import lock",
        ),
        (
            "registry.home",
            "if TYPE_CHECKING:\n    from sqlalchemy import Connection\nfrom .store.lock import Lock",
        ),
        (
            "registry.artifacts.loading",
            "def load():\n    import torch\n    from peft import LoraConfig",
        ),
        ("registry.artifacts.rows", "if TYPE_CHECKING:\n    import torch\nimport numpy"),
        (
            "registry.cli.look",
            "import click\nfrom .. import __version__, open\nfrom ..errors import RegistryError",
        ),
        (
            "registry.cli.look",
            "def f():\n    from ..catalog import glance\n    from ..catalog.glance import complete",
        ),
        (
            "registry.actions.add",
            "from ..artifacts import folder\nfrom ..hub import cache\nfrom .common import resolve",
        ),
    ],
)
def test_what_the_design_allows_is_no_breach(module: str, source: str) -> None:
    assert breaches(module, source) == []


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
    assert loaded_after("from registry.catalog import glance") == []


def test_a_library_that_was_loaded_would_be_seen() -> None:
    assert loaded_after("import numpy") == ["numpy"]
