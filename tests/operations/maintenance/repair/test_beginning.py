"""A home whose journal lost its beginning is damaged, and not none: everything says so, audit finds it, repair mends it."""

from __future__ import annotations

import shutil

import pytest

import registry
from registry.core.entry import Delete, Entry, parse
from registry.errors import BrokenChain
from tests.operations.maintenance.audit.damage import entry_file, names, overwrite
from tests.support.refusals import raises

DAMAGED = ("entry 1", "4", "registry repair", "--from", "registry audit")


def headless(reg) -> None:
    reg.close()
    entry_file(reg, 1).unlink()


@pytest.mark.parametrize(
    "ask",
    [
        lambda reg: reg.list(),
        lambda reg: reg.list("medical"),
        lambda reg: reg.show("medical@1"),
        lambda reg: reg.resolve("medical"),
        lambda reg: reg.log(),
        lambda reg: reg.du(),
        lambda reg: reg.checkout("minilm@1"),
        lambda reg: reg.annotate("medical@1", {"a": "b"}),
        lambda reg: reg.collect(),
        lambda reg: registry.init(reg.settings.home),
    ],
)
def test_a_home_without_its_first_entry_is_a_damaged_one_for_whoever_reads_writes_or_would_make_it_anew(
    copied, ask
):
    headless(copied)

    with raises(BrokenChain, str(copied.settings.home), *DAMAGED):
        ask(copied)

    assert not entry_file(copied, 1).exists()


def test_a_lost_first_entry_is_found_and_comes_back_from_the_catalog_or_a_bundle(copied, tmp_path):
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    content = entry_file(copied, 1).read_bytes()
    headless(copied)

    assert names(copied, probes=True)[0] == "entry-missing"
    assert [item.source for item in copied.repair().mended] == ["the catalog"]
    assert entry_file(copied, 1).read_bytes() == content

    headless(copied)
    shutil.rmtree(copied.settings.home / "catalog")
    with raises(BrokenChain, str(copied.settings.home), *DAMAGED):
        registry.pull(str(tmp_path / "all.tar"), home=copied.settings.home)
    assert [item.source for item in copied.repair([tmp_path / "all.tar"]).mended] == [
        str(tmp_path / "all.tar")
    ]
    assert entry_file(copied, 1).read_bytes() == content
    assert names(copied, full=True) == []


def test_a_journal_that_is_gone_comes_back_from_the_catalog(copied):
    before = {path.name: path.read_bytes() for path in (copied.settings.home / "journal").iterdir()}
    copied.close()
    shutil.rmtree(copied.settings.home / "journal")

    for ask in (copied.list, lambda: registry.init(copied.settings.home)):
        with raises(
            BrokenChain, str(copied.settings.home), " 4 ", "registry repair", "registry audit"
        ):
            ask()
    assert names(copied) == ["journal-truncated"]
    copied.repair()

    assert {
        path.name: path.read_bytes() for path in (copied.settings.home / "journal").iterdir()
    } == before
    assert names(copied) == []


def test_without_the_first_entry_and_the_catalog_only_what_brings_it_back_is_printed(copied):
    headless(copied)
    shutil.rmtree(copied.settings.home / "catalog")

    audited, repaired = copied.audit(), copied.repair()

    assert (
        "registry repair --from SOURCE" in audited.findings[0].mend
        and "HOME|BUNDLE" in repaired.lost[0].mend
    )
    assert not [
        mend
        for mend in (*(item.mend for item in audited.findings), repaired.lost[0].mend)
        if "--accept-journal" in mend
    ]
    assert ["may be those of lost entries" in note for note in audited.notes] == [True]


def test_a_first_entry_that_cannot_be_one_comes_back_with_the_mend_that_is_printed(
    copied, tmp_path
):
    copied.bundle(output=tmp_path / "all.tar", everything=True)
    copied.close()
    shutil.rmtree(copied.settings.home / "catalog")
    first = parse(entry_file(copied, 1).read_bytes())
    overwrite(
        entry_file(copied, 1),
        Entry(1, first.id, first.time, first.by, Delete("nothing", 7), None).to_bytes(),
    )

    finding = copied.audit().findings[0]

    assert (
        finding.name,
        "registry repair --from SOURCE" in finding.mend,
        "--accept-journal" in finding.mend,
    ) == ("entry-refused", True, False)
    assert [item.what for item in copied.repair([tmp_path / "all.tar"]).mended] == ["entry 1"]
    assert names(copied) == []
