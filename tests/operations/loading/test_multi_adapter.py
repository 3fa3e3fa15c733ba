"""Several adapters on one base: each is itself when it acts alone, whatever the libraries' own switches leave half on."""

from __future__ import annotations

from typing import Any

import pytest

import registry
from registry.errors import Invalid, NotLoadable, ParentMismatch, VersionNotFound
from tests.support import lively, naive, small
from tests.support.live import lora, new_ids
from tests.support.refusals import raises


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A home with the base grown@1 and adapters of every kind on it, made once; what each encodes to, and the base."""
    tmp_path = tmp_path_factory.mktemp("several")
    reg = registry.init(tmp_path / "home")
    reg.add(small.dense(tmp_path / "base"), "minilm", measure=False)
    base = naive.grow(reg.load("minilm@1", device="cpu"))
    reg.save(base, "grown")
    encoded = {"grown": naive.encodings(base)}
    configs = {
        "low": lora(),
        "wider": lora(r=3),
        "words": lora(trainable_token_indices=new_ids()),
        "table": lora(modules_to_save=["word_embeddings"]),
        "magnitudes": lora(use_dora=True),
        "whole": lora(modules_to_save=["output.dense"]),
        "biased": lora(bias="all"),
    }
    for seed, (name, config) in enumerate(configs.items()):
        model = naive.adapt(reg.load("grown@1", device="cpu"), config, seed=seed)
        reg.save(model, name)
        encoded[name] = naive.encodings(model)
    yield reg, encoded
    reg.close()


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "pair",
    [
        ("low", "wider"),
        ("words", "low"),
        ("low", "table"),
        ("magnitudes", "words"),
        ("whole", "low"),
    ],
)
def test_each_adapter_is_itself_when_it_acts_alone(several, pair):
    reg, encoded = several
    one, other = pair

    model = reg.load("grown@1", adapters={"a": f"{one}@1", "b": f"{other}@1"}, device="cpu")

    assert (naive.encodings(model), reg.version_of(model).name) == (encoded[one], one)
    registry.activate(model, "b")
    assert (naive.encodings(model), reg.version_of(model).name) == (encoded[other], other)
    registry.activate(model)
    assert (naive.encodings(model), reg.version_of(model).name) == (encoded["grown"], "grown")
    registry.activate(model, "a")
    assert naive.encodings(model) == encoded[one]
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_library_alone_leaves_half_of_an_adapter_off(several):
    reg, encoded = several
    model = naive.plain(reg.checkout("grown@1").folder)
    model.load_adapter(str(reg.checkout("whole@1").folder), adapter_name="whole")
    model.disable_adapters()
    model.enable_adapters()

    assert naive.encodings(model) not in (encoded["whole"], encoded["grown"])
    registry.activate(model, "whole")
    assert naive.encodings(model) == encoded["whole"]


def test_the_library_alone_stays_off_though_another_adapter_is_set(several):
    reg, encoded = several
    model = naive.plain(reg.checkout("grown@1").folder)
    for name, version in (("a", "low@1"), ("b", "wider@1")):
        model.load_adapter(str(reg.checkout(version).folder), adapter_name=name)
    model.disable_adapters()
    model.set_adapter("b")

    assert naive.encodings(model) == encoded["grown"]
    registry.activate(model, "b")
    assert naive.encodings(model) == encoded["wider"]


def test_the_library_alone_cannot_switch_to_an_adapter_beside_one_that_trains_rows(several):
    reg, encoded = several
    model = naive.plain(reg.checkout("grown@1").folder)
    for name in ("low", "words"):
        model.load_adapter(str(reg.checkout(f"{name}@1").folder), adapter_name=name)
    model.set_adapter("low")
    with raises(KeyError, "'low'"):
        naive.encodings(model)

    registry.activate(model, "low")

    assert naive.encodings(model) == encoded["low"]


@pytest.mark.filterwarnings("ignore:.*deleted:UserWarning")
def test_the_library_alone_cannot_say_which_acts_takes_no_name_twice_and_never_merges_and_activate_takes_any_that_is_there(
    several,
):
    reg, encoded = several
    model = naive.plain(reg.checkout("grown@1").folder)
    for name, version in (("a", "low@1"), ("b", "wider@1")):
        model.load_adapter(str(reg.checkout(version).folder), adapter_name=name)
    with raises(ValueError, " b "):
        model.load_adapter(str(reg.checkout("low@1").folder), adapter_name="b")
    with pytest.raises(AttributeError):
        model.active_adapter()
    with pytest.raises(AttributeError):
        model.merge_and_unload()
    model.delete_adapter("b")
    assert (model.active_adapters(), naive.encodings(model)) == (
        ["a"],
        encoded["low"],
    )  # it acts, though nobody said so

    loaded = reg.load("grown@1", adapters={"a": "low@1", "b": "wider@1"}, device="cpu")
    reg.activate(loaded, "b")

    assert naive.encodings(loaded) == encoded["wider"]


@pytest.mark.slow
def test_the_library_alone_saves_neither_two_nor_that_one_is_off(several, tmp_path):
    reg, encoded = several
    model = naive.plain(reg.checkout("grown@1").folder)
    for name, version in (("a", "low@1"), ("b", "wider@1")):
        model.load_adapter(str(reg.checkout(version).folder), adapter_name=name)
    model.disable_adapters()
    naive_folder = lively.save(model, tmp_path / "off")
    assert (naive.encodings(model), naive.encodings(naive.plain(naive_folder))) == (
        encoded["grown"],
        encoded["wider"],
    )
    model.enable_adapters()
    model.set_adapter(["a", "b"])
    with raises(ValueError, "model.set_adapter(adapter_name)", "model.save_pretrained("):
        model.save_pretrained(str(tmp_path / "both"))

    saved = reg.save(model, "both")

    assert [(version.name, version.parents[0].reference) for version in saved.versions] == [
        ("both-a", "grown@1"),
        ("both-b", "grown@1"),
    ]
    assert [naive.encodings(reg.load(f"both-{name}@1", device="cpu")) for name in ("a", "b")] == [
        encoded["low"],
        encoded["wider"],
    ]


def test_two_that_act_together_are_no_version(several):
    reg, encoded = several
    model = reg.load("grown@1", adapters={"a": "low@1", "b": "wider@1"}, device="cpu")

    reg.activate(model, "a", "b")

    assert naive.encodings(model) not in (encoded["low"], encoded["wider"], encoded["grown"])
    with raises(VersionNotFound, "2", "grown@1", "low@1", "wider@1"):
        reg.version_of(model)


def test_what_is_trainable_stays_trainable(several):
    model = naive.adapt(
        naive.plain(several[0].checkout("grown@1").folder),
        lora(modules_to_save=["output.dense"]),
        "a",
    )
    before = [parameter.requires_grad for parameter in model.parameters()]

    registry.activate(model)
    registry.activate(model, "a")

    assert [parameter.requires_grad for parameter in model.parameters()] == before
    assert any(before)


@pytest.mark.parametrize(
    ("adapters", "error", "quoted"),
    [
        (
            {"a": "words@1", "b": "table@1"},
            NotLoadable,
            ("words@1", "'embeddings.word_embeddings'", "table@1"),
        ),
        ({"a": "low@1", "b": "biased@1"}, NotLoadable, ("biased@1",)),
        ({"a": "low@1", "b": "grown@1"}, ParentMismatch, ("grown@1", "resized")),
        ({"a.b": "low@1"}, Invalid, ("'a.b'",)),
        ({"query": "low@1"}, Invalid, ("'query'",)),
        ({}, Invalid, ("adapters=",)),
    ],
)
def test_what_cannot_stand_together_is_refused(several, adapters, error, quoted):
    with raises(error, *quoted):
        several[0].load("grown@1", adapters=adapters, device="cpu")


def test_an_adapter_of_another_base_is_refused(several):
    reg, _ = several

    with raises(ParentMismatch, "low@1", "grown@1", "minilm@1"):
        reg.load("minilm@1", adapters={"a": "low@1"}, device="cpu")
    with raises(ParentMismatch, "wider@1", "grown@1"):
        reg.load("wider@1", adapters={"a": "low@1"}, device="cpu")


def test_two_that_replace_one_module_cannot_act_together(several):
    reg, encoded = several
    model: Any = reg.load("grown@1", adapters={"a": "whole@1", "b": "whole@1"}, device="cpu")

    with raises(NotLoadable, "'a'", "'b'"):
        reg.activate(model, "a", "b")

    assert naive.encodings(model) == encoded["whole"]
    with raises(Invalid, "'c'", "a, b"):
        reg.activate(model, "c")
