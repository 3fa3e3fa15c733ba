"""Paths that a user or a file gave and that cannot be: one line and the code of what is not there, whatever the system calls it."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import registry
from registry.core.reference import path_of
from registry.errors import (
    FolderNotFound,
    InvalidPath,
    InvalidReference,
    NotFound,
    ParentNotFound,
    StoreUnavailable,
)
from registry.util import regular_file
from tests.support import naive, small
from tests.support.forked import become_nobody, forked
from tests.support.live import lora
from tests.support.refusals import raises, text_of

LONG, LONG_NAME, NULL, HALF = "/" + "x" * 5000, "x" * 300, "/tmp/a\0b", "/tmp/\ud800"
PATHS = {"long": LONG, "long name": LONG_NAME, "null": NULL, "half": HALF}
BASES = {
    **PATHS,
    "deep": "/" + "x/" * 3000,
    "long repository": "org/" + "x" * 5000,
    "null in a repository": "or\0g/x",
    "of an unknown user": "~nobody-here/x",
}
QUOTED = {
    "long": "5001",
    "long name": "x" * 100,
    "null": r"/tmp/a\x00b",
    "half": r"/tmp/\ud800",
    "deep": "6001",
    "long repository": "5004",
    "null in a repository": r"'or\x00g/x'",
    "of an unknown user": "'~nobody-here/x'",
}
"""How a message quotes each: what does not print is escaped, what is too long is counted."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a home, `base` that is minilm@1 there, an adapter on it, a link that leads to itself, and a file."""
    found = tmp_path_factory.mktemp("paths")
    with registry.init(found / "home") as reg:
        reg.add(small.dense(found / "base"), "minilm", measure=False)
    naive.adapt(naive.plain(found / "base"), lora()).save_pretrained(str(found / "adapter"))
    (found / "loop").symlink_to(found / "loop")
    (found / "file").write_text("x")
    return found


@pytest.fixture(scope="module")
def reg(place):
    opened = registry.open(place / "home")
    yield opened
    opened.close()


def adapter_of(place: Path, **settings: Any) -> Path:
    """The adapter's folder, naming another base."""
    folder = place / "another"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place / "adapter", folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **settings}))
    return folder


GIVEN = {
    "add": lambda reg, place, path: reg.add(path, "one", measure=False),
    "add, tokenizer": lambda reg, place, path: reg.add(
        place / "base", "one", tokenizer=path, fix=True, measure=False
    ),
    "add, probes": lambda reg, place, path: reg.add(place / "base", "one", probes=path),
    "add, metrics": lambda reg, place, path: reg.add(
        place / "base", "one", metrics=path, measure=False
    ),
    "resize": lambda reg, place, path: reg.resize("minilm@1", "one", path),
    "checkout": lambda reg, place, path: reg.checkout("minilm@1", path),
    "check": lambda reg, place, path: reg.check(Path(path)),
    "check, parent": lambda reg, place, path: reg.check(place / "adapter", parent=Path(path)),
    "diff": lambda reg, place, path: reg.diff("minilm@1", Path(path)),
    "diff, texts": lambda reg, place, path: reg.diff("minilm@1", "minilm@1", texts=path),
    "diff, page": lambda reg, place, path: reg.diff("minilm@1", "minilm@1", html=path),
    "bundle": lambda reg, place, path: reg.bundle("minilm@1", path),
    "bundle, have": lambda reg, place, path: reg.bundle("minilm@1", place / "a.tar", have=path),
    "pull": lambda reg, place, path: reg.pull(path if path.startswith("/") else f"./{path}"),
    "audit, receipt": lambda reg, place, path: reg.audit(receipt=path),
    "audit, against": lambda reg, place, path: reg.audit(against=path),
    "repair": lambda reg, place, path: reg.repair([path]),
    "open": lambda reg, place, path: registry.open(path),
    "init": lambda reg, place, path: registry.init(path),
}


