import re
import shutil
from dataclasses import replace

import pytest

import registry
from tests.cli.conftest import ADDED
from tests.cli.errors import is_one_error, missing

REQUIRED = {
    "reference",
    "kind",
    "class",
    "digest",
    "parents",
    "aliases",
    "vocabulary",
    "weights",
    "files",
    "source",
    "message",
    "notes",
    "created_at",
    "created_by",
    "yanked",
}
DIGEST = re.compile("sha256:[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_list_in_a_pipe_is_tab_separated_without_a_header(run, filled):
    rows = [line.split("\t") for line in run("list", home=filled).lines]

    assert [row[:6] for row in rows] == [
        ["medical", "1", "1", "adapter", "SentenceTransformer", "prod=1"],
        ["minilm", "1", "1", "base", "SentenceTransformer", ""],
        ["minilm-medical", "1", "1", "resized", "SentenceTransformer", ""],
    ]
    assert all(TIME.fullmatch(row[6]) for row in rows)


def test_list_says_the_same_at_a_glance_and_the_long_way(run, filled, process):
    with registry.open(filled) as opened:
        models = opened.list()

    glanced = run("list", "--json", home=filled).json

    assert [
        (item["name"], item["latest"], item["aliases"], item["updated_at"]) for item in glanced
    ] == [(model.name, model.latest, dict(model.aliases), model.updated_at) for model in models]


def test_list_of_a_model_gives_its_versions(run, filled):
    row = run("list", "medical", home=filled).lines[0].split("\t")
    (value,) = run("list", "medical", "--json", home=filled).json

    assert row[:4] == ["medical@1", "adapter", "SentenceTransformer", "prod, latest"]
    assert (value["reference"], value["aliases"], value["latest"], value["size"]) == (
        "medical@1",
        ["prod"],
        True,
        int(row[4]),
    )


def test_an_empty_registry_lists_nothing_and_says_how_to_begin(run, tmp_path):
    run("init", tmp_path / "empty")

    ran = run("list", home=tmp_path / "empty")

    assert (ran.code, ran.out) == (0, "")
    assert "registry add" in ran.err
    assert run("list", "--json", home=tmp_path / "empty").json == []


def test_show_prints_a_source_whatever_an_earlier_package_took_from_elsewhere(run, home):
    with registry.open(home) as opened:
        first = opened.home.journal.read(opened.resolve("minilm@1").entry).body
        opened.home.commit(
            lambda connection: replace(
                first, number=2, source={"fix": 5, "git": 5, "recipe": [5], "run": {"id": 5}}
            )
        )

    ran = run("show", "minilm@2", home=home)

    assert ran.code == 0 and "fixed\t5" in ran.lines and "source run\tid 5" in ran.lines


def test_show_has_every_field_that_programs_count_on(run, filled):
    shown = run("show", "medical@prod", "--json", home=filled).json

    assert set(shown) >= REQUIRED
    assert shown["reference"] == "medical@1"
    assert [set(parent) for parent in shown["parents"]] == [
        {"role", "reference", "digest", "evidence"}
    ]
    assert set(shown["vocabulary"]) == {"digest", "size", "added"}
    assert [token["content"] for token in shown["vocabulary"]["added"]] == list(ADDED)
    assert set(shown["vocabulary"]["added"][0]) == {
        "id",
        "content",
        "special",
        "lstrip",
        "rstrip",
        "single_word",
        "normalized",
    }
    assert set(shown["weights"]) == {"digest", "tensors", "parameters", "dtype"}
    assert all(
        set(file) == {"path", "digest", "size"} and isinstance(file["size"], int)
        for file in shown["files"]
    )


def test_show_gives_whole_digests_and_iso_dates(run, filled):
    shown = run("show", "medical@prod", "--json", home=filled).json

    digests = [
        shown["digest"],
        shown["vocabulary"]["digest"],
        shown["weights"]["digest"],
        *(file["digest"] for file in shown["files"]),
    ]
    assert all(DIGEST.fullmatch(digest) for digest in digests)
    assert TIME.fullmatch(shown["created_at"])
    assert (shown["notes"], shown["yanked"], shown["message"]) == ({"owner": "anna"}, False, None)


def test_show_for_people_says_where_it_comes_from(run, filled):
    rows = dict(line.split("\t", 1) for line in run("show", "medical@prod", home=filled).lines)

    assert rows["version"] == "medical@1"
    assert rows["base"].startswith("minilm-medical@1 sha256:")
    assert rows["note owner"] == "anna"
    assert ", ".join(ADDED) in rows["tokens"]


def test_show_of_a_file_is_the_file_byte_for_byte(process, filled, folders):
    ran = process("show", "minilm@1:config.json", home=filled)

    assert ran.out.encode() == (folders.base / "config.json").read_bytes()
    assert ran.err == ""


def test_show_of_a_file_in_json_has_its_digest_and_its_text(run, filled, folders):
    text = run("show", "minilm@1:tokenizer.json", "--json", home=filled).json
    weights = run("show", "minilm@1:model.safetensors", "--json", home=filled).json

    assert text["text"] == (folders.base / "tokenizer.json").read_text()
    assert weights["size"] == (folders.base / "model.safetensors").stat().st_size
    assert DIGEST.fullmatch(weights["digest"])


def test_tokens_are_listed_by_id(run, filled):
    rows = [line.split("\t") for line in run("tokens", "medical@1", home=filled).lines]

    assert [row[1] for row in rows] == list(ADDED)
    assert [int(row[0]) for row in rows] == sorted(int(row[0]) for row in rows)
    assert run("tokens", "medical@1", "-q", home=filled).lines == list(ADDED)
    assert run("tokens", "minilm@1", "--json", home=filled).json == []


def test_find_tells_versions_and_why(run, filled):
    found = run("find", "zorvaxin", "--json", home=filled).json

    assert {item["reference"] for item in found} >= {"minilm-medical@1"}
    assert all("zorvaxin" in item["why"] for item in found)


def test_find_tells_which_version_a_folder_is(run, filled, folders):
    assert run("find", folders.adapter, "-q", home=filled).lines == ["medical@1"]
    assert run("find", folders.base, "-q", home=filled).lines == ["minilm@1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["find", "nothing of this"], "nothing matches 'nothing of this'"),
        (["tokens", "minilm@1"], "minilm@1 has no token"),
        (["config"], "registry config user.name NAME"),
        (["log", "--kind", "delete"], "no entry of the journal matches"),
    ],
)
def test_an_empty_answer_is_no_error_and_says_that_it_is_empty(run, filled, arguments, said):
    ran = run(*arguments, home=filled)

    assert (ran.code, ran.out) == (0, "")
    assert said in ran.err
    assert (run(*arguments, "--json", home=filled).err, run(*arguments, "-q", home=filled).err) == (
        "",
        "",
    )


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            "x > 1",
            "no version has a number called 'x', as metric or note; there are: eval_spearman",
        ),
        (
            "spearman > 0.1",
            "no version has a number called 'spearman', as metric or note; is it one of these: eval_spearman",
        ),
        ("evil_spearmen = 1", "; is it one of these: eval_spearman"),
    ],
)
def test_a_comparison_with_a_number_that_no_version_has_says_so(run, home, what, said):
    run("annotate", "medical@1", "eval_spearman=0.5", home=home)

    ran = run("find", what, home=home)

    assert (ran.code, ran.out) == (0, "")
    assert said in ran.err
    assert "no version has" not in run("find", "eval_spearman > 0.9", home=home).err


