"""Run approved custom code, and nothing else, while a model is loaded.

The library copies a model's Python files into a modules cache, imports them there and
lets them register classes. Here the cache is a private folder (0700) of this process
with verified bytes, bytecode is neither read nor written, and the automatic registries
of the library are restored. Once code runs it can do anything; the guard ensures which
code runs. Source: transformers 5.23, dynamic_module_utils and models/auto.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.abc
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from registry.core.code_permission import is_permitted
from registry.core.digest import digest_of
from registry.errors import ForeignCode, NotLoadable
from registry.model_files.code import Code, code_of, references_of
from registry.model_files.folder import Folder

PACKAGE = "transformers_modules"
_LOCK = threading.RLock()
_OTHER_BACKENDS = frozenset({"onnx", "openvino"})
"""Folders that the torch backend does not read."""
_LIBRARIES = frozenset(
    {"transformers", "sentence_transformers", "peft", "torch", "tokenizers", "builtins"}
)
_cache: list[Path] = []


@dataclass(frozen=True)
class _Source:
    """A folder with code, and the name of its package in the modules cache."""

    folder: Path
    code: Code
    package: str


@contextlib.contextmanager
def running_code(folder: Path) -> Iterator[bool]:
    """Yield whether a model needs code; if so, exactly its files can be imported.

    Raises ForeignCode if the code is not permitted in the current context.
    """
    folders = [folder, *_base_folders(folder)]
    codes = {path: code for path in folders if (code := _code_in(path)) is not None}
    if not codes:
        yield False
        return
    _refuse_unpermitted(codes)
    with _LOCK:
        sources = [_install(path, code) for path, code in codes.items()]
        with _own_modules(sources), _restored_registries(), _no_bytecode():
            yield True


def verify_classes(model: Any, folder: Path) -> None:
    """Raise NotLoadable for a class that is neither approved nor of a library."""
    codes = [_code_in(path) for path in (folder, *_base_folders(folder))]
    approved = {digest for code in codes if code is not None for _, digest in code.files}
    parts = [*model.modules()]
    parts += [
        part
        for module in model.modules()
        for name in ("config", "tokenizer", "processor")
        if (part := getattr(module, name, None)) is not None
    ]
    for part_class in {base for part in parts for base in type(part).__mro__}:
        name = part_class.__module__
        file = getattr(sys.modules.get(name), "__file__", None)
        if name.partition(".")[0] in _LIBRARIES or _is_installed(file, name):
            continue
        if file is None or digest_of(Path(file).read_bytes()) not in approved:
            raise NotLoadable(
                f"the class {name}.{part_class.__qualname__} of the loaded model is neither of an "
                "installed library nor of the approved code"
            )


def _is_installed(file: str | None, name: str) -> bool:
    if name.partition(".")[0] in sys.stdlib_module_names:
        return True
    return file is not None and any(
        part in ("site-packages", "dist-packages") for part in Path(file).parts
    )


def _base_folders(folder: Path) -> list[Path]:
    """Return the folder that an adapter's configuration names as its base."""
    config = folder / "adapter_config.json"
    if not config.is_file():
        return []
    base = json.loads(config.read_bytes()).get("base_model_name_or_path")
    return [Path(base)] if isinstance(base, str) and Path(base).is_dir() else []


def _code_in(folder: Path) -> Code | None:
    # links may lead anywhere: the digests of the files decide
    files = Folder(folder, links_into=[Path("/")])
    paths = [path for path in files.paths() if not _OTHER_BACKENDS & set(path.split("/"))]
    if not any(path.endswith(".py") for path in paths):
        return None
    references = references_of(files, paths)
    if not references or not any(r.file in paths for r in references):
        return None
    return code_of(files, references)


def _refuse_unpermitted(codes: Mapping[Path, Code]) -> None:
    permitted = [code for code in codes.values() if is_permitted(code.digest)]
    for code in codes.values():
        if code not in permitted and not any(base.contains(code) for base in permitted):
            raise ForeignCode(
                f"the model runs custom code that is not approved: {code.digest} "
                f"({', '.join(path for path, _ in code.files)})",
                hint=f"read the files, then: registry approve {code.digest}",
            )


def _modules_cache() -> Path:
    """Return the private modules cache of this process, made at the first use."""
    if not _cache:
        cache = Path(tempfile.mkdtemp(prefix="registry-modules-"))
        atexit.register(shutil.rmtree, cache, ignore_errors=True)
        (cache / PACKAGE).mkdir(mode=0o700)
        (cache / PACKAGE / "__init__.py").touch(mode=0o400)
        _cache.append(cache)
    return _cache[0]


def _install(folder: Path, code: Code) -> _Source:
    """Write the verified files into the modules cache, or verify them there."""
    package = f"registry_{_TOKEN}_{code.digest.hex[:32]}"
    root = _modules_cache() / PACKAGE / package
    for path, digest in code.files:
        content = (folder / path).read_bytes()
        if digest_of(content) != digest:
            raise ForeignCode(f"{path} was changed while the model was loaded")
        copy = root / path
        copy.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        if not copy.is_file() or copy.is_symlink() or copy.read_bytes() != content:
            copy.unlink(missing_ok=True)
            copy.write_bytes(content)
            _forget(f"{PACKAGE}.{package}")
    expected = {root / path for path, _ in code.files}
    for copy in root.rglob("*.py"):
        if copy not in expected:
            copy.unlink()
    return _Source(folder, code, package)


