import re


def test_the_log_says_what_was_done_newest_first(run, filled):
    rows = [line.split("\t") for line in run("log", home=filled).lines]

    assert [row[3:5] for row in rows] == [
        ["Annotate", "medical@1"], ["Alias", "medical@1"], ["Register", "medical@1"], ["Register", "minilm-medical@1"],
        ["Register", "minilm@1"], ["Init", ""]]
    assert [int(row[0]) for row in rows] == [6, 5, 4, 3, 2, 1]
    assert rows[0][5] == "owner=anna"
    assert rows[1][5] == "prod -> 1"
    assert rows[4][5].endswith(": as published")


def test_the_log_of_a_model_leaves_out_the_others(run, filled):
    assert run("log", "minilm", "-q", home=filled).lines == ["minilm@1"]
    assert [row["entry"] for row in run("log", "medical@1", "--json", home=filled).json] == [6, 5, 4]


def test_the_log_can_be_cut_short(run, filled):
    assert len(run("log", "-n", "2", home=filled).lines) == 2


def test_the_log_in_json_has_the_whole_entry(run, filled):
    row = run("log", "--json", home=filled).json[1]

    assert set(row) == {"entry", "time", "by", "kind", "name", "number", "digest", "body"}
    assert (row["kind"], row["body"]["alias"], row["body"]["number"]) == ("Alias", "prod", 1)


def test_lineage_is_a_tree_from_the_oldest_ancestor_down(run, filled):
    assert run("lineage", "medical", home=filled).lines == [
        "minilm@1 base",
        "└─ minilm-medical@1 resized (resized-from, known: given)",
        "   └─ medical@1 adapter [prod] (base, known: path) <- this"]


def test_lineage_of_the_base_shows_what_stands_on_it(run, filled):
    assert "<- this" in run("lineage", "minilm", home=filled).lines[0]
    assert len(run("lineage", "minilm", home=filled).lines) == 3


def test_lineage_as_mermaid_and_dot_name_the_same_edges(run, filled):
    mermaid = run("lineage", "medical", "--mermaid", home=filled).out
    dot = run("lineage", "medical", "--dot", home=filled).out

    assert mermaid.startswith("graph TD\n")
    assert re.findall(r"\|(\S+)\|", mermaid) == re.findall(r'-> "\S+" \[label="(\S+)"\]', dot)
    assert '"minilm-medical@1" -> "medical@1"' in dot


def test_lineage_in_json_has_versions_and_edges(run, filled):
    told = run("lineage", "minilm-medical@1", "--json", home=filled).json

    assert (told["ancestors"], told["descendants"]) == (["minilm@1"], ["medical@1"])
    assert {(edge["child"], edge["parent"], edge["role"]) for edge in told["edges"]} == {
        ("medical@1", "minilm-medical@1", "base"), ("minilm-medical@1", "minilm@1", "resized-from")}


def test_quiet_lineage_is_the_line_of_references(run, filled):
    assert run("lineage", "medical", "-q", home=filled).lines == ["minilm@1", "minilm-medical@1", "medical@1"]
