"""repair, from repositories where the journal says that copies are."""

from __future__ import annotations


def test_bytes_come_back_from_the_repositories_where_copies_are_known(here, hub):
    here.ok("push", "medical@1", "--to", "org/medical", "--parents-to", "org")
    with here.registry as reg:
        lost = [file.digest for name in ("minilm@1", "medical@1") for file in reg.show(name).files if file.path != "tokenizer.json"]
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
        weights = next(file for file in reg.show("minilm@1").files if file.path == "model.safetensors")
    (here.root / "local" / "sources.jsonl").unlink(missing_ok=True)
    (here.root / "blobs" / "sha256" / weights.digest.hex[:2] / weights.digest.hex).unlink()
    hub.repositories.clear()

    ran = here.run("repair")

    assert ran.code == 5
    assert "lost model.safetensors of minilm@1" in ran.out
