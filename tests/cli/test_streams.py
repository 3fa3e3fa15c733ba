"""Standard streams, input files, and users without a home folder, in real processes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from registry.cli.session import to_json
from tests.cli.errors import is_one_error

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def listed_home(tmp_path_factory):
    """Return an empty registry on disk."""
    import registry

    home = tmp_path_factory.mktemp("streams") / "home"
    with registry.init(home) as opened:
        opened.config("user.name", "anna")
    return home


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in which `$R` is this package's command."""
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "R": f"{shlex.quote(sys.executable)} -m registry",
        **environment,
    }
    return subprocess.run(
        ["bash", "-c", command],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
@pytest.mark.parametrize("options", ["", "--json"])
def test_an_output_that_cannot_be_written_is_one_line(listed_home, redirection, options):
    ran = shell(f"$R config {options} {redirection}", REGISTRY_HOME=str(listed_home))

    assert ran.returncode == 7
    assert ("standard output" if redirection == ">&-" else "no space") in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert "bug" not in ran.stderr


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_an_error_that_cannot_be_printed_keeps_its_exit_code(listed_home, redirection):
    ran = shell(f"$R show missing {redirection}", REGISTRY_HOME=str(listed_home))

    assert (ran.returncode, ran.stderr) == (3, "")


@pytest.mark.slow
def test_no_file_of_a_registry_gets_the_number_of_a_closed_stream(tmp_path):
    ran = shell(f"$R init {tmp_path}/home <&- >&- 2>&-; $R --home {tmp_path}/home audit --json")

    assert json.loads(ran.stdout)["findings"] == []


def test_a_removed_current_folder_is_named(tmp_path, listed_home):
    command = f"cd {tmp_path} && mkdir x && cd x && rmdir ../x && $R add model --as x"
    ran = shell(command, REGISTRY_HOME=str(listed_home))

    assert (ran.returncode, is_one_error(ran.stderr)) == (3, True)
    assert "'model'" in ran.stderr


AS_USER = "setpriv --reuid 54321 --clear-groups"
"""Run a program as a user without an entry in the password file."""

without_root = pytest.mark.skipif(os.getuid() != 0, reason="another user needs root")


@without_root
def test_a_user_without_a_home_folder_gets_the_option_that_names_a_registry():
    ran = shell(f"{AS_USER} $R list")

    assert (ran.returncode, is_one_error(ran.stderr)) == (3, True)
    for name in ("HOME", "54321", "REGISTRY_HOME", "--home DIR"):
        assert name in ran.stderr


@without_root
def test_a_user_without_a_home_folder_works_in_a_named_registry(tmp_path):
    tmp_path.parent.chmod(0o755)
    tmp_path.parent.parent.chmod(0o755)
    tmp_path.chmod(0o777)
    home = tmp_path / "home"

    ran = shell(f"{AS_USER} $R init {home} && {AS_USER} $R --home {home} list")

    assert ran.returncode == 0, ran.stderr


@without_root
def test_a_home_folder_without_rights_names_the_variables():
    ran = shell(f"{AS_USER} $R list", HOME="/")

    assert (ran.returncode, is_one_error(ran.stderr)) == (7, True)
    assert "REGISTRY_HOME" in ran.stderr
    assert "REGISTRY_CACHE" in ran.stderr


@pytest.mark.parametrize(
    "character",
    ["\x1b", "\x7f", "\x85", "\x9b", "\u061c", "\u200e", "\u202e", "\u2066", "\u2028", "\u2029"],
)
def test_json_escapes_what_a_terminal_obeys(character):
    text = to_json({"a": [f"é{character}😀"]}, indent=2)

    assert character not in text
    assert "é" in text
    assert "😀" in text
    assert json.loads(text) == {"a": [f"é{character}😀"]}


def test_json_escapes_a_character_beyond_the_basic_plane():
    assert json.loads(to_json("\U000e0001")) == "\U000e0001"
    assert to_json("\U000e0001").isascii()


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o022])
def test_files_of_a_registry_are_private_whatever_the_umask(tmp_path, umask):
    home = tmp_path / "home"
    before = os.umask(umask)
    try:
        import registry

        with registry.init(home) as opened:
            opened.config("user.name", "anna")
            opened.list()
    finally:
        os.umask(before)

    modes = {oct(path.stat().st_mode & 0o777) for path in home.rglob("*") if path.is_file()}
    folders = {oct(path.stat().st_mode & 0o777) for path in home.rglob("*") if path.is_dir()}
    assert modes <= {"0o600", "0o444"}
    assert folders == {"0o700"}
