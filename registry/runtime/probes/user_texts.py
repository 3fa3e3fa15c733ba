"""Given texts: what users want to be measured besides the fixed probes, one a line, or JSON lines with pairs and prompts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from registry.core.digest import parse_json
from registry.errors import Invalid, InvalidManifest

from . import Given

LIMIT = 1_000
"""More would make every first load in a new environment wait for minutes."""


def parse_given(lines: Iterable[Any], what: str = "the probes") -> tuple[Given, ...]:
    """The texts. A line is a text; `["question", "answer"]` a pair; `{"text": …, "prompt": …}` either with a prompt in front.

    Blank lines say nothing; a text that stands twice counts once. From Python a pair may be a tuple and an object a mapping.
    Raises Invalid naming the line.
    """
    found: dict[Given, None] = {}
    for number, line in enumerate(lines, 1):
        value = line.rstrip("\r\n") if isinstance(line, str) else line
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            try:
                value = parse_json(value.encode(), f"line {number}")
            except InvalidManifest as error:
                raise Invalid(
                    f"{what}, line {number}: {error} "
                    "(a line that begins with { or [ is read as JSON)",
                    hint=error.hint,
                ) from None
        if isinstance(value, str) and not value.strip():
            continue
        found[_given(value, f"{what}, line {number}")] = None
    if len(found) > LIMIT:
        raise Invalid(
            f"{what} contain {len(found)} texts (at most {LIMIT} are allowed, "
            "because each is encoded at the first load on every machine)"
        )
    return tuple(found)


def _given(value: Any, where: str) -> Given:
    fields = value if isinstance(value, dict) else {"text": value}
    text, prompt = fields.get("text"), fields.get("prompt")
    unknown = sorted(fields.keys() - {"text", "prompt"})
    if unknown:
        raise Invalid(f"{where} has the unknown field {unknown[0]!r} (expected text and prompt)")
    if prompt is not None and not isinstance(prompt, str):
        raise Invalid(f"{where} has the prompt {prompt!r:.40} (expected a text)")
    if isinstance(text, str):
        return Given(text, prompt)
    if (
        isinstance(text, Sequence)
        and len(text) == 2
        and all(isinstance(item, str) for item in text)
    ):
        return Given((text[0], text[1]), prompt)
    raise Invalid(f"{where} is {text!r:.60}, no text and no pair of texts")
