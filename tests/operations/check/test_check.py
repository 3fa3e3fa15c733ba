"""check: what passes, what fails and by which name, what is only told, and that looking writes nothing."""

from __future__ import annotations

import errno
import importlib
import json
import math
import os
import shutil

import pytest

from registry.core import entry as _entry
from registry.errors import FolderNotFound, Invalid, NotLoadable, VersionNotFound
from registry.results.check import FAILED, FORCED, OK, UNMEASURED, WARNED, Outcome, Report
from registry.runtime import probes
from tests.operations.conftest import ADDED
from tests.support import lively, plain, small
from tests.support.hand import edit
from tests.support.refusals import raises


def of(report, check, stage=None):
    """The outcomes of one check."""
    return [
        item
        for item in report.outcomes
        if item.check == check and (stage is None or item.stage == stage)
    ]


def test_a_version_that_is_right_passes_with_every_probe_told(registered):
    report = registered.check("medical@1")

    assert report.passed
    assert report.target == registered.resolve("medical@1").pinned
    assert {item.net for item in report.outcomes} == {
        "identity",
        "integrity",
        "structure",
        "effect",
        "measurement",
    }
    ids = next(item for item in of(report, "probe-ids") if item.subject == "zorvaxin")
    vector = next(item for item in of(report, "probe-vectors") if item.subject == "zorvaxin")
    assert (ids.expected, ids.found, ids.verdict) == ("[2, 27, 3]", "[2, 27, 3]", OK)
    assert (vector.difference, vector.tolerance, vector.verdict) == (0.0, 1e-5, OK)
    assert vector.expected == vector.found != ""
    assert (
        len(of(report, "lineage")) == 2 and of(report, "lineage")[0].subject == "minilm-medical@1"
    )


def reprobed(registered, change, reference="medical@1"):
    """Probes that say what `change` makes of the true ones, recorded for the version."""
    version = registered.resolve(reference)
    value = json.loads(registered.home.blobs.read(version.probes))
    change(next(probe for probe in value["probes"] if probe["text"] == ["zorvaxin"]))
    digest = registered.home.blobs.add(
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )
    registered.home.commit(lambda connection: _entry.Probes(version.name, version.number, digest))


def test_other_vectors_are_told_from_other_ids(registered):
    reprobed(registered, lambda probe: probe.update(values="0000803f" + probe["values"][8:]))
    vectors = registered.check("medical@1")
    reprobed(registered, lambda probe: probe["ids"].append(1))
    ids = registered.check("medical@1")

    assert [(item.check, item.subject) for item in vectors.failures] == [
        ("probe-vectors", "zorvaxin")
    ]
    assert [(item.check, item.subject, item.expected, item.found) for item in ids.failures] == [
        ("probe-ids", "zorvaxin", "[2, 27, 3, 1]", "[2, 27, 3]")
    ]


def test_an_infinite_difference_is_json_too():
    apart = Outcome("drift", "drift", "a@1", FAILED, difference=math.inf, tolerance=0.1)

    value = Report("a@1", (apart,)).to_dict()

    assert (
        value["drift"],
        value["outcomes"][0]["difference"],
        value["outcomes"][0]["tolerance"],
    ) == (None, None, 0.1)


def test_a_difference_that_is_more_than_noise_and_less_than_a_fault_is_told(registered):
    import numpy

    def nudge(probe):
        values = numpy.frombuffer(bytes.fromhex(probe["values"]), "<f4").copy()
        values[0] += 4e-6
        probe["values"] = values.tobytes().hex()

    reprobed(registered, nudge)

    report = registered.check("medical@1")

    assert report.passed
    assert [item.subject for item in of(report, "probe-vectors") if item.verdict == WARNED] == [
        "zorvaxin"
    ]


def test_damaged_bytes_are_named_with_the_stage_they_belong_to(registered):
    file = next(
        file for file in registered.show("minilm-medical@1").files if file.path == "config.json"
    )
    path = registered.home.blobs.path(file.digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"gelu", b"relu"))

    report = registered.check("medical@1")

    assert ("files", "minilm-medical@1", "config.json") in [
        (item.check, item.stage, item.subject) for item in report.failures
    ]
    assert not report.passed


