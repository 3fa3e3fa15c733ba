"""Describe JSON values by their keys and types, so that two runs give one description.

A list is described by the union of its members. A map whose keys are data (paths,
names, digests) is described by the union of its values under the key `<key>`. A key
that only some of the described objects have ends with `?`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

SCALARS = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass
class Form:
    """The union of the described values."""

    scalars: set[str] = field(default_factory=set)
    members: Form | None = None
    """The union of the members of all lists, None if no value is a list."""
    fields: dict[str, Form] | None = None
    """The union of the values of all objects by key, None if no value is an object."""
    objects: int = 0
    """The number of objects that were described."""
    presence: dict[str, int] = field(default_factory=dict)
    """The number of objects that have the key."""

    def add(self, value: Any, data_maps: frozenset[str] = frozenset(), key: str = "") -> None:
        """Widen the form by a value, which is stored under `key`."""
        if isinstance(value, list):
            self.members = self.members or Form()
            for item in value:
                self.members.add(item, data_maps)
        elif isinstance(value, dict):
            self.fields = self.fields or {}
            self.objects += 1
            for name, item in value.items():
                stored = "<key>" if key in data_maps else name
                self.fields.setdefault(stored, Form()).add(item, data_maps, name)
                self.presence[stored] = self.presence.get(stored, 0) + 1
        else:
            self.scalars.add(SCALARS[type(value)])

    def to_json(self) -> Any:
        """Return a text, a list of one member, an object, or `any of` these."""
        alternatives: list[Any] = []
        if self.scalars:
            alternatives.append(" | ".join(sorted(self.scalars)))
        if self.members is not None:
            description = self.members.to_json()
            alternatives.append([description] if description else [])
        if self.fields is not None:
            alternatives.append(
                {
                    name
                    if name == "<key>" or self.presence[name] >= self.objects
                    else f"{name}?": form.to_json()
                    for name, form in self.fields.items()
                }
            )
        if len(alternatives) > 1:
            return {"any of": alternatives}
        return alternatives[0] if alternatives else ""


def form_of(values: Iterable[Any], data_maps: Iterable[str] = ()) -> Any:
    """Return the description of values, e.g. of several outputs of one command."""
    form = Form()
    for value in values:
        form.add(value, frozenset(data_maps))
    return form.to_json()
