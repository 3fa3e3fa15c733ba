"""Passwords, Hub tokens and addresses: what is never printed, and what is refused."""

from __future__ import annotations

import pytest

from registry.core.settings import from_environment
from registry.errors import Invalid, InvalidPath, Refused, RegistryError, masked
from registry.operations.registration.provenance import command_line
from tests.cli.errors import is_one_error
from tests.support import plain
from tests.support.refusals import raises

TOKEN = "hf_" + "aB3" * 11


@pytest.mark.parametrize(
    "address",
    [
        "https://anna:s3cret@huggingface.co/org/repo",
        "htps://anna:s3cret@huggingface.co/org/repo",
        "https:/anna:s3cret@huggingface.co/org/repo",
        "hf://anna:s3cret@org/repo",
        "hf://:s3cret@org/repo",
        "S3://anna:s3c/s3cret@x@bucket/x",
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["pull"],
        ["show"],
        ["push", "minilm@1", "--to"],
        ["add", "--as", "x"],
        ["init"],
        ["--home"],
        ["resize", "minilm@1", "--as", "x", "--tokens"],
        ["bundle", "minilm@1", "-o"],
        ["checkout", "minilm@1"],
        ["status"],
        ["find"],
    ],
)
def test_a_password_in_an_address_is_never_printed(
    run, filled, command, address, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    words = (*command, address)
    ran = run(*words, "list") if command == ["--home"] else run(*words, home=filled)

    assert "s3cret" not in ran.out + ran.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8080/org/repo@v1",
        "hf://org/repo@refs/pr/1",
        "medical@3@sha256:0123abcd",
        "minilm@1 (hf://org/repo): medical@2",
    ],
)
def test_text_without_a_password_is_kept(text):
    assert masked(text) == text


def test_an_error_in_python_has_no_password_either():
    error = RegistryError("no https://a:s3cret@h/x", hint="try https://a:s3cret@h/y")

    assert "s3cret" not in f"{error}{error.hint}{error.args}"


def test_a_recorded_command_has_no_password_and_no_token():
    words = command_line(["registry", "pull", "https://a:s3cret@h/x", f"--x={TOKEN}"])

    assert "s3cret" not in str(words)
    assert TOKEN not in str(words)


@pytest.mark.parametrize(
    "words",
    [
        ["annotate", "minilm@1", f"key={TOKEN}"],
        ["alias", "minilm@1", "prod", "-m", f"with {TOKEN}"],
        ["yank", "minilm@1", "--reason", TOKEN],
        ["resize", "minilm@1", "--as", "x", "--token", "zorvaxin", "-m", TOKEN],
        ["delete", "minilm@1", "--yes", "-m", TOKEN],
    ],
)
def test_a_hub_token_in_a_text_that_is_recorded_is_refused(run, filled, words):
    ran = run(*words, home=filled)

    assert (ran.code, is_one_error(ran.err)) == (Refused.exit_code, True)
    assert TOKEN not in ran.out + ran.err


@pytest.mark.parametrize("words", [["annotate", "minilm@1", "a=\udcff"]])
def test_bytes_in_a_text_that_is_recorded_are_named(run, filled, words):
    ran = run(*words, home=filled)

    assert (ran.code, is_one_error(ran.err)) == (2, True)
    assert r"\udcff" in ran.err


@pytest.mark.parametrize(
    "address",
    ["s3://bucket/x", "s3:/bucket/x", "gs://b", "https://host/x", "hf://org/x", "ssh+git://h/x"],
)
def test_an_address_is_not_a_folder_of_a_registry(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scheme = address.partition(":")[0]

    for environment, home in (({}, address), ({"REGISTRY_HOME": address}, None)):
        with raises(Invalid, repr(address), repr(scheme)):
            from_environment(home, {"HOME": "/root", **environment})
    with raises(Invalid, "REGISTRY_CACHE"):
        from_environment("x", {"HOME": "/root", "REGISTRY_CACHE": address})
    assert not list(tmp_path.iterdir())


def test_a_file_address_offers_the_folder():
    with raises(Invalid, "/srv/models"):
        from_environment("file:///srv/models", {"HOME": "/root"})


@pytest.mark.parametrize("text", ["./s3:/bucket", "a:b", "C:/models", "/srv/a:/b"])
def test_folders_with_a_colon_are_folders(text):
    assert from_environment(text, {"HOME": "/root"}).home_was_named


@pytest.mark.parametrize("character", ["\x9b", "\u202e", "\u2028"])
def test_a_folder_of_a_model_with_such_a_character_is_refused(tmp_path, home, character):
    import registry

    folder = plain.base(tmp_path / "model", seed=11)
    modules = (folder / "modules.json").read_text("utf-8")
    (folder / "1_Pooling").rename(folder / f"1_{character}")
    (folder / "modules.json").write_text(modules.replace("1_Pooling", f"1_{character}"), "utf-8")

    with raises(InvalidPath, f"U+{ord(character):04X}"):
        registry.add(folder, "turned", home=home)


def test_a_folder_whose_name_is_not_utf8_is_registered(tmp_path, run, home):
    folder = plain.base(tmp_path / "model\udcff", seed=12)

    ran = run("add", folder, "--as", "named", home=home)

    assert ran.code == 0
