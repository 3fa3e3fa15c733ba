import json
import re

import pytest

from tests.cli.conftest import ADDED
from tests.cli.errors import missing
from tests.support import plain


def test_the_log_says_what_was_done_newest_first(run, filled):
    rows = [line.split("\t") for line in run("log", home=filled).lines]

    assert [row[3:5] for row in rows] == [
        ["Annotate", "medical@1"],
        ["Alias", "medical@1"],
        ["Register", "medical@1"],
        ["Register", "minilm-medical@1"],
        ["Register", "minilm@1"],
        ["Init", ""],
    ]
    assert [int(row[0]) for row in rows] == [6, 5, 4, 3, 2, 1]
    assert rows[0][5] == "owner=anna"
    assert rows[1][5] == "prod: nothing -> 1"
    assert rows[4][5].endswith(": as published")


def test_the_log_of_a_model_leaves_out_the_others(run, filled):
    assert run("log", "minilm", "-q", home=filled).lines == ["minilm@1"]
    assert [row["entry"] for row in run("log", "medical@1", "--json", home=filled).json] == [
        6,
        5,
        4,
    ]


def test_the_log_can_be_cut_short(run, filled):
    assert len(run("log", "-n", "2", home=filled).lines) == 2


def test_the_log_in_json_has_the_whole_entry(run, filled):
    row = run("log", "--json", home=filled).json[1]

    assert set(row) == {"entry", "time", "by", "kind", "name", "number", "digest", "body", "before"}
    assert (row["kind"], row["body"]["alias"], row["body"]["number"]) == ("Alias", "prod", 1)


def test_lineage_is_a_tree_from_the_oldest_ancestor_down(run, filled):
    assert run("lineage", "medical", home=filled).lines == [
        "minilm@1 base",
        "└─ minilm-medical@1 resized (resized-from, known: given)",
        "   └─ medical@1 adapter [prod] (base, known: path) <- this",
    ]


def test_lineage_of_the_base_shows_what_stands_on_it(run, filled):
    assert "<- this" in run("lineage", "minilm", home=filled).lines[0]
    assert len(run("lineage", "minilm", home=filled).lines) == 3


def test_lineage_as_mermaid_and_dot_name_the_same_edges(run, filled):
    mermaid = run("lineage", "medical", "--mermaid", home=filled).out
    dot = run("lineage", "medical", "--dot", home=filled).out

    assert mermaid.startswith("graph TD\n")
    assert (
        re.findall(r'\|"(.+)"\|', mermaid)
        == re.findall(r'-> "\S+" \[label="(.+)"\]', dot)
        == ["base, path", "resized-from, given"]
    )
    assert '"minilm-medical@1" -> "medical@1"' in dot


def test_lineage_in_json_has_versions_and_edges(run, filled):
    told = run("lineage", "minilm-medical@1", "--json", home=filled).json

    assert (told["ancestors"], told["descendants"]) == (["minilm@1"], ["medical@1"])
    assert {(edge["child"], edge["parent"], edge["role"]) for edge in told["edges"]} == {
        ("medical@1", "minilm-medical@1", "base"),
        ("minilm-medical@1", "minilm@1", "resized-from"),
    }


def test_quiet_lineage_is_the_line_of_references(run, filled):
    assert run("lineage", "medical", "-q", home=filled).lines == [
        "minilm@1",
        "minilm-medical@1",
        "medical@1",
    ]


def test_lineage_as_a_picture_needs_nothing_and_names_everything(run, filled):
    from xml.etree import ElementTree

    picture = run("lineage", "medical", "--svg", home=filled).out
    texts = [
        element.text
        for element in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")
    ]

    assert {
        "minilm@1",
        "minilm-medical@1",
        "medical@1",
        "adapter, @prod",
        "resized-from",
        "given",
        "path",
    } <= set(texts)
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme:dark" in picture