@pytest.mark.parametrize(
    ("what", "quoted"),
    [
        ("x >", ["'x >'", "'>'"]),
        ("> 3", ["'> 3'", "'>'"]),
        ("eval < high", ["'eval < high'", "'<'"]),
        (" ", ["'eval_loss < 0.3'"]),
        *(
            (text, [repr(text), "< <= > >= = !=", "'eval_loss < 0.3'"])
            for text in (
                "eval >> 3",
                "eval > > 3",
                "eval => 3",
                "eval =< 3",
                "eval <> 3",
                "eval ≥ 3",
                "eval >= 0.8 <= 0.9",
                "eval <3 and",
                "3 > eval",
            )
        ),
    ],
)
def test_half_a_comparison_is_told_in_a_line(run, filled, what, quoted):
    ran = run("find", what, home=filled)

    assert (ran.code, ran.out) == (2, "") and is_one_error(ran.err)
    assert missing(ran.err, *quoted) == []


@pytest.mark.parametrize("what", ["->", "<b"])
def test_a_token_that_looks_a_little_like_a_comparison_is_looked_for(run, filled, what):
    assert run("find", "--", what, home=filled).code == 0


@pytest.mark.parametrize("arguments", [["add", "medical@1", "--as", "x"], ["pull", "medical@1"]])
def test_a_version_where_a_folder_or_a_file_is_wanted_is_told_what_shows_it(run, filled, arguments):
    ran = run(*arguments, home=filled)

    assert ran.code == 3
    assert "registry show medical@1" in ran.err


