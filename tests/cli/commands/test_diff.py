import json
import os

import pytest

from tests.cli.errors import missing


def test_the_last_line_is_the_advice(run, filled):
    ran = run("diff", "minilm@1", "minilm-medical@1", home=filled)

    assert ran.code == 0
    assert ran.lines[0] == "minilm@1 (base) → minilm-medical@1 (resized)"
    assert "  + zorvaxin (id 27)" in ran.lines
    assert (
        "  embeddings.word_embeddings: weight 27×8 → 29×8, 2 rows new, 27 old rows the same"
        in ran.lines
    )
    assert ran.lines[-1].startswith("re-encode: texts that hold an added token (zorvaxin, quelora)")
    assert run("diff", "minilm@1", "minilm-medical@1", "-q", home=filled).lines == [ran.lines[-1]]


def test_stat_is_a_line_an_area(run, filled):
    lines = run("diff", "minilm@1", "medical@1", "--stat", home=filled).lines

    assert [line.split()[0] for line in lines[1:-1]] == ["tokens", "weights", "adapter", "settings"]


@pytest.mark.parametrize(("after", "code"), [("minilm@1", 0), ("medical@1", 1)])
def test_exit_code_tells_whether_anything_differs(run, filled, after, code):
    assert run("diff", "minilm@1", after, home=filled).code == 0
    assert run("diff", "minilm@1", after, "--exit-code", home=filled).code == code


def test_json_has_every_area(run, filled):
    found = run("diff", "minilm@1", "medical@1", "--json", home=filled).json

    assert set(found) >= {
        "before",
        "after",
        "same",
        "tokens",
        "weights",
        "adapter",
        "settings",
        "texts",
        "metrics",
        "files",
        "advice",
    }
    assert found["tokens"][0]["after"]["content"] == "zorvaxin"
    assert {tensor["change"] for tensor in found["weights"]["tensors"]} == {"resized"}
    assert all(item["change"] > 0 for item in found["adapter"])
    assert found["advice"]["everything"] is True


def test_a_folder_can_stand_on_either_side(run, filled, folders):
    assert run("diff", folders.base, "minilm@1", "--exit-code", home=filled).code == 0
    assert run("diff", "minilm@1", folders.resized, "--exit-code", home=filled).code == 1


def test_what_is_not_there_is_one_line(run, filled):
    ran = run("diff", "minilm@1", "./nowhere", home=filled)

    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("error: ")
    assert missing(ran.err, "nowhere'") == []


def test_control_characters_of_a_token_do_not_reach_the_terminal(run, filled, folders, tmp_path):
    import shutil

    other = shutil.copytree(folders.resized, tmp_path / "other")
    text = json.loads((other / "tokenizer.json").read_text())
    text["added_tokens"][-1]["content"] = "quelora\x1b[2J"
    (other / "tokenizer.json").write_text(json.dumps(text))

    ran = run("diff", "minilm-medical@1", other, home=filled)

    assert "\x1b" not in ran.out
    assert "+ quelora\\x1b[2J (id 28)" in ran.out


def test_encodings_are_told_for_people_and_as_json_and_as_a_page(run, filled, tmp_path):
    (tmp_path / "texts.txt").write_text("the patient takes zorvaxin\nthe new dose\n")
    ran = run(
        "diff",
        "minilm@1",
        "minilm-medical@1",
        "--texts",
        tmp_path / "texts.txt",
        "--html",
        tmp_path / "page.html",
        home=filled,
    )
    found = run(
        "diff",
        "minilm@1",
        "minilm-medical@1",
        "--encodings",
        "--texts",
        tmp_path / "texts.txt",
        "--json",
        home=filled,
    ).json["encodings"]

    assert any(
        line.startswith("encodings minilm-medical@1 encodes 1 of 2 texts otherwise than minilm@1")
        for line in ran.lines
    )
    assert any(
        "pieces of zorvaxin: z ##o ##r ##v ##a ##x ##i ##n → zorvaxin" in line for line in ran.lines
    )
    assert ran.lines[-1].startswith("re-encode:")
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")
    assert ran.err.splitlines() == [
        "--html measures encodings too: both models are loaded",
        f"wrote the page {tmp_path / 'page.html'}",
    ]
    assert [item["text"] for item in found["texts"]] == [
        "the patient takes zorvaxin",
        "the new dose",
    ]
    assert found["texts"][1]["value"] == pytest.approx(1.0)
    assert {"measure", "moved", "median", "histogram", "pieces", "plane", "sentence"} <= set(found)


@pytest.mark.slow
def test_texts_can_come_by_a_pipe(process, filled):
    ran = process(
        "diff",
        "minilm@1",
        "minilm-medical@1",
        "--texts",
        "/dev/stdin",
        "--json",
        home=filled,
        text="the new dose\nof zorvaxin\n",
    )

    assert [item["text"] for item in ran.json["encodings"]["texts"]] == [
        "the new dose",
        "of zorvaxin",
    ]


def test_a_pipe_of_the_shell_is_read(run, filled):
    reader, writer = os.pipe()
    os.write(writer, b"of zorvaxin\n")
    os.close(writer)

    ran = run("tokens", "medical@1", "--texts", f"/dev/fd/{reader}", "--json", home=filled)
    os.close(reader)

    assert ran.code == 0, ran.err
    assert "zorvaxin" in ran.out


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(run, filled, tmp_path):
    os.mkfifo(tmp_path / "pipe")

    ran = run("diff", "minilm@1", "medical@1", "--texts", tmp_path / "pipe", home=filled)

    assert (ran.code, ran.out) == (3, "")
    assert missing(ran.err, str(tmp_path / "pipe")) == []


def test_texts_that_cannot_be_read_are_wrong_use(run, filled, tmp_path):
    (tmp_path / "texts.txt").write_bytes(b"\xff")

    ran = run("diff", "minilm@1", "medical@1", "--texts", tmp_path / "texts.txt", home=filled)

    assert (ran.code, ran.out) == (2, "")
    assert missing(ran.err, str(tmp_path / "texts.txt"), "UTF-8", "line 1") == []
