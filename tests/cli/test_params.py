import pytest

from registry.cli.params import Duration, notes
from registry.errors import Invalid
from tests.support.refusals import raises


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("1h", 3600),
        ("1.5h", 5400),
        ("7d", 604800),
    ],
)
def test_a_length_of_time_is_told_in_seconds(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "1w", "1 h", "h", "nan", "١"])
def test_what_is_no_length_of_time_is_refused(text):
    with raises(Invalid, repr(text), "30m", "1h", "7d"):
        Duration().convert(text, None, None)


def test_notes_are_set_and_taken_away():
    assert notes(("owner=anna", "formula=a=b", "empty="), ("ticket",)) == {
        "owner": "anna",
        "formula": "a=b",
        "empty": "",
        "ticket": None,
    }


@pytest.mark.parametrize(
    ("texts", "removed"),
    [(("owner",), ()), (("owner=a", "owner=b"), ()), (("owner=a",), ("owner",))],
)
def test_notes_that_cannot_be_meant_are_refused(texts, removed):
    with pytest.raises(Invalid):
        notes(texts, removed)