def test_a_file_that_the_disk_does_not_give_fails_and_raises_nothing(registered):
    place = registered.home.blobs.path(
        next(
            file.digest
            for file in registered.show("medical@1").files
            if file.path.endswith(".safetensors")
        )
    )
    place.unlink()
    place.symlink_to(
        "/proc/self/mem"
    )  # whose first byte is an input/output error, as on a bad sector

    report = registered.check("medical@1", measure=False)

    assert [(item.check, item.subject) for item in report.failures][:1] == [
        ("files", "adapter_model.safetensors")
    ]
    assert os.strerror(errno.EIO).lower() in report.failures[0].message


@pytest.mark.slow
def test_what_was_let_pass_is_told_and_does_not_fail(reg, line):
    reg.add(line.base, "minilm")
    reg.add(line.resized, "minilm-medical", parent="minilm@1")
    edit(
        line.adapter / "1_Pooling" / "config.json",
        lambda config: config.update(pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True),
    )
    reg.add(line.adapter, "medical", force=["parent-pooling"])

    report = reg.check("medical@1")

    assert report.passed
    assert [(item.check, item.stage) for item in report.outcomes if item.verdict == FORCED] == [
        ("parent-pooling", "medical@1")
    ]


@pytest.mark.slow
def test_the_stages_of_a_line_are_compared_bit_for_bit(registered):
    registered.merge("medical@1", "whole")

    report = registered.check("whole@1", line=True)

    assert report.passed
    assert {item.stage for item in of(report, "line-resized")} == {"minilm-medical@1"}
    assert {item.stage for item in of(report, "line-adapter")} == {"medical@1"}
    assert len({item.subject for item in of(report, "line-adapter")}) == len(
        of(report, "line-adapter")
    )
    assert {item.stage for item in of(report, "line-merged")} == {"whole@1"}
    assert all(
        item.difference == 0 for item in [*of(report, "line-resized"), *of(report, "line-adapter")]
    )
    assert all(0 <= item.difference <= item.tolerance == 1e-5 for item in of(report, "line-merged"))
    assert any(item.difference > 0 for item in of(report, "line-merged"))


@pytest.mark.slow
def test_a_trained_base_is_not_compared_with_the_one_it_came_from(reg, line, tmp_path):
    reg.add(line.base, "minilm")
    reg.add(plain.base(tmp_path / "trained", seed=7), "tuned", parent="minilm@1")

    report = reg.check("tuned@1", line=True)

    assert [(item.verdict, item.subject) for item in of(report, "line-resized")] == [
        (UNMEASURED, "minilm@1")
    ]


def tree(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
    }


def test_a_folder_that_is_not_registered_is_checked_and_nothing_is_written(
    registered, line, tmp_path
):
    moved = plain.adapter(tmp_path / "other", line.resized, seed=9, added=ADDED)
    registered.find("minilm")
    before = tree(registered.settings.home), tree(tmp_path / "other")

    report = registered.check(moved)

    assert report.passed
    assert (tree(registered.settings.home), tree(tmp_path / "other")) == before
    assert of(report, "lineage")[0].subject == "minilm-medical@1"
    assert of(report, "adapter-effect")[0].difference > 0
    assert of(report, "probe-vectors")[0].verdict == UNMEASURED


def test_a_folder_on_the_wrong_parent_fails_by_the_name_of_the_check(registered, line):
    report = registered.check(line.adapter, parent="minilm@1")

    assert report.failures[0].check == "adapter-tokenizer"
    quoted = ("minilm@1", f" {len(ADDED)} ", repr(ADDED[0]))
    assert [value for value in quoted if value not in report.failures[0].message] == []


def test_a_folder_is_checked_on_another_folder_without_any_registry(line, tmp_path, monkeypatch):
    import registry

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nothing"))

    on_its_own, unknown = (
        registry.check(line.adapter, parent=line.resized),
        registry.check(line.adapter),
    )

    assert on_its_own.passed
    assert [item.check for item in unknown.failures] == ["lineage"]
    assert str(line.adapter) in unknown.failures[0].message
    assert str(line.resized) not in unknown.failures[0].message
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("spoil", "quoted"),
    [
        (lambda folder: (folder / "modules.json").write_text("{"), "modules.json"),
        (
            lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"\x80\x04"),
            "adapter_model.safetensors",
        ),
        (
            lambda folder: edit(
                folder / "adapter_config.json",
                lambda config: config.update(auto_map={"AutoModel": "x.y"}),
            ),
            "auto_map",
        ),
    ],
)
def test_a_folder_that_cannot_be_read_fails_and_does_not_raise(registered, line, spoil, quoted):
    spoil(line.adapter)

    report = registered.check(line.adapter)

    assert [item.check for item in report.failures] == ["readable"]
    assert quoted in report.failures[0].message


