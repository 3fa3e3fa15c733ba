"""A home that was moved or copied keeps its unpacked folders: repair finds bytes in them, and collect leaves them to the versions that live."""

from __future__ import annotations

import shutil

import pytest

import registry
from tests.operations.maintenance.audit.damage import blob, flip, names


@pytest.fixture(params=["moved", "copied"])
def elsewhere(request, copied, tmp_path):
    """The home with everything unpacked, in another place than that in which it was unpacked; nobody knows where it was added from."""
    copied.checkout("medical@1")
    copied.close()
    (copied.settings.home / "local" / "sources.jsonl").unlink()
    if request.param == "moved":
        copied.settings.home.rename(tmp_path / "there")
    else:
        shutil.copytree(copied.settings.home, tmp_path / "there", symlinks=True)
        shutil.rmtree(copied.settings.home)
    with registry.open(tmp_path / "there") as opened:
        yield opened


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("config.json", "minilm-medical@1"),
        ("adapter_config.json", "medical@1"),
        ("adapter_model.safetensors", "medical@1"),
    ],
)
@pytest.mark.parametrize("damage", [flip, lambda place: place.unlink()], ids=["flipped", "lost"])
def test_what_is_damaged_comes_back_from_the_checkouts_that_moved_along(
    elsewhere, path, version, damage
):
    damage(blob(elsewhere, path, version))

    repaired = elsewhere.repair()

    assert [item.source for item in repaired.mended] == ["the checkouts of this registry"]
    assert repaired.lost == ()
    assert names(elsewhere, full=True) == []


def test_collect_leaves_them_until_the_version_is_unpacked_here_or_deleted(elsewhere):
    folders = sorted((elsewhere.settings.home / "checkouts").iterdir())

    kept = elsewhere.collect(older_than=0)

    assert kept.checkouts == 0
    assert sorted((elsewhere.settings.home / "checkouts").iterdir()) == folders
    assert any(
        item.why == "the checkout of medical@1 from where this home lay before"
        for item in kept.kept
    )
    elsewhere.checkout("minilm-medical@1")
    usage = elsewhere.du("medical@1")[0]
    gone = elsewhere.delete("medical@1")
    assert gone.checkouts == usage.checkouts > 0
    assert elsewhere.collect(older_than=0).checkouts == 2
    assert len(list((elsewhere.settings.home / "checkouts").iterdir())) == len(folders) - 1


def test_a_link_to_the_blobs_of_a_home_that_was_copied_is_followed(copied, tmp_path):
    weights = blob(copied, "model.safetensors", "minilm@1")
    unpacked = copied.checkout("minilm@1").folder / "model.safetensors"
    copied.close()
    (copied.settings.home / "local" / "sources.jsonl").unlink()
    unpacked.unlink()
    unpacked.symlink_to(weights)  # as for anybody but root where weights are large
    shutil.copytree(copied.settings.home, tmp_path / "there", symlinks=True)

    with registry.open(tmp_path / "there") as opened:
        blob(opened, "model.safetensors", "minilm@1").unlink()
        assert opened.repair().lost == ()
        assert names(opened) == []
