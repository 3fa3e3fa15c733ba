"""An entry that is whole and chained and cannot be so: every command names the one that goes on without it, which loses nothing."""

from __future__ import annotations

import shutil

import pytest

from registry.core.entry import Alias, Body, Delete, Init, Register, parse
from registry.errors import BrokenChain, EntryRefused
from tests.operations.maintenance.audit.damage import catalog_file, dump, entry_file, flip, names
from tests.support.refusals import raises


def forge(reg, number: int, body: Body, *, identifier: str = "") -> bytes:
    """Put an entry after the last, as somebody would who may write there; its bytes."""
    last = parse(entry_file(reg, number - 1).read_bytes())
    content = type(last)(
        number, identifier or f"{number:032}", last.time, "mallory", body, last.digest
    ).to_bytes()
    entry_file(reg, number).write_bytes(content)
    return content


def registering(reg, name: str, number: int) -> Register:
    version = reg.resolve("minilm@1")
    return Register(name, number, version.digest, version.facts)


FORGED = {
    "of what is not there": (lambda reg: Alias("nosuch", "prod", 9), ()),
    "of what is registered already": (lambda reg: registering(reg, "minilm", 1), ("minilm@1",)),
    "of a name in another case": (lambda reg: registering(reg, "MiniLM", 2), ("MiniLM@2",)),
    "a second beginning": (lambda reg: Init("0" * 32), ()),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("catalog", ["behind", "lost"])
@pytest.mark.parametrize(("forged", "costs"), FORGED.values(), ids=FORGED)
def test_a_forged_last_entry_is_set_aside_by_the_command_that_every_other_names(
    copied, forged, costs, catalog, tmp_path
):
    before = dump(copied)
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    content = forge(copied, 5, forged(copied))
    copied.close()
    if catalog == "lost":
        shutil.rmtree(catalog_file(copied).parent)

    for ask in (
        copied.list,
        lambda: copied.show("medical@1"),
        lambda: copied.annotate("medical@1", {"a": "b"}),
    ):
        with raises(EntryRefused, "registry audit", "registry repair --accept-journal"):
            ask()
    finding = next(item for item in copied.audit().findings if item.name != "catalog-missing")
    assert finding.name == "entry-refused"
    assert finding.mend.startswith("registry repair --accept-journal")
    for sources in ([], [tmp_path / "all.tar"]):
        (lost,) = copied.repair(sources).lost
        assert lost.what.startswith("entry 5 of the journal, which cannot be folded: ")
        assert entry_file(copied, 5).exists()

    repaired = copied.repair(accept_journal=True)

    assert [path.read_bytes() for path in repaired.set_aside] == [content]
    assert (repaired.entries, repaired.forgotten) == (4, costs)
    assert dump(copied) == before
    assert names(copied, full=True) == []
    copied.annotate("medical@1", {"still": "works"})


def test_what_follows_a_forged_entry_goes_with_it_and_is_told(copied):
    later = registering(copied, "later", 1)
    contents = [forge(copied, 5, Delete("nothing", 7)), forge(copied, 6, later)]

    (lost,) = copied.repair().lost
    repaired = copied.repair(accept_journal=True)

    assert lost.versions == ("later@1",)
    assert repaired.forgotten == ("later@1",)
    assert [path.read_bytes() for path in repaired.set_aside] == contents
    assert names(copied) == []


def test_an_entry_with_the_id_of_an_earlier_one_is_set_aside_too(copied):
    forge(
        copied,
        5,
        Alias("medical", "prod", 1),
        identifier=parse(entry_file(copied, 4).read_bytes()).id,
    )
    assert [(item.name, item.mend.partition(",")[0]) for item in copied.audit().findings] == [
        ("entry-repeated", "registry repair --accept-journal")
    ]

    repaired = copied.repair(accept_journal=True)

    assert [path.name for path in repaired.set_aside] == [f"{5:020}.json"]
    assert names(copied) == []


def test_a_journal_without_a_beginning_is_not_set_aside_whole(copied):
    copied.close()
    shutil.rmtree(catalog_file(copied).parent)
    flip(entry_file(copied, 1))

    with raises(BrokenChain, "entry 1", str(copied.settings.home), "registry repair --from"):
        copied.repair(accept_journal=True)

    assert entry_file(copied, 4).exists()