def test_resolve_pins_a_reference(run, filled):
    pinned = run("resolve", "medical@prod", home=filled).out.strip()

    assert re.fullmatch("medical@1@sha256:[0-9a-f]{64}", pinned)
    assert run("resolve", pinned, home=filled).out.strip() == pinned
    assert run("resolve", "medical@prod^", "-q", home=filled).lines == ["minilm-medical@1"]


def test_a_yanked_version_is_found_with_one_line_of_warning(run, home):
    run("yank", "minilm@1", "--reason", "wrong\x1b[2J words", home=home)

    ran = run("resolve", "minilm@1", home=home)

    assert ran.out.startswith("minilm@1@sha256:")
    assert ran.err == "warning: minilm@1 was yanked: wrong\\x1b[2J words\n"


def test_tokens_tell_who_brought_each_when_and_what_it_was_before(run, filled, tmp_path):
    (tmp_path / "corpus.txt").write_text("zorvaxin\n" * 3 + "quelora\n" * 9)
    found = run(
        "tokens", "medical@1", "--texts", tmp_path / "corpus.txt", "--json", home=filled
    ).json
    ran = run("tokens", "medical@1", "--texts", tmp_path / "corpus.txt", home=filled)

    assert [item["brought"]["reference"] for item in found] == ["minilm-medical@1"] * 2
    assert found[0]["pieces"] == ["z", "##o", "##r", "##v", "##a", "##x", "##i", "##n"]
    assert [(item["trained"], item["count"]) for item in found] == [(None, 3), (None, 9)]
    assert {"id", "content", "special", "lstrip", "rstrip", "single_word", "normalized"} <= set(
        found[0]
    )
    assert ran.lines[0].split("\t")[3] == "minilm-medical@1"
    assert ran.lines[0].split("\t")[-1] == "3"
    assert (
        ran.err
        == "warning: 'zorvaxin' (3) occurs fewer than 5 times in the texts; a word seen so seldom has not been learnt\n"
    )


@pytest.mark.parametrize(
    "text", ["<masked>", "a -> b", "owner=3b", "batch=16 lr=3", "wow! 3 dogs", "a=b"]
)
def test_a_text_that_only_looks_a_little_like_a_comparison_is_looked_for(run, filled, text):
    ran = run("find", text, home=filled)

    assert (ran.code, ran.out, ran.err) == (0, "", f"nothing matches {text!r}\n")


@pytest.mark.parametrize(
    "command",
    [
        ["diff", "m/dense", "m/dense"],
        ["diff", "minilm@1", "m/dense"],
        ["check", "m/dense"],
        ["check", "m/dense", "--at", "3"],
        ["diff", "minilm@1", "m/dense", "--at", "5"],
        ["check", "./m/dense", "--parent", "m/dense"],
    ],
    ids=" ".join,
)
def test_a_folder_named_as_a_reference_is_named_as_a_folder(
    run, filled, folders, tmp_path, monkeypatch, command
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folders.adapter, tmp_path / "m" / "dense")

    ran = run(*command, home=filled)

    assert (ran.code, ran.out) == (3, "")
    assert is_one_error(ran.err)
    assert missing(ran.err, "'m/dense'", " ./m/dense") == []


def test_a_folder_that_was_looked_for_as_a_text_is_named_as_a_folder(
    run, filled, folders, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folders.base, tmp_path / "m" / "dense")

    ran = run("find", "m/dense", home=filled)
    as_said = run("find", "./m/dense", home=filled)

    assert (ran.code, ran.out) == (0, "")
    assert (
        "warning: nothing is registered under 'm/dense'; there is a folder of that name: write ./m/dense\n"
        in ran.err
    )
    assert as_said.lines == ["minilm@1\tbase\tthe same files"]