_TOKEN = secrets.token_hex(8)
"""Makes the names of packages unique, so that no other modules cache has them."""


def _forget(package: str) -> None:
    for name in [*sys.modules]:
        if name == package or name.startswith(f"{package}."):
            del sys.modules[name]


@contextlib.contextmanager
def _own_modules(sources: Sequence[_Source]) -> Iterator[None]:
    """Let the library find the code of these folders in the private cache only."""
    from transformers import dynamic_module_utils as library

    cache = _modules_cache()
    _extend_package(cache, Path(library.HF_MODULES_CACHE))
    by_folder = {os.path.realpath(source.folder): source for source in sources}

    def module_file(pretrained_model_name_or_path: Any, module_file: str, **_: Any) -> str:
        where = os.path.realpath(str(pretrained_model_name_or_path))
        source = by_folder.get(where)
        if source is None or module_file not in {path for path, _ in source.code.files}:
            raise ForeignCode(
                f"the model refers to code that is not approved: {module_file!r} of "
                f"{str(pretrained_model_name_or_path)!r}"
            )
        return str(Path(PACKAGE, source.package, module_file))

    names = {
        path.removesuffix(".py").rpartition("/")[2]
        for source in sources
        for path, _ in source.code.files
    }
    blocker = _Blocker(frozenset(names))
    before = (library.HF_MODULES_CACHE, library.get_cached_module_file, [*sys.path])
    working_folder = str(Path.cwd())
    library.HF_MODULES_CACHE = str(cache)
    library.get_cached_module_file = module_file
    sys.path[:] = [path for path in sys.path if path and os.path.abspath(path) != working_folder]
    sys.meta_path.insert(0, blocker)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.meta_path.remove(blocker)
        library.HF_MODULES_CACHE, library.get_cached_module_file = before[:2]
        sys.path[:] = before[2]
        if str(cache) not in sys.path:  # processes that are spawned later import from it
            sys.path.append(str(cache))


class _Blocker(importlib.abc.MetaPathFinder):
    """Refuses top-level imports of names that files of the model have."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        """Raise ImportError for a module that would hide a file of the model."""
        if path is None and fullname in self.names:
            raise ImportError(f"{fullname} is a file of the model, not an installed module")


def _extend_package(cache: Path, plain_cache: Path) -> None:
    """Make the packages of the cache importable below `transformers_modules`.

    Those of the library's own cache stay importable, for plain loading in this process.
    """
    package = sys.modules.get(PACKAGE)
    if package is None:
        package = ModuleType(PACKAGE)
        package.__path__ = []
        sys.modules[PACKAGE] = package
    folders = [str(cache / PACKAGE), str(plain_cache / PACKAGE)]
    package.__path__ = [*folders, *(path for path in package.__path__ if path not in folders)]


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Read no compiled Python file, and write none."""
    with tempfile.TemporaryDirectory(prefix="registry-pycache-") as empty:
        before = (sys.pycache_prefix, sys.dont_write_bytecode)
        sys.pycache_prefix, sys.dont_write_bytecode = empty, True
        try:
            yield
        finally:
            sys.pycache_prefix, sys.dont_write_bytecode = before


@contextlib.contextmanager
def _restored_registries() -> Iterator[None]:
    """Use the library's own classes only; undo every registration afterwards."""
    from transformers import conversion_mapping
    from transformers.models import auto
    from transformers.models.auto import (
        auto_factory,
        configuration_auto,
        modeling_auto,
        processing_auto,
        tokenization_auto,
    )

    modules = [
        auto,
        auto_factory,
        configuration_auto,
        conversion_mapping,
        modeling_auto,
        processing_auto,
        tokenization_auto,
        *(
            module
            for name, module in sys.modules.items()
            if name.startswith("transformers.models.auto.") and module is not None
        ),
    ]
    tables = _tables(modules)
    before = [(table, table.copy()) for table in tables]
    for table in tables:
        for key, entry in [*table.items()]:
            if any(_is_foreign(part) for part in (key, entry)):
                del table[key]
    try:
        yield
    finally:
        for table, content in before:
            table.clear()
            table.update(content)


def _tables(modules: Sequence[ModuleType]) -> list[dict[Any, Any]]:
    """Return the tables of registered classes and of names in the library's modules."""
    tables: dict[int, dict[Any, Any]] = {}
    for module in modules:
        for name, entry in vars(module).items():
            extra = vars(entry).get("_extra_content") if hasattr(entry, "__dict__") else None
            if isinstance(extra, dict):
                tables[id(extra)] = extra
            elif name.isupper() and type(entry) in (dict, OrderedDict):
                tables[id(entry)] = entry
    return [*tables.values()]


def _is_foreign(part: object) -> bool:
    """Return whether a registered class, or one of several, is not of transformers."""
    if isinstance(part, (tuple, list)):
        return any(_is_foreign(p) for p in part)
    return isinstance(part, type) and not part.__module__.startswith("transformers.")
