"""Homes for the tests of push and pull: the line base -> resized -> adapter made by hand, and what a home holds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import registry
from tests.support import plain
from tests.support.warm import Ran, Warm

ADDED = ("zorvaxin", "quelora")


@dataclass(frozen=True)
class Place:
    """A home, and the commands run in it by processes that talk to the hub."""

    root: Path
    warm: Warm

    def run(self, *arguments: object, **environment: str) -> Ran:
        """A command of `registry`."""
        return self.warm.run(*arguments, **{"REGISTRY_HOME": str(self.root), **environment})

    def ok(self, *arguments: object, **environment: str) -> Any:
        """A command that succeeds; the JSON it prints."""
        ran = self.run(*arguments, "--json", **environment)
        assert ran.code == 0, ran.err
        return ran.json

    @property
    def registry(self) -> registry.Registry:
        return registry.Registry(self.root)

    def empty(self, root: Path) -> Place:
        """Another home, with nothing in it."""
        registry.init(root).close()
        return Place(root, self.warm)

    def copy(self, root: Path, *, forget: bool = False) -> Place:
        """Another home with the same content; with forget, a home of somebody else's, who registered the same folders and published nothing."""
        shutil.copytree(self.root, root, symlinks=True)
        place = Place(root, self.warm)
        if forget:
            entries = sorted((root / "journal").iterdir())
            first = next(
                index
                for index, path in enumerate(entries)
                if b'"kind":"Publish"' in path.read_bytes()
            )
            for path in entries[first:]:
                path.unlink()
            shutil.rmtree(root / "catalog")
        return place

    def digests(self) -> dict[str, str]:
        """Manifest digests of all versions, by reference."""
        with self.registry as reg:
            return {
                version.reference: str(version.digest)
                for model in reg.list()
                for version in reg.list(model.name)
            }

    def log(self) -> list[dict[str, Any]]:
        """Kinds and bodies of all entries, oldest first."""
        with self.registry as reg:
            return [{"kind": row.kind, **row.body} for row in reversed(reg.log())]


def add(place: Place, folder: Path, name: str, **options: Any) -> registry.Version:
    """A folder as a version of a home."""
    with place.registry as reg:
        return reg.add(folder, name, **options, measure=False).version


def another(place: Place, folder: Path, *, seed: int = 0, query: str = "q: ") -> registry.Version:
    """A further version of minilm, made in `folder`."""
    return add(place, plain.base(folder, seed=seed, prompts={"query": query}), "minilm")


def states(place: Place, *arguments: str) -> dict[str, str]:
    """What `status` says, by reference."""
    return {state["reference"]: state["state"] for state in place.ok("status", *arguments)}


def wait_for(what: Callable[[], Any]) -> Any:
    """What something gives once that is neither none nor empty; half a minute at most."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come")


def fill(root: Path, folder: Path) -> None:
    """A home with minilm@1, minilm-medical@1 that has two tokens more, and the adapter medical@1 on it, added from `folder`."""
    folder.mkdir()
    base = plain.base(folder / "base")
    resized = plain.base(folder / "resized", added=ADDED)
    adapter = plain.adapter(folder / "medical", resized, added=ADDED)
    with registry.init(root) as reg:
        reg.add(base, "minilm", message="the base", measure=False)
        reg.add(resized, "minilm-medical", parent="minilm@1", measure=False)
        reg.add(adapter, "medical", message="first training", measure=False)
