"""Repositories that mean harm, and repositories that are not what they were: refused in one line, and nothing is written outside quarantine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.core.digest import canonical, digest_of
from tests.cli.errors import is_one_error, missing
from tests.operations.hub.faults.promises import everything_outside, versions
from tests.support import plain
from tests.support.hub_server import HubServer

INVALID, CONFLICT, CORRUPT, REFUSED = 2, 4, 5, 6
LINE = ".registry/line.json"
Line = list[dict[str, Any]]


def with_line(
    hub: HubServer, name: str, change: Callable[[Line], None], more: dict[str, bytes] | None = None
) -> None:
    """Change what a repository says of the line in it, so that each manifest still has the digest it is said to have."""
    said = json.loads(hub.files(name)[LINE])
    change(said["line"])
    for member in said["line"]:
        member["digest"] = digest_of(canonical(member["manifest"]))
    hub.commit(name, {LINE: canonical(said), **(more or {})})


def a_file(path: str) -> Callable[[Line], None]:
    """A change of the line: the version has one more file, of this path."""

    def change(line: Line) -> None:
        content = b"{}"
        line[0]["manifest"]["files"].append(
            {"path": path, "digest": digest_of(content), "size": len(content)}
        )
        line[0]["manifest"]["files"].sort(key=lambda file: file["path"])

    return change


def set_in(line: Line, value: Any, *keys: Any) -> None:
    """Put a value where the keys lead."""
    place: Any = line
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value


NAMES = [
    "../evil.json",
    "sub/../../evil.json",
    "/etc/evil.json",
    "C:\\evil.json",
    "sub\\evil.json",
    "CON",
    "sub/aux.json",
    "nul.txt",
    "CONFIG.json",
    ".registry/marker.json",
    "a\nb.json",
    "a\x00b.json",
    "",
    ".",
    "1_Pooling/../config.json",
    "x" * 300,
    "trailing. ",
]


@pytest.fixture
def refused(run, empty, tmp_path) -> Callable[..., str]:
    """Pull something that must be refused: the one line that was said. Nothing is written that was not there, here or beside."""
    beside = sorted(tmp_path.iterdir())
    before = everything_outside(empty)

    def pull(what: str, *codes: int, arguments: tuple[str, ...] = ()) -> str:
        ran = run(empty, "pull", what, *arguments)
        assert ran.code in codes, (ran.code, ran.err)
        assert everything_outside(empty) == before
        assert sorted(tmp_path.iterdir()) == beside
        return ran.err

    return pull


def test_a_name_that_is_no_path_of_a_version(published, all_refused):
    codes = all_refused(
        {
            name: lambda repository, name=name: with_line(
                published, repository, a_file(name), {name: b"{}"}
            )
            for name in NAMES
        }
    )

    assert set(codes.values()) <= {INVALID, REFUSED}, codes


LIES: dict[str, tuple[Callable[[Line], None], tuple[int, ...]]] = {
    "a digest that the file has not": (
        lambda line: set_in(line, "sha256:" + "0" * 64, 0, "manifest", "files", 0, "digest"),
        (CORRUPT,),
    ),
    "a size that the file has not": (
        lambda line: set_in(line, 7, 0, "manifest", "files", 0, "size"),
        (CORRUPT, 7),
    ),
    "a size beyond any disk": (
        lambda line: set_in(line, 1 << 62, 0, "manifest", "files", 0, "size"),
        (INVALID, CORRUPT, REFUSED, 7),
    ),
    "a file that is not there": (a_file("missing.json"), (3, CORRUPT, REFUSED)),
    "a manifest of a newer format": (
        lambda line: set_in(line, 9, 0, "manifest", "format"),
        (INVALID,),
    ),
    "another class": (
        lambda line: set_in(line, "CrossEncoder", 0, "manifest", "class"),
        (INVALID, CORRUPT, REFUSED),
    ),
    "another kind": (
        lambda line: set_in(line, "adapter", 0, "manifest", "kind"),
        (INVALID, CORRUPT, REFUSED),
    ),
    "a name that leads out": (lambda line: set_in(line, "../evil", 0, "name"), (INVALID,)),
    "no number": (lambda line: set_in(line, "1", 0, "number"), (INVALID,)),
    "number zero": (lambda line: set_in(line, 0, 0, "number"), (INVALID,)),
    "a repository that is an address": (
        lambda line: set_in(line, "http://evil.example/x", 0, "repository"),
        (INVALID,),
    ),
    "a parent that is nowhere": (
        lambda line: set_in(
            line, [{"role": "base", "digest": "sha256:" + "1" * 64}], 0, "manifest", "parents"
        ),
        (INVALID,),
    ),
    "itself twice": (lambda line: line.append(line[0]), (INVALID,)),
    "no version": (lambda line: line.clear(), (INVALID,)),
    "a thousand versions": (lambda line: line.extend(line[:1] * 1000), (INVALID,)),
}


def test_a_line_that_lies(published, all_refused):
    codes = all_refused(
        {
            lie: lambda repository, change=change: with_line(published, repository, change)
            for lie, (change, _) in LIES.items()
        }
    )

    assert {lie: code for lie, code in codes.items() if code not in LIES[lie][1]} == {}


BOMBS = {
    "deep": b"[" * 200_000 + b"]" * 200_000,
    "deep in a line": b'{"format":1,"line":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a number without end": b'{"format":1,"line":[' + b"9" * 1_000_000 + b"]}",
    "a real number": b'{"format":1e999,"line":[]}',
    "twice the same key": b'{"format":1,"format":1,"line":[]}',
    "no UTF-8": b'{"format":1,"line":["\xff"]}',
    "lone surrogates": b'{"format":1,"line":["\\ud800"]}',
    "no object": b"null",
    "nothing": b"",
    "too long": b" " * (17 << 20),
}


def test_a_line_that_is_a_bomb(published, all_refused):
    codes = all_refused(
        {
            bomb: lambda repository, content=content: published.commit(repository, {LINE: content})
            for bomb, content in BOMBS.items()
        }
    )

    assert set(codes.values()) <= {INVALID, REFUSED}, codes


@pytest.mark.parametrize(
    "file",
    [
        "config.json",
        "tokenizer.json",
        "modules.json",
        "config_sentence_transformers.json",
        "1_Pooling/config.json",
    ],
)
def test_a_bomb_in_a_model_that_no_registry_made(hub, refused, tmp_path_factory, file):
    folder = plain.base(tmp_path_factory.mktemp("plain") / "model")
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    hub.commit("org/plain", {**files, file: b'{"a":' * 100_000 + b"1" + b"}" * 100_000})

    refused("hf://org/plain", INVALID, REFUSED, arguments=("--as", "plain"))


def test_a_repository_of_a_hundred_thousand_files(hub, refused):
    siblings = [
        {"rfilename": f"{number}.json", "size": 2, "blobId": "a" * 40} for number in range(100_001)
    ]
    hub.commit("org/many", {"README.md": b"#"})
    hub.fault(
        "GET /api/models/org/many",
        body=json.dumps({"id": "org/many", "sha": "a" * 40, "siblings": siblings}).encode(),
    )

    error = refused("hf://org/many", REFUSED, arguments=("--as", "many"))
    assert missing(error, "hf://org/many", "100001", "100000") == []


@pytest.mark.parametrize(
    "name", ["../evil.json", "/evil.json", "CONFIG.json", "sub/../../evil.json"]
)
def test_a_model_that_no_registry_made_with_a_hostile_name(
    hub, run, empty, tmp_path, tmp_path_factory, name
):
    folder = plain.base(tmp_path_factory.mktemp("plain") / "model")
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    hub.commit("org/plain", {**files, name: b"{}"})
    beside = sorted(tmp_path.iterdir())

    ran = run(empty, "pull", "hf://org/plain", "--as", "plain")

    assert ran.code in {INVALID, REFUSED}, ran.err
    assert versions(empty) == {}
    assert sorted(tmp_path.iterdir()) == beside


def test_another_commit_than_the_one_that_was_asked_for(published, refused):
    asked, other = (
        published.head("org/minilm"),
        published.commit("org/minilm", {"notes.txt": b"mine"}),
    )
    published.repository("org/minilm").commits[asked] = published.repository("org/minilm").commits[
        other
    ]

    error = refused(f"hf://org/minilm@{asked}", 4)
    assert missing(error, "hf://org/minilm", asked, other) == []


def test_a_line_of_a_newer_format(published, refused):
    said = json.loads(published.files("org/minilm")[LINE])
    published.commit("org/minilm", {LINE: canonical({**said, "format": 2, "news": True})})

    error = refused("hf://org/minilm", INVALID)
    assert missing(error, LINE, "hf://org/minilm", "format 2") == []


def test_a_parent_that_is_another_content(published, run, empty):
    tree = published.files("org/minilm-medical", "v1")
    changed = bytearray(tree["model.safetensors"])
    changed[-1] ^= 1
    other = published.commit("org/minilm-medical", {"model.safetensors": bytes(changed)})
    with_line(published, "org/medical", lambda line: set_in(line, other, 1, "commit"))

    ran = run(empty, "pull", "hf://org/medical")

    assert ran.code == CORRUPT, ran.err
    assert set(versions(empty)) <= {"minilm@1"}


# Repositories that are not what they were.


@pytest.fixture
def pulled(published, run, empty) -> Path:
    """A home that has pulled minilm@1."""
    ran = run(empty, "pull", "hf://org/minilm@v1")
    assert ran.code == 0, ran.err
    return empty


@pytest.fixture
def moved(pulled, warm) -> Callable[[str], str]:
    """Pull what is not what it was: the one line that was said, nothing registered besides what was."""

    def pull(what: str) -> str:
        before = versions(pulled)
        ran = warm.run("pull", what, REGISTRY_HOME=str(pulled))
        assert (ran.code, ran.out) == (CONFLICT, ""), ran.err
        assert is_one_error(ran.err)
        assert versions(pulled) == before
        return ran.err

    return pull


def other_model(hub: HubServer, name: str) -> None:
    """Another model's weights in a repository, its line telling the truth of them under the number 2."""
    content = bytearray(hub.files(name)["model.safetensors"])
    content[-1] ^= 1

    def change(line: Line) -> None:
        line[0]["number"] = 2
        (weights,) = [
            file for file in line[0]["manifest"]["files"] if file["path"] == "model.safetensors"
        ]
        weights["digest"] = digest_of(bytes(content))

    with_line(hub, name, change, {"model.safetensors": bytes(content)})


