import pytest

import registry
from tests.cli.errors import is_one_error, missing
from tests.support import plain


def test_init_makes_a_home_and_prints_it(run, tmp_path):
    ran = run("init", tmp_path / "new")

    assert (ran.code, ran.out) == (0, f"{tmp_path / 'new'}\n")
    assert run("list", home=tmp_path / "new").code == 0


def test_init_leaves_a_home_that_is_there_as_it_is(run, home):
    ran = run("init", "--json", home=home)

    assert ran.json == {"home": str(home)}
    assert run("list", "-q", home=home).lines == ["medical", "minilm", "minilm-medical"]


def test_init_refuses_a_folder_with_something_else_in_it(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    ran = run("init", tmp_path)

    assert ran.code == 7
    assert "mine.txt" in ran.err
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_config_keeps_who_is_at_work(run, home):
    run("config", "user.name", "Anna Example", home=home)
    run("annotate", "medical@1", "ticket=7", home=home)

    assert run("config", "user.name", home=home).out == "Anna Example\n"
    assert run("config", home=home).out == "user.name=Anna Example\n"
    assert run("log", "-n", "1", "--json", home=home).json[0]["by"] == "Anna Example"


def test_config_says_what_options_are_where_they_are_not_given(run, home):
    run("config", "load.device", "nowhere", home=home)

    assert "nowhere" in run("load", "minilm@1", home=home).err
    assert run("load", "minilm@1", "--device", "cpu", home=home).code == 0


def test_config_refuses_what_a_setting_cannot_be(run, home):
    refused = run("config", "load.probes", "perhaps", home=home)

    assert refused.code == 2 and is_one_error(refused.err)
    assert missing(refused.err, "load.probes", "'perhaps'", "refuse", "warn", "skip") == []
    assert run("config", "load.probes", "warn", home=home).code == 0
    assert run("config", "device", "cpu", home=home).code == 2


def test_config_forgets(run, home):
    run("config", "user.name", "Anna Example", home=home)

    run("config", "--unset", "user.name", home=home)

    assert run("config", "--json", home=home).json == {}
    assert run("config", "user.name", home=home).code == 3


@pytest.mark.slow
def test_collect_says_what_it_frees_and_what_it_keeps_and_why(run, home, tmp_path):
    run("add", plain.base(tmp_path / "second", seed=2), "--as", "minilm", home=home)
    run("delete", "minilm@2", "--yes", home=home)

    would = run("collect", "--older-than", "0", "--dry-run", "--json", home=home).json
    rows = [line.split("\t") for line in run("collect", "--older-than", "0", home=home).lines]

    assert would["size"] > 0
    assert rows[0][:2] == ["freed", str(would["size"])]
    assert any(row[0] == "kept" and "minilm@1" in row[2] for row in rows)
    assert run("collect", "--older-than", "0", "--json", home=home).json["blobs"] == 0


def test_collect_leaves_alone_what_is_young(run, home, tmp_path):
    run("add", plain.base(tmp_path / "second", seed=2), "--as", "minilm", home=home)
    run("delete", "minilm@2", "--yes", home=home)

    told = run("collect", "--json", home=home).json

    assert (told["blobs"], told["size"]) == (0, 0)
    assert told["young"] > 0


def test_completion_in_json_is_the_script(run):
    told = run("completion", "fish", "--json").json

    assert told["shell"] == "fish"
    assert "_REGISTRY_COMPLETE" in told["script"]


def test_the_default_home_makes_itself(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("REGISTRY_HOME", raising=False)

    ran = run("list")

    assert ran.code == 0
    with registry.open(tmp_path / "data" / "st-registry") as made:
        assert made.list() == ()
