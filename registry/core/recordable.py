"""Texts of the user that are recorded permanently and travel to other people."""

from __future__ import annotations

from registry.errors import HUB_TOKEN, Invalid, Refused


def recordable(text: str | None, description: str) -> str | None:
    """Return the text. Raises Refused for a token of the Hub, Invalid for bytes."""
    if text is not None and any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid(f"{description} is not UTF-8: {text!r}")
    if text is not None and HUB_TOKEN.search(text):
        raise Refused(
            f"{description} contains an access token of the Hub (entries are permanent and are "
            "published)",
            hint="remove the token from the text, and revoke it at "
            "https://huggingface.co/settings/tokens",
        )
    return text
