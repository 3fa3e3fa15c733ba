"""A parsed tokenizer.json whose large tables are encoded as JSON once.

The tokenizer digest and the canonical form cover the same tables of pieces and merges.
Encoding hundreds of thousands of entries is most of the cost of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.core.digest import Digest

from .canonical_form import canonical_backend, compact_json, digest_of_text

_WITHOUT_INFLUENCE = ("truncation", "padding")


class TokenizerJson:
    """The object of a tokenizer.json, which must not be changed."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self._texts: dict[int, str] = {}

    def without_vocabulary(self) -> str:
        """Return compact JSON without truncation, padding and the table of ids.

        Scores and merges stay.
        """
        members = {
            key: self._model(part) if key == "model" else compact_json(part)
            for key, part in self.content.items()
            if key not in _WITHOUT_INFLUENCE
        }
        return _object(members)

    def canonical(self) -> dict[str, Any]:
        """Return the canonical form by component."""
        return canonical_backend(self.content, self._digest)

    def _model(self, model: object) -> str:
        if not isinstance(model, dict):
            return compact_json(model)
        members = {
            key: self._text(part)
            for key, part in model.items()
            if key != "vocab" or not isinstance(part, dict)
        }
        return _object(members)

    def _text(self, part: object) -> str:
        """Return a part of the model as compact JSON; a list is encoded once."""
        if not isinstance(part, list):
            return compact_json(part)
        # The content keeps the list alive, so no other object gets its identity.
        text = self._texts.get(id(part))
        if text is None:
            text = self._texts[id(part)] = compact_json(part)
        return text

    def _digest(self, table: object) -> Digest:
        return digest_of_text(self._texts.get(id(table)) or compact_json(table))


def _object(members: Mapping[str, str]) -> str:
    """Return a JSON object whose values are encoded already, with sorted keys."""
    return f"{{{','.join(f'{compact_json(key)}:{members[key]}' for key in sorted(members))}}}"
