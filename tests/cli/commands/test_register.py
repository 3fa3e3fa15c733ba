import os
import re
import shutil

import pytest

from tests.cli.errors import is_one_error
from tests.support import plain

LINE = r"{}@{} sha256:[0-9a-f]{{64}}{}"


def test_add_ends_with_the_line_of_the_version(run, home, tmp_path):
    ran = run("add", plain.base(tmp_path / "other", seed=7), "--as", "other", home=home)

    assert ran.code == 0
    assert re.fullmatch(LINE.format("other", 1, "\n"), ran.out)
    assert "other@1 is a base" in ran.err


def test_adding_again_says_already(run, home, folders):
    ran = run("add", folders.base, "--as", "minilm", home=home)

    assert ran.code == 0
    assert re.fullmatch(LINE.format("minilm", 1, " already\n"), ran.out)


def test_a_dry_run_says_the_number_it_would_get_and_registers_nothing(run, home, tmp_path):
    ran = run(
        "add", plain.base(tmp_path / "other", seed=7), "--as", "minilm", "--dry-run", home=home
    )

    assert re.fullmatch(LINE.format("minilm", 2, " dry-run\n"), ran.out)
    assert run("list", "minilm", "-q", home=home).lines == ["minilm@1"]


def test_add_sets_the_alias_and_keeps_the_message(run, home, tmp_path):
    other = plain.base(tmp_path / "other", seed=7)

    run(
        "add",
        other,
        "--as",
        "minilm",
        "--alias",
        "next",
        "-m",
        "second",
        "--run",
        "r-17",
        home=home,
    )

    shown = run("show", "minilm@next", "--json", home=home).json
    assert (shown["reference"], shown["aliases"], shown["message"]) == (
        "minilm@2",
        ["next"],
        "second",
    )
    assert "r-17" in str(shown["source"])


def test_quiet_prints_the_reference_alone(run, home, tmp_path):
    ran = run("add", plain.base(tmp_path / "other", seed=7), "--as", "other", "-q", home=home)

    assert (ran.out, ran.err) == ("other@1\n", "")


def test_json_says_what_was_found_out(run, home, folders):
    told = run("add", folders.adapter, "--as", "medical", "--json", home=home).json

    assert {
        "reference": "medical@1",
        "kind": "adapter",
        "already": True,
        "evidence": "path",
    }.items() <= told.items()
    assert told["parent"].startswith("minilm-medical@1")
    assert re.fullmatch("sha256:[0-9a-f]{64}", told["digest"])


def test_of_several_folders_each_has_its_verdict_and_the_worst_exit_code_counts(
    run, home, folders, tmp_path
):
    good = plain.base(tmp_path / "good", seed=7)
    empty = tmp_path / "empty"
    empty.mkdir()

    ran = run("add", good, empty, "--prefix", "runs/", home=home)

    assert ran.code == run("add", empty, "--as", "x", home=home).code != 0
    assert re.fullmatch(LINE.format("runs/good", 1, "\n"), ran.out)
    assert f"\nerror: {empty}: " in f"\n{ran.err}"


def test_several_folders_in_json_are_an_array_with_an_error_or_a_version_each(run, home, tmp_path):
    good = plain.base(tmp_path / "good", seed=7)
    empty = tmp_path / "empty"
    empty.mkdir()

    ran = run("add", good, empty, "--prefix", "runs/", "--json", home=home)

    assert [
        (item["folder"], item["added"] and item["added"]["reference"], item["error"] is None)
        for item in ran.json
    ] == [(str(good), "runs/good@1", True), (str(empty), None, False)]
    assert ran.err == ""


def test_an_adapter_whose_base_is_not_registered_is_refused_with_the_command_to_type(
    run, home, tmp_path
):
    base = plain.base(tmp_path / "base", seed=7)
    adapter = plain.adapter(tmp_path / "adapter", base)

    refused = run("add", adapter, "--as", "legal", home=home)

    assert refused.code == 3
    assert f"registry add {base} --as legal-base" in refused.err
    assert run("add", adapter, "--as", "legal", "--with-parents", home=home).code == 0


