from __future__ import annotations

from dataclasses import replace

import pytest

from registry.core.digest import canonical, digest_of, parse_json
from registry.core.entry import Edge
from registry.core.manifest import File, Manifest, Parent
from registry.errors import InvalidManifest, InvalidPath, NewerFormat, RegistryError
from registry.transfer.line_json import Member, ordered, parse, to_bytes
from tests.support.refusals import raises

COMMIT = "a" * 40
BASE = Manifest("base", "SentenceTransformer", (File("config.json", digest_of(b"b"), 1),))
ADAPTER = Manifest(
    "adapter",
    "SentenceTransformer",
    (File("adapter_config.json", digest_of(b"a"), 1),),
    (Parent("base", BASE.digest),),
)


def member(manifest: Manifest, name: str, commit: str | None, **changes) -> Member:
    edges = tuple(
        Edge(parent.role, parent.digest, "witnessed", "minilm@1") for parent in manifest.parents
    )
    return replace(
        Member(
            name,
            1,
            manifest,
            digest_of(b"facts"),
            None,
            f"org/{name}",
            commit,
            (),
            edges,
            "2026-01-01",
            "anna",
            source={"how": "add"},
        ),
        **changes,
    )


LINE = (
    member(ADAPTER, "medical", None, rendered=("adapter_config.json",)),
    member(BASE, "minilm", COMMIT),
)


def changed(change) -> bytes:
    value = parse_json(to_bytes(LINE), "line")
    change(value)
    return canonical(value)


def test_a_line_reads_back_as_it_was_written():
    assert parse(to_bytes(LINE), "org/medical") == LINE


def test_parents_come_before_children():
    assert [item.name for item in ordered(LINE)] == ["minilm", "medical"]


def test_registered_bytes_of_a_rendered_file_lie_among_the_originals():
    assert LINE[0].place_of("adapter_config.json") == ".registry/originals/adapter_config.json"
    assert LINE[0].place_of("model.safetensors") == "model.safetensors"


def test_a_newer_format_is_not_guessed_at():
    with raises(NewerFormat, ".registry/line.json", "hf://org/medical", "format 2"):
        parse(changed(lambda value: value.update(format=2)), "org/medical")


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(line=[]),
        lambda value: value.update(line=value["line"][:1]),
        lambda value: value.update(line=value["line"] * 101),
        lambda value: value["line"][1].update(commit=None),
        lambda value: value["line"][1].update(commit="main"),
        lambda value: value["line"][1].update(repository="../etc"),
        lambda value: value["line"][1].update(repository="org/minilm@main"),
        lambda value: value["line"][1].update(digest=str(digest_of(b"lie"))),
        lambda value: value["line"][1]["manifest"]["files"][0].update(size=2),
        lambda value: value["line"][1].update(name="medical"),
        lambda value: value["line"][1].update(name="../minilm"),
        lambda value: value["line"][1].update(number=0),
        lambda value: value["line"][1].update(number=True),
        lambda value: value["line"][1].update(message="x" * 20_000),
        lambda value: value["line"][1].update(publisher=7),
        lambda value: value["line"][0].update(edges=[]),
        lambda value: value["line"][0]["edges"][0].update(evidence="believed"),
        lambda value: value["line"][0]["edges"].append({**value["line"][0]["edges"][0], "role": 5}),
        lambda value: value["line"][0].update(source={"fix": 5}),
        lambda value: value["line"][0].update(source={"recipe": {"format": 1, "tokens": 5}}),
        lambda value: value["line"][0].update(source=[["how", "add"]]),
        lambda value: value["line"][0].update(rendered=["other.json"]),
        lambda value: value["line"][0].pop("facts"),
        lambda value: value.update(line=7),
    ],
)
def test_a_line_that_does_not_fit_together_is_refused(change):
    with pytest.raises(RegistryError):
        parse(changed(change), "org/medical")


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "con", "C:x", ".registry/marker.json", "a//b"]
)
def test_a_line_with_a_path_that_leads_elsewhere_is_refused(path):
    with pytest.raises((InvalidPath, InvalidManifest)):
        parse(
            changed(lambda value: value["line"][1]["manifest"]["files"][0].update(path=path)),
            "org/medical",
        )


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"format":1}', b"[" * 100_000, b'{"format":1,"format":1}']
)
def test_what_is_no_line_is_refused(content):
    with pytest.raises(InvalidManifest):
        parse(content, "org/medical")
