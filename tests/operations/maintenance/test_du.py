"""du and the bill of collect: what is kept and why, what a version costs, and that the two agree."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import registry
from registry.core.digest import digest_of
from registry.core.entry import Delete, Edge, Init, Register
from registry.core.facts import Facts, Vocabulary, Weights
from registry.core.manifest import File, Manifest, Parent
from registry.core.settings import from_environment
from registry.errors import VersionNotFound
from registry.home.home import Home


def size_of(reg, version: str) -> int:
    return sum(file.size for file in reg.show(version).files)


def test_the_bill_says_who_needs_what(copied):
    bill = [kept.why for kept in copied.collect(older_than=0).kept]

    assert "minilm@1 is needed by 2 versions: medical@1, minilm-medical@1" in bill
    assert "minilm-medical@1 is needed by 1 version: medical@1" in bill
    assert "medical@1 is registered" in bill
    assert "manifests and facts, needed to read the journal" in bill


def test_the_bill_adds_up_to_all_that_lies_there(copied):
    collected = copied.collect(older_than=0)

    assert sum(kept.size for kept in collected.kept) == sum(
        stat.size for _, stat in copied.home.blobs.all()
    )


def test_the_bill_names_checkouts(copied):
    folder = copied.checkout("medical@1").folder

    kept = {item.why: item.size for item in copied.collect().kept}

    assert kept["the checkout of medical@1"] == sum(
        path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()
    )
    assert "the checkout of minilm-medical@1" in kept


def test_the_same_model_under_two_names_is_one_line_of_the_bill(copied, kept):
    copied.add(kept / "base", "twin")

    assert any(
        item.why.startswith("minilm@1 and twin@1 are needed by 2 versions")
        for item in copied.collect().kept
    )


def test_what_a_shorter_age_would_free_is_said(copied):
    for name, hours in (("one", 0.5), ("two", 3.0), ("three", 30.0)):
        digest = copied.home.blobs.add(name.encode() * 100)
        when = time.time() - hours * 3600
        os.utime(copied.home.blobs.path(digest), (when, when))

    collected = copied.collect(older_than=7 * 86400.0)

    assert collected.young == 1100
    assert collected.shorter == (("1d", 500), ("1h", 800), ("10m", 1100))
    assert copied.collect(older_than=3600.0).size == 800


def test_a_file_from_the_future_is_young(copied):
    digest = copied.home.blobs.add(b"made by a clock that was wrong")
    os.utime(copied.home.blobs.path(digest), (time.time() + 1e6, time.time() + 1e6))

    assert copied.collect(older_than=3600.0).blobs == 0
    assert copied.collect(older_than=0).blobs == 1


def test_catalogs_that_a_newer_one_took_the_place_of_are_freed(copied):
    copied.repair()

    assert copied.collect(older_than=0).catalogs > 0
    assert (
        len([path for path in (copied.settings.home / "catalog").iterdir() if path.suffix == ".db"])
        == 1
    )
    assert copied.audit().findings == ()


def test_a_version_is_counted_in_its_own_and_in_shared_bytes(copied):
    base, resized, adapter = (
        copied.du(name)[0] for name in ("minilm@1", "minilm-medical@1", "medical@1")
    )

    assert (base.freed, base.shared) == (0, base.own)
    assert (resized.freed, resized.shared) == (0, resized.own)
    assert adapter.own == adapter.shared + adapter.freed
    assert adapter.own > size_of(copied, "medical@1")  # and its vocabulary
    assert adapter.checkouts == 0


def test_all_of_them_and_the_whole_come_without_a_reference(copied):
    copied.checkout("minilm@1")
    copied.home.blobs.add(b"nobody needs this")

    *versions, whole = copied.du()

    assert [item.reference for item in versions] == ["medical@1", "minilm@1", "minilm-medical@1"]
    assert (whole.reference, whole.freed) == (None, 0)
    assert (
        whole.details["needed by nobody"]
        == whole.details["of it not yet an hour old"]
        == len(b"nobody needs this")
    )
    assert whole.checkouts == sum(item.checkouts for item in versions) > 0
    everything = sum(stat.size for _, stat in copied.home.blobs.all())
    assert (
        whole.own + whole.details["needed by nobody"] + whole.details["manifests and facts"]
        == everything
    )


def freed(collected) -> int:
    return collected.size + collected.checkouts_size + collected.staging + collected.catalogs


def test_what_du_says_of_the_whole_is_what_collect_would_free_at_that_moment(copied):
    copied.checkout("medical@1")
    old = copied.home.blobs.path(copied.home.blobs.add(b"nobody needs this, and it is old"))
    os.utime(old, (0, 0))
    left = copied.settings.home / "staging" / ("0" * 32)
    left.write_bytes(b"half a file")
    os.utime(left, (0, 0))
    copied.delete("medical@1")

    whole, told = copied.du()[-1], copied.collect(dry_run=True)

    assert whole.freed == freed(told) == freed(copied.collect()) > told.checkouts_size > 0
    assert whole.details["of it not yet an hour old"] == told.young > 0


@pytest.mark.slow
@pytest.mark.parametrize("hours", [0, 2])
def test_delete_says_what_du_said_and_collect_frees(copied, hours):
    copied.checkout("medical@1")
    copied.check("medical@1", record=True)
    for digest, _ in copied.home.blobs.all():
        os.utime(copied.home.blobs.path(digest), (time.time() - hours * 3600,) * 2)
    usage = copied.du("medical@1")[0]

    gone = copied.delete("medical@1")

    assert (gone.freed, gone.checkouts) == (usage.freed, usage.checkouts)
    assert gone.young == (0 if hours else gone.freed)
    assert copied.collect(dry_run=True).size == gone.freed - gone.young
    assert copied.collect(older_than=0).size == gone.freed


def test_what_several_free_together_is_said_once_and_is_what_collect_frees(copied):
    alone = sum(copied.du(name)[0].freed for name in ("medical@1", "minilm-medical@1"))

    gone = copied.delete(["medical@1", "minilm-medical@1"])

    assert copied.collect(older_than=0).size == gone.freed > alone


def test_a_version_that_is_not_there_is_said(copied):
    with pytest.raises(VersionNotFound):
        copied.du("medical@9")


# Whatever the registry: what du says deleting a version frees is what collect then frees.

CHOICES = st.lists(
    st.tuples(
        st.sets(st.integers(0, 5), min_size=1),
        st.one_of(st.none(), st.integers(0, 5)),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    place = tmp_path_factory.mktemp("empty") / "home"
    registry.init(place).close()
    return place


@pytest.mark.slow
@settings(max_examples=15)
@given(CHOICES, st.data())
def test_du_and_collect_agree(empty, choices, data):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "home"
        shutil.copytree(empty, place)
        home = Home.open(from_environment(place))
        made = written(home, choices)
        home.close()
        reg = registry.open(place)
        (reg.settings.home / "checkouts").mkdir(exist_ok=True)
        reg.collect(older_than=0)
        name = data.draw(st.sampled_from(made))
        usage = reg.du(name)[0]
        others = {item.reference: item for item in reg.du() if item.reference}
        assert others[name] == usage

        reg.home.commit(lambda connection: Delete(*split(name)))
        collected = reg.collect(older_than=0)

        assert (collected.size, collected.checkouts_size) == (usage.freed, usage.checkouts)
        assert reg.audit().findings == ()
        reg.close()


def split(reference: str) -> tuple[str, int]:
    name, _, number = reference.partition("@")
    return name, int(number)


def written(home: Home, choices) -> list[str]:
    """Versions with blobs of 1, 2, 4, … kilobytes, each perhaps on an earlier one, perhaps the same content again."""
    manifests: list[Manifest] = []
    names: list[str] = []
    for index, (parts, parent, again) in enumerate(choices):
        if again and manifests:
            manifest = manifests[-1]
        else:
            files = tuple(
                File(f"file-{part}", home.blobs.add(bytes([part]) * (1024 << part)), 1024 << part)
                for part in sorted(parts)
            )
            own = File("own", home.blobs.add(f"own {index}".encode()), len(f"own {index}"))
            bases = [item for item in manifests if item.kind == "base"]
            parents = (
                (Parent("base", bases[parent % len(bases)].digest),)
                if parent is not None and bases
                else ()
            )
            manifest = Manifest(
                "adapter" if parents else "base", "SentenceTransformer", (*files, own), parents
            )
        digest = home.blobs.add(manifest.to_bytes())
        vocabulary = home.blobs.add(b"the words")
        weights = Weights(digest_of(b"weights"), "F32", 0, ())
        facts = home.blobs.add(
            Facts(
                "SentenceTransformer", digest_of(b"tokenizer"), Vocabulary(vocabulary, 2), weights
            ).to_bytes()
        )
        edges = tuple(Edge(item.role, item.digest, "given", "x@1") for item in manifest.parents)
        body = Register("model", index + 1, digest, facts, edges=edges)
        home.commit(lambda connection, body=body: body)
        manifests.append(manifest)
        names.append(f"model@{index + 1}")
    assert home.journal.read(1).body.kind == Init.kind
    return names
