"""beside: what to know of several adapters that were saved from one model, each of which is a version that loads alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import RegistryError
from ..home import Home
from ..progress import Progress
from ..version import Version
from .load import load
from .several import activate

if TYPE_CHECKING:
    from ..artifacts.live import Live

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def remarks(
    home: Home,
    live: Live,
    acting: tuple[str, ...],
    base: Version,
    versions: Mapping[str, Version],
    progress: Progress,
) -> tuple[str, ...]:
    """Which of the versions, by adapter, is what acts in memory; where several act, how all of them are loaded, which is tried."""
    if len(versions) < 2:
        return ()
    if len(acting) == 1:
        return (
            f"of {len(versions)} adapters only {acting[0]!r} acts in memory, which is {versions[acting[0]].reference}; each version loads "
            "with its own adapter alone",
        )
    names = {
        adapter: adapter if _NAME.fullmatch(adapter) else f"adapter{number}"
        for number, adapter in enumerate(acting)
    }
    chosen = {names[adapter]: versions[adapter].reference for adapter in acting}
    said = f"{' and '.join(map(repr, acting))} act together in memory, and each version loads with its own adapter alone"
    typed = f"registry.load({base.reference!r}, adapters={chosen}), then registry.activate(model, {', '.join(map(repr, chosen))})"
    try:
        from ..artifacts import returning

        back = load(home, base, probes="skip", progress=progress, adapters=chosen, device="cpu")
        activate(back, *chosen)
        problem = returning.together(live, back, names)
    except RegistryError as error:
        return (f"{said}; together they cannot be loaded: {error.with_hint()}",)
    return (
        f"{said}; together: {typed}"
        if problem is None
        else f"{said}; together, by {typed}, it is not what it is in memory: {problem}",
    )
