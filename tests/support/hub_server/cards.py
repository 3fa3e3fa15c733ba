"""What the Hub reads in a repository's README: its front matter, and the tags that make it findable by its base."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml


def front_matter(readme: bytes) -> dict[str, Any]:
    """The values between the two lines of dashes; {} where there are none, or where they are no YAML."""
    try:
        return parse(readme.decode("utf-8", "replace"))
    except yaml.YAMLError:
        return {}


def parse(text: str) -> dict[str, Any]:
    """The same, with what the parser raises. Values that JSON does not know are texts."""
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != "---":
        return {}
    end = next(
        (number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), len(lines)
    )
    found = yaml.load("\n".join(lines[1:end]), yaml.BaseLoader)
    return found if isinstance(found, dict) else {}


def bases(card: dict[str, Any]) -> list[str]:
    """The repositories that this one stands on."""
    named = card.get("base_model") or []
    return [
        base for base in ([named] if isinstance(named, str) else named) if isinstance(base, str)
    ]


def relation(card: dict[str, Any], paths: Iterable[str]) -> str:
    """How it stands on them: as said, else as its files look."""
    return card.get("base_model_relation") or (
        "adapter" if "adapter_config.json" in paths else "finetune"
    )


def tags(card: dict[str, Any], paths: Iterable[str]) -> list[str]:
    """The tags a search filters by."""
    said = card.get("tags") or []
    found = [tag for tag in ([said] if isinstance(said, str) else said) if isinstance(tag, str)]
    found += [
        card[key] for key in ("library_name", "pipeline_tag") if isinstance(card.get(key), str)
    ]
    found += [f"license:{card['license']}"] if isinstance(card.get("license"), str) else []
    how = relation(card, paths)
    for base in bases(card):
        found += [f"base_model:{base}", f"base_model:{how}:{base}"]
    return list(dict.fromkeys(found))
