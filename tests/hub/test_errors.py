"""What goes wrong in the Hub's client, as a line of ours."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelInfo

from registry.errors import HubUnavailable
from registry.hub.huggingface.errors import translated
from registry.hub.plan import numbers
from tests.support.refusals import raises, text_of


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://anna:secret@proxy.example:3128/path?key=secret", "proxy.example"),
        ("http://[secret", "…"),
        ("socks5://secret@", "…"),
    ],
)
def test_of_an_address_nothing_but_its_host_is_shown(address, shown):
    quoted = ("hf://org/medical", f"cannot connect by {shown} now")
    with raises(HubUnavailable, *quoted) as raised, translated("org/medical", None):
        raise OSError(f"cannot connect by {address} now")

    assert "secret" not in text_of(raised.value)


def test_a_senseless_answer_is_said_in_a_line():
    with raises(HubUnavailable, "hf://org/medical") as raised, translated("org/medical", None):
        ModelInfo()

    assert not raised.value.momentary


def test_a_mistake_of_our_own_does_not_look_like_the_hub_s():
    with pytest.raises(AttributeError), translated("org/medical", None):
        tag_of_all = numbers(None)
        assert tag_of_all