@pytest.mark.parametrize(
    "field", [{"alpha_pattern": {"(": 1}}, {"rank_pattern": {"(a+)+b": 2}}], ids=str
)
def test_a_pattern_that_must_not_be_matched_fails_once_and_is_matched_nowhere(
    registered, line, field
):
    edit(line.adapter / "adapter_config.json", lambda config: config.update(field))

    report = registered.check(line.adapter)

    assert [item.check for item in report.failures] == ["adapter-kind"]
    with raises(NotLoadable, "adapter_config.json", *field, *map(repr, *field.values())):
        registered.diff("medical@1", line.adapter)


def test_a_setting_of_another_form_fails_the_check_that_reads_it(registered, line):
    edit(
        line.adapter / "adapter_config.json",
        lambda config: config.update(alpha_pattern={"query": "four"}),
    )

    report = registered.check(line.adapter)

    assert [item.check for item in report.failures] == ["readable"]
    quoted = ("adapter_config.json", "alpha_pattern", "{'query': 'four'}")
    assert [value for value in quoted if value not in report.failures[0].message] == []
    with raises(NotLoadable, *quoted):
        registered.diff("medical@1", line.adapter)


def test_a_token_list_that_is_lost_fails_the_check_of_what_stands_on_it(registered):
    base = registered.resolve("minilm-medical@1")
    registered.home.blobs.remove(base.vocabulary)

    report = registered.check("medical@1", measure=False)

    assert "readable" in [item.check for item in report.failures]


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "damage",
    [lambda path: path.unlink(), lambda path: (path.chmod(0o644), path.write_bytes(b"{}"))],
    ids=["lost", "damaged"],
)
def test_probes_that_are_lost_fail_the_measurement_and_are_recorded_anew(registered, damage):
    digest = registered.resolve("medical@1").probes
    damage(next(path for path in registered.home.root.rglob(digest.hex) if path.is_file()))

    report = registered.check("medical@1", line=True)
    again = registered.check("medical@1", record=True)

    assert {(item.check, item.net, item.stage) for item in report.failures} == {
        ("probe-vectors", "measurement", "medical@1")
    }
    assert again.recorded == digest and registered.check("medical@1").passed


@pytest.mark.slow
def test_drift_from_another_version_is_measured_and_has_a_limit(registered):
    free, tight = (
        registered.check("medical@1", against="minilm-medical@1", max_drift=limit)
        for limit in (None, 1e-4)
    )
    itself = registered.check("medical@1", against="medical@1", max_drift=0)

    assert free.passed and free.drift > 1e-4
    assert {item.check for item in tight.failures} == {"drift"}
    assert itself.passed and itself.drift == pytest.approx(0, abs=1e-9)


def test_no_drift_is_measured_between_two_dimensions(reg, tmp_path):
    reg.add(small.dense(tmp_path / "sixteen"), "sixteen")
    reg.add(lively.with_dense(tmp_path / "eight"), "eight")

    found = of(reg.check("eight@1", against="sixteen@1", max_drift=2), "drift")

    assert [(item.verdict, item.expected, item.found, item.difference) for item in found] == [
        ("failed", "16 numbers", "8 numbers", None)
    ]


def test_metrics_that_were_kept_are_required(reg, line):
    reg.add(line.base, "minilm", metrics={"eval_dev_spearman_cosine": 0.87})

    def failed(*require):
        return [
            item.subject for item in reg.check("minilm@1", require=require, measure=False).failures
        ]

    assert (
        failed(
            "eval_dev_spearman_cosine >= 0.85",
            "eval_dev_spearman_cosine<1",
            "eval_dev_spearman_cosine = 0.87",
        )
        == []
    )
    assert failed("eval_dev_spearman_cosine >= 0.9") == ["eval_dev_spearman_cosine >= 0.9"]
    assert failed("accuracy > 0") == ["accuracy > 0"]
    with raises(Invalid, "'good enough'"):
        reg.check("minilm@1", require=["good enough"])


