"""repair, from repositories where the journal says that copies are."""

from __future__ import annotations

import json
import time

import pytest

from tests.cli.errors import missing
from tests.support import plain


@pytest.mark.slow
def test_bytes_come_back_from_the_repositories_where_copies_are_known(here, hub):
    here.ok("push", "medical@1", "--to", "org/medical", "--parents-to", "org")
    with here.registry as reg:
        lost = [
            file.digest
            for name in ("minilm@1", "medical@1")
            for file in reg.show(name).files
            if file.path != "tokenizer.json"
        ]
        lost += [reg.resolve("medical@1").digest, reg.resolve("minilm@1").facts]
    (here.root / "local" / "sources.jsonl").unlink(missing_ok=True)
    for digest in set(lost):
        (here.root / "blobs" / "sha256" / digest.hex[:2] / digest.hex).unlink()
    assert here.run("audit").code == 5

    repaired = here.ok("repair")

    assert "the Hub" in {item["source"] for item in repaired["mended"]}
    assert repaired["lost"] == []
    assert here.ok("audit", "--full")["findings"] == []


def test_what_the_hub_has_otherwise_now_is_not_taken(here, hub):
    here.ok("push", "minilm@1", "--to", "org/minilm")
    with here.registry as reg:
        weights = next(
            file for file in reg.show("minilm@1").files if file.path == "model.safetensors"
        )
    (here.root / "local" / "sources.jsonl").unlink(missing_ok=True)
    (here.root / "blobs" / "sha256" / weights.digest.hex[:2] / weights.digest.hex).unlink()
    hub.repositories.clear()

    ran = here.run("repair")

    assert ran.code == 5
    assert "lost model.safetensors of minilm@1" in ran.out


def lose(place, reference, path):
    """The file's bytes are damaged, and nobody knows any more which folder they came from; where they lie."""
    with place.registry as reg:
        digest = next(file.digest for file in reg.show(reference).files if file.path == path)
    (place.root / "local" / "sources.jsonl").unlink(missing_ok=True)
    blob = place.root / "blobs" / "sha256" / digest.hex[:2] / digest.hex
    blob.chmod(0o644)
    blob.write_bytes(b"damaged")
    return blob


@pytest.mark.slow
def test_a_copy_that_is_damaged_too_is_passed_over_and_said(pushed, hub):
    weights = lose(pushed, "minilm@1", "model.safetensors")
    hub.fault("GET /__cdn__/", flip=10)

    first = pushed.run("repair")
    second = pushed.run("repair")

    assert first.code == 5
    assert missing(first.err, "model.safetensors", f"sha256:{weights.name}") == []
    assert second.code == 0, second.err
    assert weights.stat().st_size > 1000


def test_a_file_that_is_stored_otherwise_than_a_plain_repository_has_it_comes_back(
    there, hub, tmp_path
):
    folder = plain.base(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "_name_or_path": "/home/somebody/models/bert"})
    )
    hub.commit(
        "org/plain",
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        },
    )
    there.ok("pull", "hf://org/plain")
    lose(there, "plain@1", "config.json")

    repaired = there.ok("repair")

    assert [item["source"] for item in repaired["mended"]] == ["the Hub"]
    assert there.ok("audit", "--full")["findings"] == []


@pytest.mark.slow
def test_who_writes_while_the_hub_is_asked_need_not_wait_and_loses_nothing(pushed, hub):
    """Another process of the same home: here this one, from the server's answer; the repair runs in a process of its own."""
    weights = lose(pushed, "minilm@1", "model.safetensors")
    with pushed.registry as reg:
        manifest = reg.resolve("minilm@1").digest
    (
        pushed.root / "blobs" / "sha256" / manifest.hex[:2] / manifest.hex
    ).unlink()  # so a second catalog is made when it is back
    waited = []

    def write() -> None:
        began = time.monotonic()
        with pushed.registry as reg:
            reg.annotate("minilm@1", {f"while-{len(waited)}": "yes"})
        waited.append(time.monotonic() - began)

    hub.fault("GET /resolve/", first=write)
    hub.fault("GET /__cdn__/", first=write)

    repaired = pushed.ok("repair")

    assert {item["source"] for item in repaired["mended"]} == {"the Hub"}
    assert (
        len(waited) == 2 and max(waited) < 30
    )  # who holds the lock makes others wait for a minute, and then give up
    with pushed.registry as reg:
        assert set(reg.show("minilm@1").version.notes) == {"while-0", "while-1"}
    assert pushed.ok("audit", "--full")["findings"] == []
    assert weights.stat().st_size > 1000
