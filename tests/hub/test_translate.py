"""What goes wrong in the Hub's client, as a line of ours."""

from __future__ import annotations

import pytest

from registry.errors import HubUnavailable
from registry.hub.huggingface.translate import translated


@pytest.mark.parametrize(("address", "shown"), [
    ("https://anna:secret@proxy.example:3128/path?key=secret", "proxy.example"), ("http://[secret", "…"), ("socks5://secret@", "…")])
def test_of_an_address_nothing_but_its_host_is_shown(address, shown):
    with pytest.raises(HubUnavailable) as raised, translated("org/medical", None):
        raise OSError(f"cannot connect by {address} now")

    assert "secret" not in str(raised.value) and f"cannot connect by {shown} now" in str(raised.value)
