"""Registry: base models, resized bases and adapters of Sentence Transformers, recorded, resolved and loaded exactly.

    import registry
    model = registry.load("medical@prod")

A model either loads exactly as it was registered, or says in one line why not. Every function here is also a method of
Registry, which `open` gives; called here, it acts on the home that `home=` or else REGISTRY_HOME names. What a name needs is
imported when it is first used, since the command line is typed a hundred times a day.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api.functions import (
        activate,
        add,
        alias,
        annotate,
        approve,
        audit,
        bundle,
        check,
        checkout,
        collect,
        config,
        delete,
        diff,
        du,
        find,
        lineage,
        list,
        load,
        log,
        merge,
        pull,
        push,
        repair,
        resize,
        resolve,
        save,
        show,
        status,
        sync,
        tokens,
        version_of,
        yank,
    )
    from .api.registry import Registry, init, open
    from .core.version import Model, Version
    from .errors import RegistryError

__version__ = "0.2.0"

__all__ = [
    "Model",
    "Registry",
    "RegistryError",
    "Version",
    "activate",
    "add",
    "alias",
    "annotate",
    "approve",
    "audit",
    "bundle",
    "check",
    "checkout",
    "collect",
    "config",
    "delete",
    "diff",
    "du",
    "find",
    "init",
    "lineage",
    "list",
    "load",
    "log",
    "merge",
    "open",
    "pull",
    "push",
    "repair",
    "resize",
    "resolve",
    "save",
    "show",
    "status",
    "sync",
    "tokens",
    "version_of",
    "yank",
]

_ELSEWHERE = {
    "Model": "core.version",
    "Version": "core.version",
    "RegistryError": "errors",
    "Registry": "api.registry",
    "init": "api.registry",
    "open": "api.registry",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'registry' has no attribute {name!r}")
    value = getattr(import_module(f".{_ELSEWHERE.get(name, 'api.functions')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":  # type: ignore[valid-type]
    return sorted({*globals(), *__all__})
