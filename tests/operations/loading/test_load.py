"""load: exactly what was registered, whatever happened on disk meanwhile; or one line."""

from __future__ import annotations

import json

import pytest

import registry
from registry.core import entry as _entry
from registry.errors import DigestMismatch, ForeignCode, Invalid, ProbeMismatch, VersionNotFound
from registry.runtime import probes
from tests.support import plain, small
from tests.support.forked import become_nobody, forked
from tests.support.refusals import raises

TEXTS = ["the patient takes one dose", "zorvaxin a day"]


def encoded(model):
    return [model.encode([text])[0].tolist() for text in TEXTS]


def test_a_checkout_that_was_tampered_with_is_made_good_and_said(registered):
    before = encoded(registered.load("medical@1", device="cpu"))
    pooling = registered.checkout("medical@1").folder / "1_Pooling" / "config.json"
    pooling.chmod(0o644)
    pooling.write_text(
        pooling.read_text().replace(
            '"pooling_mode_mean_tokens": true', '"pooling_mode_max_tokens": true'
        )
    )

    after = encoded(registered.load("medical@1", device="cpu"))

    assert after == before
    assert any("changed on disk" in line for line in registered.warnings)


def test_a_base_that_was_tampered_with_under_its_adapter_is_made_good(registered):
    before = encoded(registered.load("medical@1", device="cpu"))
    weights = registered.checkout("minilm-medical@1").folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4:] = b"\0\0\x80\x3f"
    weights.chmod(0o644)
    weights.write_bytes(bytes(content))

    assert encoded(registered.load("medical@1", device="cpu")) == before


def test_a_damaged_blob_is_refused_in_one_line(registered):
    file = next(file for file in registered.show("minilm@1").files if file.path == "config.json")
    path = registered.home.blobs.path(file.digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"gelu", b"relu"))

    with raises(DigestMismatch, "config.json", file.digest) as refused:
        registered.load("minilm@1")

    assert "\n" not in str(refused.value)


def test_what_lies_at_the_path_the_adapter_once_named_is_ignored(registered, line):
    before = encoded(registered.load("medical@1", device="cpu"))
    import shutil

    shutil.rmtree(line.resized)
    plain.base(line.resized, seed=99, added=("quelora", "zorvaxin"))

    assert encoded(registered.load("medical@1", device="cpu")) == before


@pytest.mark.slow
def test_two_processes_load_at_once_on_a_cold_checkout(registered, processes_with_torch):
    code = "import registry, sys; print(registry.load('medical@1', home=sys.argv[1], device='cpu').encode(['zorvaxin'])[0].tolist())"
    both = [processes_with_torch.start(registered.settings.home, code=code) for _ in range(2)]
    ended = [process.wait(120.0) for process in both]

    assert [process.code for process in ended] == [0, 0]
    assert ended[0].out == ended[1].out != ""


def test_version_of_knows_what_was_loaded_and_nothing_else(registered):
    model = registered.load("medical@1", device="cpu")

    assert registered.version_of(model).reference == "medical@1"
    with raises(VersionNotFound, "object", str(registered.settings.home)):
        registered.version_of(object())


def test_code_and_other_sources_cannot_be_asked_for(registered):
    with raises(ForeignCode, "trust_remote_code=True"):
        registered.load("minilm@1", trust_remote_code=True)
    with raises(Invalid, "'loud'", "refuse, warn, skip"):
        registered.load("minilm@1", probes="loud")


def probed(registered, change):
    """Register minilm once more with probes that say what `change` makes of the true ones."""
    true = probes.record(registered.load("minilm@1", device="cpu", probes="skip"))
    value = json.loads(true.to_bytes())
    change(value["probes"][2])
    digest = registered.home.blobs.add(
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )
    version = registered.resolve("minilm@1")
    registered.home.commit(
        lambda connection: _entry.Register("probed", 1, version.digest, version.facts, digest)
    )
    return registered


def other_vector(probe):
    probe["values"] = "0000803f" + probe["values"][8:]


def test_a_model_that_encodes_as_recorded_loads_and_is_not_asked_again(registered):
    probed(registered, lambda probe: None)

    registered.load("probed@1", device="cpu")

    marker = json.loads(
        (registered.checkout("probed@1").folder / ".registry" / "marker.json").read_text()
    )
    assert len(marker["environments"]) == 1
    assert registered.warnings == ()


def test_a_model_that_encodes_otherwise_is_refused_warned_of_or_let_through_as_asked(registered):
    probed(registered, other_vector)

    with raises(ProbeMismatch, "probed@1", "'The cat sat on the mat.'", "1e-05", "--probes warn"):
        registered.load("probed@1", device="cpu")
    registered.load("probed@1", device="cpu", probes="warn")
    assert any("probed@1" in line and "1e-05" in line for line in registered.warnings)
    registered.load("probed@1", device="cpu", probes="skip")
    assert registered.warnings == ()


def test_other_ids_are_told_from_other_vectors(registered):
    ids = []
    probed(registered, lambda probe: (ids.extend(probe["ids"]), probe["ids"].append(1)))

    with raises(
        ProbeMismatch,
        "probed@1",
        "'The cat sat on the mat.'",
        str([*ids, 1]),
        str(ids),
        "--probes warn",
    ):
        registered.load("probed@1", device="cpu")


def test_a_resize_records_probes_that_its_own_result_passes(registered):
    registered.resize("minilm@1", "grown", ["zorvaxin"])

    assert registered.resolve("grown@1").probes is not None
    registered.load("grown@1", device="cpu")
    assert registered.warnings == ()


def test_a_read_only_home_checks_out_into_the_cache(registered, tmp_path, monkeypatch):
    import os

    monkeypatch.setenv("REGISTRY_CACHE", str(tmp_path / "cache"))
    registered.close()
    home = registered.settings.home
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == os.getuid() and len(path.parts) > 2:
            path.chmod(0o755)
    for path in [home, *home.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)

    def act():
        become_nobody()
        with registry.open(home) as opened:
            folder = opened.checkout("medical@1").folder
            return (
                0
                if folder.is_relative_to(tmp_path / "cache")
                and (folder / "adapter_config.json").is_file()
                else 1
            )

    assert forked(act) == 0


def test_a_router_is_loaded_with_its_parts_in_whatever_order_its_file_has_them(tmp_path):
    reg = registry.init(tmp_path / "home")
    folder = small.routed(tmp_path / "routed")
    path = next(folder.rglob("router_config.json"))
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "types": dict(reversed(config["types"].items()))}))

    reg.add(folder, "routed")

    back = reg.load("routed@1", device="cpu")
    assert list(back[0].sub_modules) == ["query", "document"]
    assert reg.check("routed@1").passed
