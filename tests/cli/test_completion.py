import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import process_environment


@pytest.fixture
def bash(tmp_path, filled, process):
    """What real bash offers for a line that is being typed."""
    program = tmp_path / "bin" / "registry"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m registry "$@"\n')
    program.chmod(0o755)
    script = process("completion", "bash").out

    def offered(line: str, breaks: str = " \t\n\"'@><=;|&(:") -> list[str]:
        driver = [
            script,
            'compopt() { echo "option $*"; }',
            "COMP_WORDBREAKS=$BREAKS",
            "_registry_completion registry",
            'printf "%s\\n" "${COMPREPLY[@]}"',
        ]
        environment = process_environment(
            filled,
            PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            COMP_LINE=line,
            COMP_POINT=str(len(line)),
            BREAKS=breaks,
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", "\n".join(driver)],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return offered


def test_the_shell_completes_commands(bash):
    assert bash("registry re") == ["resize", "resolve", "repair"]


def test_the_shell_completes_options(bash):
    assert bash("registry add . --pa") == ["--parent"]


def test_the_shell_completes_settings(bash):
    assert sorted(bash("registry config load.")) == [
        "load.code",
        "load.device",
        "load.probes",
        "load.verify-age",
    ]


def test_the_shell_completes_the_names_of_models(bash):
    assert bash("registry list min") == ["minilm", "minilm-medical"]


def test_after_the_at_sign_bash_is_given_what_it_has_not_got(bash):
    assert set(bash("registry show medical@")) == {"1", "latest", "prod"}
    assert bash("registry show medical@pr") == ["prod"]


def test_behind_the_colon_files_of_the_version_are_completed(bash):
    assert bash("registry show medical@1:adapter_") == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert bash("registry show medical@prod:adapter_c", breaks=" \t\n") == [
        "medical@prod:adapter_config.json"
    ]
    assert (
        bash("registry show nothing@1:adapter_") == bash("registry load medical@1:adapter_") == []
    )


def test_where_the_at_sign_ends_no_word_bash_is_given_the_whole_reference(bash):
    assert bash("registry show medical@pr", breaks=" \t\n") == ["medical@prod"]


def test_references_are_completed_in_options(bash):
    assert bash("registry add . --parent medical@pr") == ["prod"]


@pytest.mark.parametrize(
    "line", ["registry add ./m", "registry find ./m", "registry checkout medical@1 m"]
)
def test_folders_are_left_to_the_shell(bash, line):
    assert bash(line) == ["option", "-o", "dirnames"]


def test_a_line_that_was_not_finished_is_completed_all_the_same(bash, filled):
    assert bash(f"registry --home '{filled}' show medical@pr") == ["prod"]


def test_a_home_that_is_not_there_completes_to_nothing_and_says_nothing(process, tmp_path):
    ran = process(
        home=tmp_path / "nowhere",
        _REGISTRY_COMPLETE="bash_complete",
        COMP_WORDS="registry show m",
        COMP_CWORD="2",
    )

    assert (ran.out.strip(), ran.err) == ("", "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_have_scripts_and_get_whole_references(process, filled, shell):
    script = process("completion", shell)
    asked = process(
        home=filled,
        _REGISTRY_COMPLETE=f"{shell}_complete",
        COMP_WORDS="registry show medical@pr",
        COMP_CWORD="2" if shell == "zsh" else "medical@pr",
    )

    assert "_REGISTRY_COMPLETE" in script.out
    assert "medical@prod" in asked.out


def test_bash_reads_the_script_without_a_word(tmp_path, process):
    script = Path(tmp_path / "completion.bash")
    script.write_text(process("completion", "bash").out)

    done = subprocess.run(
        ["bash", "--norc", "-c", f"source {script}; complete -p registry"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split()[-1] == "registry"
    assert done.stderr == ""