@pytest.mark.sampled(20)
@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("given", GIVEN)
def test_a_path_that_no_file_system_has_is_not_found(reg, place, given, kind):
    reason = [os.strerror(errno.ENAMETOOLONG).lower()] if kind.startswith("long") else []
    with raises(FolderNotFound, QUOTED[kind], *reason) as refused:
        GIVEN[given](reg, place, PATHS[kind])

    assert len(str(refused.value)) < 500
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    "act",
    [
        lambda reg: reg.add("", "one", measure=False),
        lambda reg: reg.checkout("minilm@1", ""),
        lambda reg: reg.pull(""),
        lambda reg: reg.repair([""]),
        lambda reg: reg.bundle("minilm@1", ""),
        lambda reg: reg.bundle("minilm@1", "it.tar", have=""),
        lambda reg: reg.audit(against=""),
        lambda reg: registry.open(""),
        lambda reg: registry.init(""),
    ],
)
def test_an_empty_text_is_not_the_folder_where_somebody_is(reg, place, monkeypatch, act):
    """It is what a script's variable is that was not set."""
    monkeypatch.chdir(place)

    before = sorted(place.rglob("*"))

    with raises(FolderNotFound) as refused:
        act(reg)

    assert str(place) not in text_of(refused.value)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    "act",
    [
        lambda reg, folder: reg.add(folder, "one", measure=False),
        lambda reg, folder: reg.add(folder, "one", fix=True, measure=False),
        lambda reg, folder: reg.add(folder, "one", with_parents=True, measure=False),
        lambda reg, folder: reg.diff("minilm@1", folder),
    ],
    ids=["add", "fix", "with parents", "diff"],
)
@pytest.mark.parametrize("kind", BASES)
def test_a_base_that_can_be_nowhere_is_a_base_that_is_not_there(reg, place, kind, act):
    with raises(
        ParentNotFound, str(place / "another"), QUOTED[kind], "--parent", "minilm@1"
    ) as refused:
        act(reg, adapter_of(place, base_model_name_or_path=BASES[kind]))

    assert len(str(refused.value)) < 800


def test_a_base_that_can_be_nowhere_is_no_matter_where_the_parent_is_said(reg, place):
    folder = adapter_of(place, base_model_name_or_path=LONG)

    assert reg.add(folder, "given", parent="minilm@1", measure=False).parent == "minilm@1"


@pytest.mark.parametrize("kind", ["long", "null"])
def test_a_revision_that_can_be_none_is_not_in_the_cache(reg, place, kind):
    folder = adapter_of(place, base_model_name_or_path="org/x", revision=PATHS[kind])

    with raises(ParentNotFound, str(folder), "'org/x'", QUOTED[kind], "--parent", "minilm@1"):
        reg.add(folder, "one", measure=False)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", BASES)
def test_a_live_configuration_that_names_such_a_base_says_nothing_of_its_parent(reg, place, kind):
    model = naive.adapt(naive.plain(place / "base"), lora())
    model.transformers_model.peft_config["default"].base_model_name_or_path = BASES[kind]
    model.transformers_model.name_or_path = BASES[kind]

    saved = reg.save(model, f"live-{kind.replace(' ', '-')}", base_name="live-base")

    assert saved.base.parents == ()
    assert naive.encodings(reg.load(saved.version, device="cpu")) == naive.encodings(model)


@pytest.mark.parametrize("named", ["loop", "loop/x", "file/x"])
def test_a_base_behind_what_is_no_folder_is_not_there(reg, place, named):
    with raises(ParentNotFound, str(place / "another"), str(place / named), "--parent", "minilm@1"):
        reg.add(adapter_of(place, base_model_name_or_path=str(place / named)), "one", measure=False)


@pytest.mark.parametrize(
    "given",
    [
        "add",
        "add, probes",
        "resize",
        "check",
        "diff, texts",
        "bundle, have",
        "pull",
        "audit, against",
        "repair",
        "open",
    ],
)
@pytest.mark.parametrize("named", ["loop", "loop/x", "file/x"])
def test_what_lies_behind_a_file_or_a_link_to_itself_is_not_found(reg, place, named, given):
    with pytest.raises(NotFound):
        GIVEN[given](reg, place, str(place / named))


def test_a_reference_that_is_too_long_is_shortened_in_what_is_said(reg):
    with raises(InvalidReference, "…", "5001", "4096") as refused:
        reg.resolve(LONG)

    assert len(str(refused.value)) < 500


def test_a_place_elsewhere_that_no_machine_has_is_refused(reg, tmp_path):
    with raises(InvalidPath, "--for", r"'/tmp/a\x00b'"):
        reg.checkout("minilm@1", tmp_path / "image", for_path=NULL)


def test_what_lies_in_a_closed_folder_is_not_there_and_a_home_in_one_cannot_be_looked_into(
    tmp_path,
):
    closed = tmp_path / "closed"
    (closed / "within").mkdir(parents=True)
    closed.chmod(0o000)

    def look() -> int:
        become_nobody()
        found = (
            regular_file.is_folder(closed / "within")
            or regular_file.is_file(closed / "within")
            or regular_file.is_anything(closed / "within")
        )
        path_of(closed / "within")
        try:
            registry.open(closed / "within")
        except StoreUnavailable as error:
            reason = os.strerror(errno.EACCES).lower()
            return 1 if found or reason not in text_of(error) else 0
        return 2

    code = forked(look)

    closed.chmod(0o700)
    assert code == 0