def test_probes_are_recorded_later_with_texts_of_ones_own_and_again(reg, line, tmp_path):
    reg.add(line.base, "minilm", measure=False)
    (tmp_path / "mine.txt").write_text('the patient\n\n{"text": "one dose", "prompt": "query: "}\n')

    before = reg.check("minilm@1")
    recorded = reg.check("minilm@1", record=True, probes=tmp_path / "mine.txt")
    again = reg.check("minilm@1", record=True, probes=["a day"])

    assert [item.verdict for item in of(before, "probe-vectors")] == [UNMEASURED]
    assert (
        recorded.recorded is not None
        and again.recorded == reg.resolve("minilm@1").probes != recorded.recorded
    )
    kept = probes.parse(reg.home.blobs.read(again.recorded))
    assert [(probe.text, probe.prompt) for probe in kept.probes if probe.given] == [
        (("the patient",), None),
        (("one dose",), "query: "),
        (("a day",), None),
    ]
    assert reg.check("minilm@1").passed
    assert [row.kind for row in reg.log("minilm@1")][:2] == ["Probes", "Probes"]


def test_nothing_is_recorded_for_what_fails(registered):
    file = next(file for file in registered.show("medical@1").files if file.path == "README.md")
    path = registered.home.blobs.path(file.digest)
    path.chmod(0o644)
    path.write_bytes(b"x" * file.size)
    entries = len(registered.log())

    report = registered.check("medical@1", record=True)

    assert report.recorded is None and not report.passed
    assert len(registered.log()) == entries


def test_a_folder_keeps_the_texts_given_when_it_is_added(reg, line):
    added = reg.add(line.base, "minilm", probes=["the patient"])

    kept = probes.parse(reg.home.blobs.read(added.version.probes))
    assert [probe.text for probe in kept.probes if probe.given] == [("the patient",)]


def test_what_was_measured_under_one_name_is_not_measured_again_under_another(reg, line):
    first = reg.add(line.base, "minilm").version
    second = reg.add(line.base, "copy").version

    assert first.probes == second.probes is not None


@pytest.mark.parametrize(
    ("keywords", "quoted"),
    [
        ({"max_drift": 0.1}, ("--max-drift", "--against")),
        ({"against": "minilm@1", "max_drift": -1.0}, ("-1.0",)),
        ({"probes": ["a"]}, ("--probes", "--record")),
        ({"parent": "minilm@1"}, ("--parent", "medical@1")),
        ({"line": True, "measure": False}, ("--line", "--against", "--record", "--no-measure")),
    ],
)
def test_options_that_do_not_go_together_are_refused(registered, keywords, quoted):
    with raises(Invalid, *quoted):
        registered.check("medical@1", **keywords)


def test_what_is_not_there_is_an_error_and_no_report(registered, line, tmp_path):
    with pytest.raises(VersionNotFound):
        registered.check("medical@9")
    with pytest.raises(VersionNotFound):
        registered.check(line.adapter, parent="minilm@9")
    for missing in (
        {"target": tmp_path / "nope"},
        {"target": line.adapter, "parent": tmp_path / "nope"},
    ):
        with raises(FolderNotFound, repr(str(tmp_path / "nope"))):
            registered.check(**missing)
    with raises(FolderNotFound, str(tmp_path / "none.txt"), os.strerror(errno.ENOENT).lower()):
        registered.check("medical@1", record=True, probes=tmp_path / "none.txt")


def test_probes_of_another_dtype_are_unmeasured_and_load_all_the_same(registered):
    registered.load("medical@1", device="cpu", model_kwargs={"dtype": "bfloat16"})

    assert any(
        "is not measured here: it was recorded in float32 and is loaded in bfloat16" in line
        for line in registered.warnings
    )


def test_an_upgrade_is_no_outage(registered, monkeypatch):
    record = importlib.import_module("registry.runtime.probes.record")
    reprobed(registered, lambda probe: probe.update(values="0000803f" + probe["values"][8:]))
    monkeypatch.setattr(record, "environment", lambda: {"torch": "9.9"})

    report = registered.check("medical@1", record=True)

    assert report.passed and report.recorded
    assert [item.subject for item in of(report, "probe-vectors") if item.verdict == WARNED] == [
        "zorvaxin"
    ]
    registered.load("medical@1", device="cpu")
    assert registered.warnings == ()


def test_a_read_only_look_at_a_version_needs_no_model(registered):
    report = registered.check("medical@1", measure=False)

    assert report.passed
    assert {item.net for item in report.outcomes} <= {
        "identity",
        "integrity",
        "structure",
        "effect",
    }
    assert not of(report, "loads")


def test_a_base_that_is_gone_from_the_disk_does_not_matter(registered, line):
    shutil.rmtree(line.resized)

    assert registered.check("medical@1").passed
    assert FAILED not in {item.verdict for item in registered.check("medical@1").outcomes}
