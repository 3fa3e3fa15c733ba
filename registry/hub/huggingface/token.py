"""The token of whoever asks, before it is put into a request. It is never said."""

from __future__ import annotations

import re

from registry.errors import Invalid

_FORM = re.compile(r"[!-~]+", re.ASCII)


def refuse_malformed_token() -> None:
    """Raises Invalid for a token that no request can carry; the client finds that out only as it writes one, and blames its encoding."""
    from huggingface_hub import get_token

    token = get_token()
    if token is not None and not _FORM.fullmatch(token):
        raise Invalid(
            "the token for the Hub is malformed: it contains a space or a letter that is not "
            "ASCII, so the Hub was not contacted",
            hint="set another HF_TOKEN, or log in with: hf auth login",
        )
