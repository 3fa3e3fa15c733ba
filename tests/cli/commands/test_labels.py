import os
import pty
import re
import subprocess
import sys

import pytest

from tests.cli.conftest import process_environment
from tests.support import plain


def answered(home, answer, *arguments):
    """(exit code, standard output, standard error) of the command where somebody sits at a terminal and types the answer."""
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        [sys.executable, "-m", "registry", *arguments],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=process_environment(home),
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    out, err = asked.communicate(timeout=60)
    os.close(ours)
    return asked.returncode, out, err


def test_alias_prints_where_it_points(run, home, tmp_path):
    run(
        "add",
        plain.base(tmp_path / "second", seed=2),
        "--as",
        "minilm",
        "--alias",
        "prod",
        home=home,
    )

    ran = run("alias", "minilm@1", "prod", home=home)

    assert ran.out == "minilm@prod -> minilm@1\n"
    assert ran.err == "minilm@prod pointed to minilm@2\n"


def test_alias_in_json_says_before_and_after(run, home):
    moved = run("alias", "minilm@1", "prod", "--json", home=home).json

    assert moved == {"name": "minilm", "alias": "prod", "before": None, "after": "minilm@1"}


def test_alias_expect_refuses_what_somebody_moved(run, home):
    ran = run("alias", "minilm-medical@1", "prod", "--expect", "minilm@1", home=home)

    assert (ran.code, ran.out) == (4, "")


def test_alias_remove_takes_it_away(run, home):
    ran = run("alias", "--remove", "medical@prod", home=home)

    assert ran.out == "medical@prod -> nothing\n"
    assert run("resolve", "medical@prod", home=home).code == 3


def test_annotate_writes_and_takes_away_notes(run, home):
    ran = run("annotate", "medical@1", "spearman=0.861", "--remove", "owner", home=home)

    assert ran.out == "medical@1\n"
    assert run("show", "medical@1", "--json", home=home).json["notes"] == {"spearman": "0.861"}


def test_yank_hides_and_shows_again(run, home):
    assert run("yank", "minilm@1", "--reason", "old", home=home).out == "minilm@1 yanked\n"
    assert run("resolve", "minilm", home=home).code == 3
    assert run("yank", "minilm@1", "--undo", home=home).out == "minilm@1 shown\n"
    assert run("resolve", "minilm", "-q", home=home).out == "minilm@1\n"


def test_delete_prints_what_is_gone(run, home, tmp_path):
    run("add", plain.base(tmp_path / "second", seed=2), "--as", "minilm", home=home)

    ran = run("delete", "minilm@2", "--yes", home=home)

    assert (ran.code, ran.out) == (0, "minilm@2\n")
    assert re.search(
        r"the next collect frees 0 bytes of it; .* kB more once that is an hour old, or now with --older-than 0",
        ran.err,
    )
    assert run("list", "minilm", "-q", home=home).lines == ["minilm@1"]


def test_a_dry_run_of_delete_forgets_nothing(run, home, tmp_path):
    run("add", plain.base(tmp_path / "second", seed=2), "--as", "minilm", home=home)

    told = run("delete", "minilm@2", "--dry-run", "--json", home=home).json

    assert (told["deleted"], told["dry_run"]) == (["minilm@2"], True)
    assert run("resolve", "minilm@2", home=home).code == 0


def test_keep_last_says_what_it_kept_and_why(run, home, tmp_path):
    run("add", plain.base(tmp_path / "second", seed=2), "--as", "minilm", home=home)
    run("add", plain.base(tmp_path / "third", seed=3), "--as", "minilm", home=home)

    ran = run("delete", "minilm", "--keep-last", "1", "--yes", home=home)

    assert ran.out == "minilm@2\n"
    assert "minilm-medical@1" in ran.err


def test_on_a_terminal_delete_asks_and_no_is_no(home):
    code, out, err = answered(home, "n", "delete", "medical@1", "minilm-medical@1")

    assert code != 0
    assert out == ""
    assert "prod" in err


@pytest.mark.slow
def test_on_a_terminal_delete_goes_on_after_a_yes(run, home):
    run("alias", "--remove", "medical@prod", home=home)

    declined = answered(home, "n", "delete", "medical@1")
    agreed = answered(home, "y", "delete", "medical@1")

    assert (declined[0], declined[1]) == (1, "")
    assert "forget medical@1 for ever" in declined[2]
    assert agreed[:2] == (0, "medical@1\n")
