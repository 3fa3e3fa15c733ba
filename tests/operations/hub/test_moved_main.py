"""Bases that an adapter names by a repository whose main moves, or by a folder's name: the library takes what that means now."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pytest

import registry
from registry.errors import ParentMismatch, ParentNotFound
from tests.support import lively, naive, small
from tests.support.hand import edit, rewrite
from tests.support.hub_server import HubServer
from tests.support.live import lora
from tests.support.refusals import raises

TABLE = "embeddings.word_embeddings.weight"


@pytest.fixture
def online(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The libraries in this process ask the hub of the tests: what they read of the environment as they were imported is set anew."""
    from huggingface_hub import constants, hf_api
    from transformers.utils import hub as transformers_hub

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        hub.url + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(hf_api.api, "endpoint", hub.url)
    monkeypatch.setattr(transformers_hub, "_hf_api", None)  # made when it is first wanted, and kept
    yield hub
    shutil.rmtree(constants.HF_HUB_CACHE, ignore_errors=True)


@dataclass(frozen=True)
class Moved:
    """An adapter that was trained on a repository's first commit, and the second one that main is now."""

    folder: Path
    right: list[Any]
    trained_on: str
    now: str


def load(place: Path | str, **options: Any) -> Any:
    """What plain sentence-transformers makes of a folder or repository."""
    from sentence_transformers import SentenceTransformer

    from registry.runtime.loading import quiet

    with quiet():
        return SentenceTransformer(str(place), device="cpu", **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def resized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with three tokens more. Only to be copied."""
    place = tmp_path_factory.mktemp("resized")
    with registry.init(place / "home") as made:
        made.add(small.dense(place / "base"), "base", measure=False)
        made.resize("base@1", "resized", list(small.NEW))
        made.checkout("resized@1", place / "out")
    return Path(
        shutil.copytree(place / "out", place / "plain", ignore=shutil.ignore_patterns(".registry"))
    )


@pytest.fixture
def moved(online: HubServer, resized: Path, tmp_path: Path) -> Moved:
    """org/resized was trained on, and then somebody put the new tokens' rows in another order."""
    base = Path(shutil.copytree(resized, tmp_path / "base"))
    first = online.commit("org/resized", contents(base))
    model = naive.adapt(load("org/resized", revision=first), lora())
    right = naive.encodings(model)
    lively.save(model, tmp_path / "adapter")
    rewrite(
        base / "model.safetensors",
        lambda own: own.update(
            {TABLE: numpy.concatenate([own[TABLE][:107], numpy.roll(own[TABLE][107:], 1, axis=0)])}
        ),
    )
    return Moved(tmp_path / "adapter", right, first, online.commit("org/resized", contents(base)))


@pytest.fixture
def reg(moved: Moved, tmp_path: Path) -> Any:
    """A home that has the commit it was trained on, as resized@1."""
    from huggingface_hub import constants

    with registry.init(tmp_path / "home") as made:
        made.add(
            Path(constants.HF_HUB_CACHE) / "models--org--resized" / "snapshots" / moved.trained_on,
            "resized",
            measure=False,
        )
        yield made


def test_a_base_of_the_hub_whose_main_moved_whatever_commit_the_library_is_told(moved, reg):
    pin = {"revision": moved.trained_on}
    found = [
        naive.encodings(load(moved.folder, **options))
        for options in ({}, pin, {"model_kwargs": pin}, {"config_kwargs": pin})
    ]
    with raises(
        ParentNotFound,
        f"'{moved.folder}'",
        "'org/resized'",
        moved.now,
        moved.trained_on,
        "main",
        f"registry add {moved.folder} --as NAME --parent resized@1",
    ):
        reg.add(moved.folder, "medical", with_parents=True)
    edit(moved.folder / "adapter_config.json", lambda config: config.update(pin))
    found.append(naive.encodings(load(moved.folder)))
    assert [item[0] for item in found] == [moved.right[0]] * 5  # so no health check sees it
    assert min(lively.distance(item, moved.right) for item in found) > 1e-3

    added = reg.add(moved.folder, "medical")

    assert (added.evidence, added.parent) == ("hub", "resized@1")
    assert naive.encodings(reg.load("medical@1", device="cpu")) == moved.right


def test_a_commit_that_the_library_loses_as_it_saves_is_not_needed_from_memory(moved, reg):
    config = json.loads((moved.folder / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("org/resized", None)
    model = naive.adapt(load("org/resized", revision=moved.trained_on), lora())

    saved = reg.save(model, "medical", parent="resized@1")

    assert saved.base.reference == "resized@1"
    assert naive.encodings(reg.load("medical@1", device="cpu")) == naive.encodings(model)


def test_the_only_commit_that_the_cache_has_is_taken_along_and_that_is_said(
    online, resized, tmp_path
):
    commit = online.commit("org/resized", contents(resized))
    lively.save(naive.adapt(load("org/resized"), lora()), tmp_path / "adapter")

    with registry.init(tmp_path / "home") as reg:
        added = reg.add(tmp_path / "adapter", "medical", with_parents=True, measure=False)

    assert added.evidence == "given"
    assert added.warnings[0].endswith(
        f"without a commit, so main was taken as it was last fetched, {commit}; if the adapter was trained on "
        "another one, name that with --parent"
    )


def test_rows_that_were_lost_as_the_base_could_not_be_asked(moved, reg, tmp_path, monkeypatch):
    from huggingface_hub import constants

    model = naive.adapt(
        naive.grow(load("org/resized", revision=moved.trained_on), ["quelora"]), lora()
    )
    with monkeypatch.context() as away:
        away.setattr(constants, "HF_HUB_OFFLINE", True)
        lively.save(model, tmp_path / "lost")
    again = load(tmp_path / "lost")
    assert (tmp_path / "lost" / "adapter_model.safetensors").stat().st_size < 8_000
    assert lively.encodings(again, naive.TEXTS[:1]) == lively.encodings(
        model.eval(), naive.TEXTS[:1]
    )
    with pytest.raises(IndexError, match="out of range"):
        again.encode("quelora")

    lost = (" 1 ", "resized@1", "'quelora'")
    with raises(ParentMismatch, *lost, "--parent", check="adapter-tokenizer"):
        reg.add(tmp_path / "lost", "lost", parent="resized@1")
    with raises(ParentMismatch, *lost):
        reg.add(tmp_path / "lost", "lost", parent="resized@1", fix=True)


def test_a_folders_name_that_the_library_looks_up_on_the_hub(
    online, resized, tmp_path, monkeypatch
):
    shutil.copytree(resized, tmp_path / "here" / "resized")
    monkeypatch.chdir(tmp_path / "here")
    model = naive.adapt(load("resized"), lora())
    lively.save(model, tmp_path / "adapter")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    before = len(online.requests)
    with pytest.raises(OSError, match="We couldn't connect to"):
        load(tmp_path / "adapter")
    assert any(
        request.path.startswith("/resized/resolve/main/") for request in online.requests[before:]
    )

    with registry.init(tmp_path / "home") as reg:
        adapter = tmp_path / "adapter"
        with raises(
            ParentNotFound,
            f"'{adapter}'",
            "'resized'",
            "registry add BASE_FOLDER --as NAME",
            f"registry add {adapter} --as NAME --parent NAME@1",
        ):
            reg.add(adapter, "medical")
        reg.add(tmp_path / "here" / "resized", "resized", measure=False)
        reg.add(tmp_path / "adapter", "medical", parent="resized@1", measure=False)
        before = len(online.requests)

        assert naive.encodings(reg.load("medical@1", device="cpu")) == naive.encodings(model)
        assert online.requests[before:] == []