def test_the_name_can_be_forgotten(run, home, folders):
    ran = run("add", folders.base, home=home)

    assert ran.code == 2
    assert "--as NAME" in ran.err


def test_a_class_that_does_not_exist_is_refused_with_those_that_do(run, home, folders):
    ran = run("add", folders.base, "--as", "x", "--class", "Transformer", home=home)

    assert ran.code == 2
    assert "CrossEncoder" in ran.err


def test_resize_ends_with_the_line_of_the_version(run, home, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("zorvaxin\nquine\n")

    ran = run("resize", "minilm@1", "--as", "bigger", "--tokens", words, home=home)

    assert ran.code == 0
    assert re.fullmatch(LINE.format("bigger", 1, ""), ran.lines[-1])
    assert [line.split("\t")[1] for line in run("tokens", "bigger@1", home=home).lines] == [
        "zorvaxin",
        "quine",
    ]


def test_resize_takes_words_and_flags_from_the_command_line(run, home):
    ran = run(
        "resize",
        "minilm@1",
        "--as",
        "bigger",
        "--token",
        "[DRUG]",
        "--token",
        "[DOSE]",
        "--special",
        "--init",
        "random",
        "--seed",
        "7",
        home=home,
    )

    tokens = run("tokens", "bigger@1", "--json", home=home).json
    assert ran.code == 0
    assert [(token["content"], token["special"]) for token in tokens] == [
        ("[DRUG]", True),
        ("[DOSE]", True),
    ]


@pytest.mark.parametrize("given", [[], ["--tokens", "words.txt", "--token", "word"]])
def test_resize_wants_a_file_or_words_and_not_both(run, filled, given):
    ran = run("resize", "minilm@1", "--as", "bigger", *given, home=filled)

    assert (ran.code, ran.out) == (2, "")


def test_the_same_command_works_once_the_cause_is_mended(run, home, folders, tmp_path):
    broken = shutil.copytree(folders.base, tmp_path / "broken")
    (broken / "config.json").write_text("{")
    refused = run("add", broken, "--as", "mended", home=home)
    shutil.copy(folders.base / "config.json", broken / "config.json")

    mended = run("add", broken, "--as", "mended", home=home)

    assert refused.code != 0
    assert is_one_error(refused.err)
    assert mended.code == 0


def test_resize_reads_a_column_of_a_table(run, home, tmp_path):
    table = tmp_path / "drugs.csv"
    table.write_text("name,dose\nzorvaxin,5\nquine,7\n")

    refused = run("resize", "minilm@1", "--as", "bigger", "--tokens", table, home=home)
    options = ("--tokens", table, "--column", "name")
    ran = run("resize", "minilm@1", "--as", "bigger", *options, home=home)

    assert (refused.code, is_one_error(refused.err)) == (2, True)
    assert "--column name" in refused.err
    assert ran.code == 0
    assert [line.split("\t")[1] for line in run("tokens", "bigger@1", home=home).lines] == [
        "zorvaxin",
        "quine",
    ]


def test_resize_registers_a_marked_word_only_as_literal(run, home):
    options = ("resize", "minilm@1", "--as", "bigger", "--token", "##zorvaxin")
    refused = run(*options, home=home)
    ran = run(*options, "--literal", home=home)

    assert (refused.code, is_one_error(refused.err)) == (2, True)
    assert "'zorvaxin'" in refused.err
    assert "--literal" in refused.err
    assert ran.code == 0


@pytest.mark.parametrize("path", ["/dev/zero", "pipe"])
def test_resize_reads_no_device_and_waits_for_no_pipe(run, filled, tmp_path, path):
    if path == "pipe":
        path = tmp_path / path
        os.mkfifo(path)

    ran = run("resize", "minilm@1", "--as", "bigger", "--tokens", path, home=filled)

    assert (ran.code, is_one_error(ran.err)) == (3, True)
    assert str(path) in ran.err