@pytest.mark.parametrize(
    ("words", "quoted"),
    [
        (("lineage", "medical", "--mermaid", "--dot"), ["--mermaid", "--dot"]),
        (("lineage", "medical", "--mermaid", "-q"), ["--mermaid", "--quiet"]),
        (("-q", "lineage", "medical", "--dot"), ["--dot", "--quiet"]),
        (("log", "--graph", "-q"), ["--graph", "--quiet"]),
        (("diff", "minilm", "medical", "--stat", "-q"), ["--stat", "--quiet"]),
        (("log", "--by", ""), ["--by", "''"]),
        (("log", "--since", "2026-13-01"), ["'2026-13-01'", "2026-03-03", "UTC"]),
        (("list", "--at", "2026-13-01"), ["'2026-13-01'", "2026-03-03", "UTC"]),
    ],
)
def test_what_cannot_be_meant_is_said(run, filled, words, quoted):
    ran = run(*words, home=filled)

    assert ran.code == 2
    assert missing(ran.err, *quoted) == []


@pytest.mark.parametrize(
    "words",
    [("lineage", "medical", "--svg"), ("log", "--graph"), ("diff", "minilm", "medical", "--stat")],
)
def test_json_and_a_form_of_the_commands_own_exclude_each_other_wherever_they_stand(
    run, filled, words
):
    for ran in (run("--json", *words, home=filled), run(*words, "--json", home=filled)):
        assert (ran.code, ran.out) == (2, "")
        assert json.loads(ran.err)["error"]["kind"] == "Invalid"
        assert missing(ran.err, words[-1], "--json") == []


def test_children_stand_below_their_parents_and_lines_do_not_cross_where_they_need_not():
    from registry.cli.output.lineage_svg import layered, placed

    layers = layered(["a", "b", "y", "x", "m"], [("a", "x"), ("b", "y"), ("x", "m"), ("a", "m")])
    places, total = placed(layers, dict.fromkeys("abxym", 100.0))

    assert layers == [["a", "b"], ["x", "y"], ["m"]]
    assert places["x"][1] > places["a"][1]
    assert all(50 <= x <= total - 50 for x, _ in places.values())


def test_the_log_as_a_graph_joins_who_was_made_from_the_same(run, home, folders, tmp_path):
    other = plain.adapter(tmp_path / "law", folders.resized, seed=5, added=ADDED)
    run("add", other, "--as", "law", "--parent", "minilm-medical@1", home=home)

    told = [line.split("\t")[:2] for line in run("log", "--graph", home=home).lines]

    assert told == [
        ["●", "7"],
        ["│", "6"],
        ["│", "5"],
        ["│ ●", "4"],
        ["├─┘", ""],
        ["●", "3"],
        ["●", "2"],
        ["", "1"],
    ]


def test_a_merged_version_has_lines_to_both_of_its_parents():
    from registry.cli.output.log_graph import timeline
    from registry.core.digest import digest_of
    from registry.core.version import LogRow

    def row(number: int, name: str, *parents: str) -> LogRow:
        edges = [
            {"reference": f"{parent}@1", "digest": digest_of(parent.encode())} for parent in parents
        ]
        return LogRow(
            number,
            "",
            "anna",
            "Register",
            name,
            1,
            {"manifest": digest_of(name.encode()), "edges": edges},
            digest_of(b""),
        )

    lines = timeline(
        [
            row(4, "whole", "tuned", "base"),
            row(3, "tuned", "base"),
            row(2, "base", "older than all that is shown"),
        ]
    )

    assert [text for text, _ in lines] == ["●", "├─┐", "● │", "├─┘", "●"]


def test_looks_take_a_moment_and_a_wrong_one_is_one_line(run, filled):
    assert run("list", "--at", "2", "-q", home=filled).lines == ["minilm"]
    assert run("list", "medical", "--at", "4", home=filled).lines[0].split("\t")[3] == "latest"
    assert (
        run("resolve", "medical", "--at", "2999-01-01", home=filled).lines
        == run("resolve", "medical", home=filled).lines
    )
    assert run("log", "medical@prod", "--at", "4", home=filled).code == 3
    for command in (
        ["show", "medical"],
        ["tokens", "medical"],
        ["lineage", "medical"],
        ["find", "medical"],
        ["checkout", "medical"],
        ["load", "medical"],
        ["list"],
        ["log"],
        ["resolve", "medical"],
        ["diff", "minilm", "medical"],
        ["check", "medical"],
        ["du", "medical"],
        ["bundle", "medical", "-o", "never.tar"],
    ):
        assert (
            run(*command, "--at", "soon", home=filled).code,
            run(*command, "--at", "99", home=filled).code,
        ) == (2, 3)
