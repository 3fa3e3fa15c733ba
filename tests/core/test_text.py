"""Results at a prompt and in a notebook: a line that tells, a table that is escaped."""

import os
import subprocess

import pytest

import registry
from registry.cli.output.text import plain as printable
from registry.core.text import shell_word
from tests.support import plain


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    base = plain.base(folder / "base")
    adapter = plain.adapter(folder / "adapter", base, seed=3)
    with registry.init(folder / "home") as reg:
        added = reg.add(base, "minilm", message="<b>as published</b>\x1b[2J", measure=False)
        reg.add(adapter, "medical", parent="minilm@1", measure=False)
        return {
            "added": added,
            "details": reg.show("minilm@1"),
            "lineage": reg.lineage("medical@1"),
            "difference": reg.diff("minilm@1", "medical@1"),
            "report": reg.check("medical@1", measure=False),
            "audited": reg.audit(),
            "collected": reg.collect(dry_run=True),
        }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("added", "<Added minilm@1 base sha256:"),
        ("details", "<Details minilm@1 base SentenceTransformer sha256:"),
        ("lineage", "<Lineage medical@1, ancestors minilm@1>"),
        ("difference", "<Difference minilm@1 to medical@1, "),
        ("report", "<Report medical@1@sha256:"),
        ("audited", "<Audited whole, looked at 3 entries"),
        ("collected", "<Collected would free "),
    ],
)
def test_a_result_tells_itself_in_a_line_and_as_a_table(results, name, said):
    shown = results[name]

    assert repr(shown).startswith(said)
    assert len(repr(shown)) < 600 and printable(repr(shown)) == repr(shown)
    assert shown._repr_html_().startswith("<table><tr><th>")


def test_what_people_wrote_is_no_html(results):
    assert "&lt;b&gt;as published&lt;/b&gt;" in results["details"]._repr_html_()
    assert "<b>" not in results["details"]._repr_html_()


def test_one_version_is_no_plural(results):
    assert (
        repr(registry.Model("minilm", 1, 1, "base", "SentenceTransformer"))
        == "<Model minilm 1 version, latest 1>"
    )


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "a b",
        "it's",
        "a\nb",
        "a\\nb\n'x'",
        "tab\there",
        "\x1b[31mred",
        "\u202egnp",
        os.fsdecode(b"\xff1\n"),
        "é",
        "",
    ],
)
def test_a_shell_reads_a_word_as_the_name_it_stands_for_and_it_is_one_printable_line(name):
    word = shell_word(name)

    done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)

    assert done.stdout == os.fsencode(name)
    assert word.isprintable()
