import json
import os
import shutil

import pytest

from tests.cli.errors import missing


def test_a_whole_registry_is_told_in_a_line(run, filled):
    ran = run("audit", "--full", home=filled)

    assert ran.code == 0
    assert ran.out.startswith("whole: 6 entries, ")
    assert ran.out.endswith("every byte read\n")


def test_a_finding_names_its_versions_and_what_mends_it_and_the_exit_code_is_five(run, home):
    shutil.rmtree(home / "blobs" / "sha256" / sorted((home / "blobs" / "sha256").iterdir())[0].name)

    ran = run("audit", home=home)

    assert ran.code == 5
    assert ran.lines[0].startswith("blob-missing: ")
    assert "(concerns " in ran.lines[0]
    assert ran.lines[1].startswith("  mend: registry repair --from ")


def test_findings_are_json_for_programs(run, home):
    shutil.rmtree(home / "catalog")

    ran = run("audit", "--json", home=home)

    assert ran.code == 5
    assert [item["name"] for item in ran.json["findings"]] == ["catalog-missing"]
    assert ran.json["head"]["number"] == ran.json["entries"] == 6


def test_a_receipt_is_written_and_proves_and_both_is_said(run, home, tmp_path):
    written = run("audit", "--receipt", tmp_path / "head.json", home=home)
    run("annotate", "medical@1", "seen=yes", home=home)
    compared = run("audit", "--against", tmp_path / "head.json", home=home)

    assert json.loads((tmp_path / "head.json").read_text())["number"] == 6
    assert (written.code, compared.code) == (0, 0)
    assert "receipt of entry 6" in written.err
    assert "nothing up to entry 6 was rewritten" in compared.err


def test_repair_of_a_broken_journal_without_a_catalog_says_both_ways_on(run, home):
    shutil.rmtree(home / "catalog")
    (home / "journal" / f"{2:020}.json").unlink()

    ran = run("repair", home=home)

    assert (ran.code, ran.lines[-1]) == (5, "no catalog was made: the journal is broken")
    assert (
        "registry repair --from HOME|BUNDLE" in ran.err
        and "registry repair --accept-journal" in ran.err
    )


def test_repair_without_the_first_entry_and_a_catalog_says_only_what_can_be_followed(run, home):
    shutil.rmtree(home / "catalog")
    (home / "journal" / f"{1:020}.json").unlink()

    ran = run("repair", home=home)

    assert ran.code == 5
    assert "registry repair --from HOME|BUNDLE" in ran.err and "--accept-journal" not in ran.err


@pytest.mark.parametrize(
    "command", [["list"], ["list", "medical"], ["show", "medical@1"], ["init"]]
)
def test_a_home_without_its_first_entry_is_damaged_for_each_command_alike(run, home, command):
    (home / "journal" / f"{1:020}.json").unlink()

    ran = run(*command, home=home)

    assert (ran.code, ran.out) == (5, "")
    assert missing(ran.err, str(home), "entry 1", "6", "registry repair") == []


def test_repair_makes_the_catalog_anew(run, home):
    shutil.rmtree(home / "catalog")

    ran = run("repair", home=home)

    assert ran.code == 0
    assert "whole: catalog made anew from 6 entries" in ran.out
    assert "nothing had to be mended" in ran.out
    assert run("audit", home=home).code == 0


WRITING = pytest.mark.parametrize(
    ("command", "what"),
    [
        (["bundle", "minilm@1", "-o"], "the bundle"),
        (["bundle", "--all", "-o"], "the bundle"),
        (["audit", "--receipt"], "the receipt"),
        (["diff", "minilm@1", "minilm@1", "--html"], "the page"),
    ],
)


@WRITING
def test_what_is_no_file_is_written_by_no_command(run, filled, tmp_path, command, what):
    os.mkfifo(tmp_path / "pipe")

    ran = run(*command, tmp_path / "pipe", home=filled)
    streamed = run(*command, "-", home=filled)

    assert (ran.code, ran.out) == (2, "")
    assert missing(ran.err, "error: ", what, repr(str(tmp_path / "pipe")), " pipe") == []
    assert (tmp_path / "pipe").is_fifo()
    assert (streamed.code, streamed.out) == (2, "")
    assert missing(streamed.err, "error: ", what, "'-'", "./-") == []


@pytest.mark.slow
@WRITING
def test_every_command_writes_through_a_link(run, filled, tmp_path, command, what):
    (tmp_path / "link").symlink_to("target")

    ran = run(*command, tmp_path / "link", home=filled)

    assert ran.code == 0, what
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").stat().st_size
