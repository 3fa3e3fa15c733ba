import json
from pathlib import Path

import pytest

import registry
from tests.cli.errors import missing
from tests.support import small


def test_checkout_prints_the_folder_of_the_home(run, home):
    first = run("checkout", "medical@prod", home=home)
    again = run("checkout", "medical@prod", home=home)

    assert (first.code, first.err) == (0, "")
    assert first.out == again.out
    assert (Path(first.out.strip()) / "adapter_model.safetensors").exists()


def test_checkout_in_json_says_whether_it_was_there(run, home):
    first = run("checkout", "medical@prod", "--json", home=home).json
    again = run("checkout", "medical@prod", "--json", home=home).json

    assert (first["fresh"], again["fresh"]) == (True, False)
    assert first["reference"] == "medical@1"


def test_checkout_into_a_folder_prints_it(run, home, tmp_path):
    ran = run("checkout", "medical@prod", tmp_path / "out", home=home)

    assert ran.out == f"{tmp_path / 'out'}\n"
    assert (tmp_path / "out" / "adapter_config.json").exists()


def test_checkout_for_another_place_names_the_base_there(run, home, tmp_path):
    run("checkout", "medical@prod", tmp_path / "out", "--for", "/app/model", home=home)

    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "/app/model/.registry/base"


def test_checkout_refuses_a_folder_with_files_in_it(run, home, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    ran = run("checkout", "medical@prod", tmp_path, "--force", home=home)

    assert ran.code == 6
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_checkout_changed_on_disk_is_made_anew(run, home):
    folder = Path(run("checkout", "minilm@1", home=home).out.strip())
    config = folder / "config.json"
    content = config.read_bytes()
    config.chmod(0o644)
    config.write_bytes(content[:-2])

    ran = run("checkout", "minilm@1", home=home)

    assert "changed on disk" in ran.err
    assert config.read_bytes() == content


def test_load_prints_the_folder_and_names_the_class(run, home):
    ran = run("load", "medical@prod", "--device", "cpu", home=home)

    assert ran.code == 0
    assert ran.out == run("checkout", "medical@prod", home=home).out
    assert "SentenceTransformer" in ran.err


def test_load_encode_prints_a_json_line_for_each_text(run, home):
    ran = run(
        "load",
        "medical@prod",
        "--encode",
        "the patient takes zorvaxin",
        "--encode",
        "-",
        home=home,
        text="one dose\na day\n",
    )

    vectors = [json.loads(line) for line in ran.lines]
    with registry.open(home) as opened:
        model = opened.load("medical@prod")
        expected = list(opened.encode(model, ["the patient takes zorvaxin", "one dose", "a day"]))
    assert vectors == expected
    assert ran.err == "medical@1 is loaded as SentenceTransformer\n"


@pytest.mark.parametrize(
    "option",
    [
        ["--probes", "maybe"],
        ["--encode"],
        ["--device", "cudaa"],
        ["--adapter", "a=medical@1", "--adapter", "a=medical@prod"],
    ],
)
def test_load_refuses_what_cannot_be_meant_before_it_loads(run, home, option):
    ran = run("load", "medical@prod", *option, home=home)

    assert (ran.code, ran.out) == (2, "")


def test_a_cross_encoder_takes_pairs_and_prints_scores(run, home, tmp_path):
    run("add", small.cross(tmp_path / "reranker"), "--as", "reranker", home=home)

    refused = run("load", "reranker@1", "--encode", '["one text"]', home=home)
    scored = run(
        "load", "reranker@1", "--encode", '["the patient", "takes one"]', "--json", home=home
    )

    assert (refused.code, refused.out) == (2, "")
    assert missing(refused.err, repr('["one text"]'), "CrossEncoder", '["a", "b"]') == []
    assert scored.code == 0
    assert [type(score) for score in scored.json] == [float]


def test_load_puts_adapters_on_their_base_and_the_first_acts(run, home):
    alone = run("load", "medical@1", "--encode", "zorvaxin a day", home=home)

    ran = run(
        "load",
        "minilm-medical@1",
        "--adapter",
        "a=medical@1",
        "--adapter",
        "b=medical@prod",
        "--encode",
        "zorvaxin a day",
        home=home,
    )

    assert (ran.code, ran.out) == (0, alone.out)
    assert "minilm-medical@1 is loaded as SentenceTransformer, and a acts" in ran.err
    assert run("load", "minilm@1", "--adapter", "a=medical@1", home=home).code == 6
    assert run("load", "minilm@1", "--adapter", "medical@1", home=home).code == 2
