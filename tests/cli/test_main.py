import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from registry.cli.program import report_bug
from tests.cli.conftest import process_environment
from tests.cli.errors import is_one_error, missing


@pytest.mark.parametrize(
    ("arguments", "code", "quoted"),
    [
        (["show", "nobody@1"], 3, "'nobody'"),
        (["show", "medical@9"], 3, "1"),
        (["show", "medical@nightly"], 3, "prod"),
        (["show", "medical:prod"], 2, "medical@prod"),
        (["show", "medical@v1"], 2, "medical@1"),
        (["show", "./medical"], 2, "'./medical'"),
        (["show", ""], 2, "name@alias"),
        (["show", "medical@1@2"], 2, "'medical@1@2'"),
        (["show", "medical@sha256:xyz"], 2, "'medical@sha256:xyz'"),
        (["show", "hf://org/medical"], 2, "'hf://org/medical'"),
        (["show", "medical@1@sha256:00000000"], 5, "sha256:00000000"),
        (["show", "medical@1:nothing.json"], 3, "nothing.json"),
        (["resolve", "medical@1^^^^"], 3, "minilm@1"),
        (["list", "nobody"], 3, "nobody"),
        (["log", "nobody"], 3, "nobody"),
        (["add", "/no/such/folder", "--as", "x"], 3, "/no/such/folder"),
        (["add", "/etc/hostname", "--as", "x"], 3, "hostname"),
        (["alias", "medical", "prod"], 2, "medical@NUMBER"),
        (["alias", "medical@1", "latest"], 2, "latest"),
        (["alias", "--remove", "medical@nightly"], 3, "prod"),
        (["alias", "--remove", "medical@prod", "prod"], 2, "registry alias --remove medical@prod"),
        (["yank", "medical@1"], 2, "--reason"),
        (["yank", "medical@1", "--reason", "bad"], 6, "prod"),
        (["annotate", "medical@1", "owner"], 2, "KEY=VALUE"),
        (["annotate", "medical@1"], 2, "KEY=VALUE"),
        (["delete", "medical@1"], 2, "--yes"),
        (["delete", "minilm@1", "--yes"], 6, "minilm-medical@1"),
        (["config", "user.nam"], 2, "user.name"),
        (["config", "--unset"], 2, "KEY"),
        (["collect", "--older-than", "soon"], 2, "30m"),
        (["resize", "minilm@1", "--as", "x"], 2, "--tokens FILE"),
        (["checkout", "medical@1", "--force"], 2, "--force"),
        (["lst"], 2, "registry list"),
        (["rm", "medical@1"], 2, "registry delete"),
        (["list", "--jsn"], 2, "--json"),
        (["list", "a", "b"], 2, "registry list --help"),
    ],
)
def test_wrong_use_is_one_line_and_the_exit_code_of_its_family(
    run, filled, arguments, code, quoted
):
    ran = run(*arguments, home=filled)

    assert (ran.code, ran.out) == (code, "")
    assert is_one_error(ran.err)
    assert missing(ran.err, quoted) == []


def test_with_json_the_error_is_an_object_on_standard_error(run, filled):
    ran = run("show", "nobody@1", "--json", home=filled)

    assert ran.out == ""
    assert json.loads(ran.err)["error"] | {"message": ""} == {
        "kind": "ModelNotFound",
        "exit_code": 3,
        "message": "",
        "hint": None,
    }


def test_a_named_home_that_is_not_there_is_named_with_the_command_to_make_it(run, tmp_path):
    ran = run("list", "--home", tmp_path / "nowhere")

    assert ran.code == 3
    assert f"registry init {tmp_path / 'nowhere'}" in ran.err


def test_the_home_is_taken_before_and_after_the_command(run, filled, tmp_path):
    before = run("--home", filled, "list", "-q")
    after = run("list", "-q", "--home", filled)
    both = run("--home", tmp_path / "nowhere", "list", "-q", "--home", filled)

    assert before.lines == after.lines == both.lines == ["medical", "minilm", "minilm-medical"]


def test_a_bug_is_one_line_that_says_how_to_see_more(capsys):
    report_bug(ZeroDivisionError, ZeroDivisionError("division\nby zero"), None)

    reported = capsys.readouterr().err
    assert is_one_error(reported)
    assert missing(reported, "ZeroDivisionError: division\\nby zero", "REGISTRY_DEBUG=1") == []


def test_the_traceback_comes_for_who_asks(process, filled):
    ran = process("show", "nobody@1", home=filled, REGISTRY_DEBUG="1")

    assert ran.code == 3
    assert "Traceback" in ran.err


def test_a_full_disk_under_the_output_is_one_line(filled):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "registry", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=process_environment(filled),
            check=False,
        )

    assert (done.returncode, done.stderr) == (7, "error: no space left on device\n")


def test_a_reader_that_has_gone_is_no_error_to_talk_about(filled):
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [sys.executable, "-m", "registry", "log", "--json"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env=process_environment(filled),
        check=False,
    )

    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_interrupt_is_one_line_and_130(filled):
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # tests in the background ignore it, and a child would inherit that
    waiting = subprocess.Popen(
        [sys.executable, "-m", "registry", "load", "medical@1", "--encode", "-"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=process_environment(filled),
    )
    signal.signal(signal.SIGINT, before)
    waiting.stdin.write(
        "a line\n" * 100_000
    )  # more than a pipe holds, so it is reading when this returns
    waiting.stdin.flush()

    waiting.send_signal(signal.SIGINT)

    assert waiting.stderr.read() == "interrupted\n"
    assert waiting.wait() == 130
    waiting.stdin.close()
