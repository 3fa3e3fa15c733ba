"""What goes wrong in the Hub's client, as a line of ours."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelInfo

from registry.errors import HubUnavailable
from registry.hub.huggingface.translate import translated
from registry.hub.plan import numbers


@pytest.mark.parametrize(("address", "shown"), [
    ("https://anna:secret@proxy.example:3128/path?key=secret", "proxy.example"), ("http://[secret", "…"), ("socks5://secret@", "…")])
def test_of_an_address_nothing_but_its_host_is_shown(address, shown):
    with pytest.raises(HubUnavailable) as raised, translated("org/medical", None):
        raise OSError(f"cannot connect by {address} now")

    assert "secret" not in str(raised.value) and f"cannot connect by {shown} now" in str(raised.value)


def test_a_senseless_answer_is_said_in_a_line():
    with pytest.raises(HubUnavailable, match="no sensible answer for hf://org/medical"), translated("org/medical", None):
        ModelInfo()


def test_a_mistake_of_our_own_does_not_look_like_the_hub_s():
    with pytest.raises(AttributeError), translated("org/medical", None):
        tag_of_all = numbers(None)
        assert tag_of_all