def test_a_repository_deleted_and_made_again(published, moved):
    other_model(published, "org/minilm")
    files, before = published.files("org/minilm"), published.tags("org/minilm")["v1"]
    published.delete("org/minilm")
    published.commit("org/minilm", files)

    heads = (before[:12], published.head("org/minilm")[:12])
    assert missing(moved("hf://org/minilm"), "hf://org/minilm", "minilm@1", *heads) == []


def test_a_rewritten_history(published, moved):
    other_model(published, "org/minilm")
    before = published.tags("org/minilm")["v1"]
    published.squash("org/minilm")

    heads = (before[:12], published.head("org/minilm")[:12])
    assert missing(moved("hf://org/minilm"), "hf://org/minilm", "minilm@1", *heads) == []


def test_a_tag_that_points_elsewhere(published, moved):
    before = published.tags("org/minilm")["v1"]
    other_model(published, "org/minilm")
    published.tag("org/minilm", "v1")

    now = published.head("org/minilm")
    commits = (f"registry pull hf://org/minilm@{before}", f"@{now}")
    assert missing(moved("hf://org/minilm@v1"), " v1 ", *commits) == []


def test_a_renamed_repository_is_named(published, moved):
    published.move("org/minilm", "org/other")

    assert "hf://org/other" in moved("hf://org/minilm")
