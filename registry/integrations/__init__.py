"""Integrations: the registry inside other libraries' loops.

from registry.integrations import RegistryCallback
trainer = SentenceTransformerTrainer(model, args, ..., callbacks=[RegistryCallback("medical")])
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .callback import Recorder as RegistryCallback

__all__ = ["RegistryCallback"]


def __getattr__(name: str) -> Any:
    if name != "RegistryCallback":
        raise AttributeError(f"module 'registry.integrations' has no attribute {name!r}")
    from .callback import callback_class

    globals()[name] = callback_class()
    return globals()[name]
