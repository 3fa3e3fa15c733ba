"""What is typed a hundred times a day loads click and sqlite3, and none of the heavy libraries."""

import json
import subprocess
import sys

import pytest

from tests.cli.conftest import process_environment

HEAVY = (
    "alembic",
    "huggingface_hub",
    "numpy",
    "peft",
    "rich",
    "sentence_transformers",
    "sqlalchemy",
    "torch",
    "transformers",
    "yaml",
)
PROGRAM = f"""
import json, sys
from registry.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(set(sys.modules) & set({HEAVY!r}))]), file=sys.stderr)
"""


def loaded(home, *arguments, **environment):
    """(exit code, which heavy libraries were loaded) of a run of the command."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=process_environment(home, **environment),
    )
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["add", "--help"], ["--version"], ["list"], ["list", "--json"], ["list", "-q"]],
)
def test_help_and_list_load_nothing_heavy(filled, arguments):
    assert loaded(filled, *arguments) == [0, []]


def test_completion_loads_nothing_heavy(filled):
    assert loaded(
        filled,
        _REGISTRY_COMPLETE="zsh_complete",
        COMP_WORDS="registry show medical@",
        COMP_CWORD="2",
    ) == [0, []]


def test_a_ready_checkout_is_named_without_loading_anything_heavy(home, process):
    made = process("checkout", "medical@prod", home=home)

    assert (made.code, made.err) == (0, "")
    assert loaded(home, "checkout", "medical@prod") == [0, []]


@pytest.mark.parametrize(
    "arguments", [["show", "medical@1"], ["log"], ["resolve", "medical"], ["checkout", "medical"]]
)
def test_questions_and_checkouts_load_no_torch(home, arguments):
    code, heavy = loaded(home, *arguments)

    assert code == 0
    assert not {"torch", "transformers", "sentence_transformers", "peft", "rich"} & set(heavy)


def test_an_interrupt_while_the_program_is_still_loading_is_no_traceback():
    program = """
import sys
class Interrupted:
    def find_spec(self, name, *more):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from registry.cli import main
sys.exit(main(["list"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
