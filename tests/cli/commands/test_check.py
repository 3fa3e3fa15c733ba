"""The gate: what it prints, and that its exit codes can be depended on."""

from __future__ import annotations

import json

import pytest

from registry.model_files.checks import CHECKS
from tests.cli.conftest import ADDED
from tests.cli.errors import missing
from tests.support import plain
from tests.support.hand import edit


def test_a_check_that_passes_prints_its_probes_and_exits_0(run, home):
    ran = run("check", "medical@1", home=home)

    rows = [line.split("\t") for line in ran.lines]
    assert ran.code == 0
    assert {len(row) for row in rows} == {9}
    assert [
        "ok",
        "measurement",
        "probe-ids",
        "medical@1",
        "zorvaxin",
        "[2, 27, 3]",
        "[2, 27, 3]",
        "",
        "",
    ] in rows
    assert ran.err.startswith("medical@1@sha256:") and " passed: " in ran.err


def test_a_folder_that_fails_says_why_and_exits_5(run, home, tmp_path, folders):
    broken = plain.adapter(tmp_path / "broken", folders.resized, added=tuple(reversed(ADDED)))

    ran = run("check", broken, "-q", home=home)
    told = run("check", broken, "--json", home=home)

    assert (ran.code, told.code) == (5, 5)
    assert missing(ran.err, "adapter-tokenizer", "minilm-medical@1", *map(repr, ADDED)) == []
    assert ran.lines[0].startswith("failed\tidentity\tadapter-tokenizer")
    assert told.json["passed"] is False
    assert [item["check"] for item in told.json["outcomes"] if item["verdict"] == "failed"] == [
        "adapter-tokenizer"
    ]
    assert told.err == ""


@pytest.mark.parametrize(
    ("words", "code", "quoted"),
    [
        (["medical@9"], 3, ["medical"]),
        (["nothing"], 3, ["'nothing'"]),
        ([], 2, ["REF", "./FOLDER", "--list"]),
        (["medical@1", "--max-drift", "0.1"], 2, ["--against"]),
        (["medical@1", "--list"], 2, ["--list"]),
        (["--list", "--no-measure"], 2, ["--list"]),
        (["medical@1", "--require", "x"], 2, ["'x'", "'eval_dev_spearman_cosine >= 0.85'"]),
        (["/no/such/folder"], 3, ["'/no/such/folder'"]),
    ],
)
def test_what_cannot_be_checked_has_the_exit_code_of_its_family(run, home, words, code, quoted):
    ran = run("check", *words, home=home)

    assert ran.code == code
    assert missing(ran.err, *quoted) == []


def test_drift_is_printed_and_can_fail(run, home):
    ran = run("check", "medical@1", "--against", "minilm-medical@1", home=home)
    failed = run(
        "check",
        "medical@1",
        "--against",
        "minilm-medical@1",
        "--max-drift",
        "0.0001",
        "-q",
        home=home,
    )

    assert ran.code == 0 and "the largest drift is 0.0" in ran.err
    assert failed.code == 5 and "failed drift at" in failed.err


def test_every_check_is_listed_with_what_it_protects_from(run):
    ran, told = run("check", "--list"), run("check", "--list", "--json")

    ids = [line.split("\t")[0] for line in ran.lines]
    assert ran.code == 0
    assert {check.id for check in CHECKS} < set(ids) and len(set(ids)) == len(ids)
    assert {"adapter-effect", "probe-ids", "loaded-tokens", "files", "readable"} < set(ids)
    assert all(
        item["reason"].startswith(("protects from ", "tells ", "warns ")) for item in told.json
    )
    assert [
        item["id"]
        for item in told.json
        if item["judgement"] and item["net"] in ("identity", "integrity")
    ] == []


def test_a_forced_check_is_seen_in_list_show_and_check(run, home, tmp_path, folders):
    other = plain.adapter(tmp_path / "other", folders.resized, seed=5, added=ADDED)
    edit(
        other / "1_Pooling" / "config.json",
        lambda config: config.update(pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True),
    )

    refused = run("add", other, "--as", "legal", home=home)
    added = run("add", other, "--as", "legal", "--force", "parent-pooling", home=home)

    assert refused.code == 6 and "--force parent-pooling" in refused.err
    assert added.code == 0 and "forced parent-pooling" in added.err
    assert "forced parent-pooling" in run("list", "legal", home=home).out
    assert "parent-pooling: this check failed" in run("show", "legal@1", home=home).out
    assert json.loads(run("show", "legal@1", "--json", home=home).out)["forced"] == [
        "parent-pooling"
    ]
    checked = run("check", "legal@1", home=home)
    assert checked.code == 0 and "forced\tstructure\tparent-pooling" in checked.out
