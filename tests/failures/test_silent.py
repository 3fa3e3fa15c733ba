"""What today's libraries load silently wrong: first that they really do, then that the registry refuses it by name.

If a first half fails, the library was mended, and the check may go.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file

from registry.errors import NoEffect, NotLoadable, ParentMismatch, UnsafeFile
from tests.support import lively, small
from tests.support.hand import edit, rewrite
from tests.support.refusals import raises

WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."


def renamed(folder: Path, change: Any) -> None:
    def all_of(own: dict[str, Any]) -> None:
        for name in list(own):
            own[change(name)] = own.pop(name)

    rewrite(folder / WEIGHTS, all_of)


def test_the_adapter_itself_loads_right_and_is_registered(reg, made, copied, library):
    assert library(copied) == 0

    added = reg.add(copied, "medical")

    assert (added.evidence, added.parent, added.warnings) == ("witnessed", "resized@1", ())
    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right


def test_a_tokenizer_with_its_tokens_in_another_order(reg, copied, library):
    tokenizer = json.loads((copied / "tokenizer.json").read_text())
    new = tokenizer["added_tokens"][-3:]
    new[0]["content"], new[2]["content"] = new[2]["content"], new[0]["content"]
    (copied / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert library(copied) > 1e-3

    quoted = ("resized@1", "107", "'heartmat'", "'zorvaxin'", "2 ", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-tokenizer"):
        reg.add(copied, "medical")


def test_the_tokenizer_of_the_base_that_was_not_resized(reg, made, copied, library):
    base = reg.checkout("base@1").folder
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base / name, copied / name)
    assert library(copied) > 1e-3

    quoted = ("resized@1", "107", "'zorvaxin'", "3 ", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-tokenizer"):
        reg.add(copied, "medical")


def test_lower_casing_that_is_switched_off_in_the_settings_alone(reg, made, copied):
    edit(copied / "tokenizer_config.json", lambda config: config.update(do_lower_case=False))
    spoiled, right = (
        lively.encodings(lively.loaded(folder, "SentenceTransformer"), ("The CAT",))
        for folder in (copied, made.adapter)
    )
    assert lively.distance(spoiled, right) > 1e-3

    files = ("tokenizer.json", "tokenizer_config.json", "do_lower_case", "strip_accents")
    with raises(
        ParentMismatch, "resized@1", *files, "--tokenizer parent", check="adapter-tokenizer"
    ):
        reg.add(copied, "medical")


@pytest.mark.parametrize(
    ("flag", "value", "text"),
    [("single_word", True, "prezorvaxin"), ("normalized", False, "Zorvaxin")],
)
def test_flags_of_a_token_that_changed(reg, made, copied, flag, value, text):
    edit(
        copied / "tokenizer.json",
        lambda tokenizer: tokenizer["added_tokens"][-3].update({flag: value}),
    )
    spoiled, right = (
        lively.encodings(lively.loaded(folder, "SentenceTransformer"), (text,))
        for folder in (copied, made.adapter)
    )
    assert lively.distance(spoiled, right) > 1e-3

    quoted = ("resized@1", "107", "'zorvaxin'", f"{flag}={value}", f"{flag}={not value}", "1 ")
    with raises(ParentMismatch, *quoted, "--parent", check="adapter-tokenizer"):
        reg.add(copied, "medical", measure=False)


@pytest.mark.parametrize("flag", ["lstrip", "rstrip"])
def test_blanks_that_a_token_takes_do_not_show_in_encodings(reg, made, copied, flag):
    edit(
        copied / "tokenizer.json",
        lambda tokenizer: tokenizer["added_tokens"][-3].update({flag: True}),
    )
    text = "a zorvaxin cat"
    spoiled, right = (
        lively.loaded(folder, "SentenceTransformer") for folder in (copied, made.adapter)
    )
    blanks = [
        model.tokenizer(text, return_offsets_mapping=True)["offset_mapping"][2]
        for model in (spoiled, right)
    ]
    assert [text[slice(*place)] for place in blanks] == [
        " zorvaxin" if flag == "lstrip" else "zorvaxin ",
        "zorvaxin",
    ]
    assert lively.encodings(spoiled, (text,)) == lively.encodings(right, (text,))

    quoted = ("resized@1", "107", "'zorvaxin'", f"{flag}=True", f"{flag}=False", "1 ")
    with raises(ParentMismatch, *quoted, "--parent", check="adapter-tokenizer"):
        reg.add(copied, "medical", measure=False)


def test_tokens_that_are_special_are_dropped_when_ids_become_text_and_leave_capitals_in_pieces(
    reg, made, copied
):
    edit(
        copied / "tokenizer.json",
        lambda tokenizer: tokenizer["added_tokens"][-3].update(special=True, normalized=False),
    )
    spoiled, right = (
        lively.loaded(folder, "SentenceTransformer") for folder in (copied, made.adapter)
    )
    ids = right.tokenizer("zorvaxin")["input_ids"]
    assert [
        model.tokenizer.decode(ids, skip_special_tokens=True) for model in (spoiled, right)
    ] == ["", "zorvaxin"]
    assert lively.encodings(spoiled, ("zorvaxin",)) == lively.encodings(right, ("zorvaxin",))
    assert (
        lively.distance(*(lively.encodings(model, ("Zorvaxin",)) for model in (spoiled, right)))
        > 1e-3
    )

    adapter_flags = ("special=True", "normalized=False")
    parent_flags = ("special=False", "normalized=True")
    quoted = ("resized@1", "107", "'zorvaxin'", *adapter_flags, *parent_flags, "1 ", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-tokenizer"):
        reg.add(copied, "medical", measure=False)


def test_an_alpha_that_changed_is_another_model_and_the_registered_one_stays(
    reg, made, copied, library
):
    reg.add(copied, "medical")
    edit(
        copied / "adapter_config.json",
        lambda config: config.update(lora_alpha=2 * config["lora_alpha"]),
    )
    assert library(copied) > 1e-3

    other = reg.add(
        copied, "medical"
    )  # nothing in a folder witnesses with which alpha it was trained

    assert (other.number, other.already) == (2, False)
    assert lively.encodings(reg.load("medical@1", device="cpu")) == made.right


@pytest.mark.parametrize(
    ("spoil", "library_says", "kind", "quoted", "check"),
    [
        (
            lambda folder: edit(folder / "adapter_config.json", lambda config: config.update(r=4)),
            RuntimeError,
            NotLoadable,
            [
                "'base_model.model.encoder.layer.0.attention.self.query.lora_A.weight'",
                " 2 ",
                " 7 ",
                "adapter_config.json",
                " 4",
            ],
            "adapter-rank",
        ),
        (
            lambda folder: (folder / WEIGHTS).unlink(),
            FileNotFoundError,
            NotLoadable,
            [WEIGHTS],
            None,
        ),
        (
            lambda folder: (folder / "adapter_config.json").unlink(),
            ValueError,
            NotLoadable,
            ["config.json", "adapter_config.json"],
            None,
        ),
        (
            lambda folder: [path.unlink() for path in folder.glob("tokenizer*")],
            ValueError,
            NotLoadable,
            ["tokenizer.json", "vocab.txt", "--tokenizer parent"],
            None,
        ),
        (
            lambda folder: os.truncate(folder / WEIGHTS, 600),
            SafetensorError,
            UnsafeFile,
            [WEIGHTS, "1040", "600"],
            None,
        ),
    ],
    ids=["rank", "no weights", "no configuration", "no tokenizer", "cut short"],
)
def test_what_the_library_refuses_with_words_of_its_own(
    reg, copied, library, spoil, library_says, kind, quoted, check
):
    spoil(copied)
    with pytest.raises(library_says):
        library(copied)

    with raises(kind, *quoted, check=check) as refused:
        reg.add(copied, "medical")
    assert "\n" not in str(refused.value)


def test_a_lost_list_of_tokens_of_which_the_library_makes_one_of_five(reg, copied, library):
    (copied / "tokenizer.json").unlink()
    assert len(lively.loaded(copied, "SentenceTransformer").tokenizer) < 110
    assert library(copied) > 1e-3

    with raises(NotLoadable, "tokenizer.json", "vocab.txt", "--tokenizer parent"):
        reg.add(copied, "medical")


@pytest.mark.parametrize(
    "change",
    [
        lambda name: f"{PREFIX}{name}",
        lambda name: f"module.{name}",
        lambda name: name.replace(PREFIX, f"{PREFIX}_orig_mod."),
        lambda name: name.replace(PREFIX, "0.auto_model."),
        lambda name: name.replace(".lora_", ".base_layer.lora_"),
        lambda name: name.replace(".weight", ".default.weight"),
    ],
    ids=[
        "wrapped twice",
        "DataParallel",
        "compiled",
        "the module's place",
        "base_layer",
        "the adapter's name",
    ],
)
def test_names_of_a_wrapper_of_which_nothing_is_applied(reg, copied, library, change):
    renamed(copied, change)
    assert library(copied) > 1e-3

    first = change("base_model.model.encoder.layer.0.attention.self.query.lora_A.weight")
    quoted = ("8 of 8 ", f"'{first}'", "add --fix", "save_pretrained")
    with raises(NotLoadable, *quoted, check="adapter-names"):
        reg.add(copied, "medical")


def test_names_of_another_architecture(reg, copied, library):
    renamed(copied, lambda name: name.replace("encoder.layer", "transformer.layer"))
    assert library(copied) > 1e-3

    quoted = ("'transformer.layer.0.attention.self.query'", " 7 ", "resized@1", "--parent")
    with raises(ParentMismatch, *quoted, check="adapter-targets"):
        reg.add(copied, "medical")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("beginning", ["model.", "encoder.", "roberta.", "wrapped."])
def test_names_that_begin_otherwise_than_any_class_of_the_architecture(
    reg, copied, library, beginning
):
    renamed(copied, lambda name: name.replace(PREFIX, f"{PREFIX}{beginning}"))
    assert library(copied) > 1e-3

    first = f"'{beginning}encoder.layer.0.attention.self.query'"
    quoted = (first, " 7 ", "resized@1", "add --fix")
    with raises(ParentMismatch, *quoted, check="adapter-targets"):
        reg.add(copied, "medical", measure=False)
    fixed = reg.add(copied, "medical", fix=True)
    assert any(f"{beginning!r} at the beginning" in said for said in fixed.fixed)


def test_names_of_the_class_with_a_head_are_its_own(reg, copied, library):
    renamed(copied, lambda name: name.replace(PREFIX, f"{PREFIX}bert."))
    assert library(copied) == 0

    assert reg.add(copied, "medical").warnings == ()


def test_names_that_only_the_loaded_model_can_tell(reg, tmp_path):
    """Of an architecture that is not listed nobody knows how a class with a head calls the model within it."""
    base = small.dense(tmp_path / "base", small.word_piece(), "EsmModel", mask_token_id=4)
    lively.save_adapter(base, "SentenceTransformer", lora(), tmp_path / "adapter")
    renamed(tmp_path / "adapter", lambda name: name.replace(PREFIX, f"{PREFIX}model."))
    reg.add(base, "esm")

    lost = f"'{PREFIX}model.encoder.layer.0.attention.self.query.lora_A.weight'"
    hints = ("save_pretrained", "--allow-no-effect", "--force adapter-effect")
    with raises(NoEffect, lost, " 7 ", *hints, check="adapter-effect"):
        reg.add(tmp_path / "adapter", "medical", parent="esm@1")


def test_a_whole_table_with_other_rows_than_its_bases(reg, made, copied, library):
    """The library writes it over the base's, and of an adapter that trains rows it drops it."""
    base = load_file(made.resized / "model.safetensors")
    name = next(key for key in base if key.endswith("word_embeddings.weight"))
    table = base[name].copy()
    rewrite(copied / WEIGHTS, lambda own: own.update({f"{PREFIX}{name}": table}))
    assert reg.add(
        copied, "same", measure=False
    ).warnings  # the parent's very rows: of no effect, which is told

    table[5:20] = table[5:20][::-1]
    rewrite(copied / WEIGHTS, lambda own: own.update({f"{PREFIX}{name}": table}))
    assert library(copied) > 1e-3
    quoted = (f"'{PREFIX}{name}'", "resized@1", "registry.save")
    with raises(ParentMismatch, *quoted, check="adapter-rows"):
        reg.add(copied, "medical", measure=False)


def test_an_adapter_that_was_never_trained(reg, copied):
    rewrite(
        copied / WEIGHTS,
        lambda own: own.update(
            {name: numpy.zeros_like(own[name]) for name in own if "lora_B" in name}
        ),
    )

    first = "'base_model.model.encoder.layer.0.attention.self.query.lora_B.weight'"
    quoted = (" 4 ", "lora_B", " 0", first, "--allow-no-effect", "--force adapter-trained")
    with raises(NoEffect, *quoted, check="adapter-trained"):
        reg.add(copied, "medical")
    hints = ("--allow-no-effect", "--force adapter-effect")
    with raises(NoEffect, *hints, check="adapter-effect"):
        reg.add(copied, "medical", force=["adapter-trained"])
    assert reg.add(copied, "medical", allow_no_effect=True).version.forced == (
        "adapter-trained",
        "adapter-effect",
    )


def test_another_pooling(reg, copied, library):
    edit(copied / "1_Pooling" / "config.json", lambda config: config.update(pooling_mode="cls"))
    assert library(copied) > 1e-3

    quoted = ("cls", "resized@1", "mean", "1_Pooling/config.json", "--force parent-pooling")
    with raises(ParentMismatch, *quoted, check="parent-pooling"):
        reg.add(copied, "medical")


def test_a_lost_normalisation(reg, copied, library):
    edit(copied / "modules.json", lambda modules: modules.pop())
    assert library(copied) > 1e-3

    quoted = ("Transformer, Pooling", "resized@1", "Transformer, Pooling, Normalize")
    with raises(ParentMismatch, *quoted, "--force parent-modules", check="parent-modules"):
        reg.add(copied, "medical")


def test_a_lost_list_of_modules(reg, copied, library):
    (copied / "modules.json").unlink()
    assert library(copied) > 1e-3

    with raises(NotLoadable, "modules.json", "1_Pooling/config.json"):
        reg.add(copied, "medical")


def test_another_prompt_and_length_are_shown(reg, copied):
    edit(
        copied / "config_sentence_transformers.json",
        lambda config: config["prompts"].update(query="find: "),
    )
    edit(copied / "tokenizer_config.json", lambda config: config.update(model_max_length=16))

    added = reg.add(copied, "medical")

    assert added.warnings == (
        "not as in resized@1: it reads 16 tokens (there 32); prompt.query is 'find: ' (there None)",
    )


def adapter_of(
    made: Any, out: Path, config: Any, base: Path | None = None, scale: float = 0.3
) -> tuple[Path, list[Any]]:
    """An adapter saved as users do, and what the live model encoded."""
    from registry.runtime.loading import quiet

    model = lively.adapted(base or made.resized, "SentenceTransformer", config, scale=scale)
    with quiet():
        model.save_pretrained(str(out))
    return out, lively.encodings(model)


def lora(**more: Any) -> Any:
    from peft import LoraConfig

    return LoraConfig(r=2, target_modules=["query", "value"], **more)


def test_magnitudes_of_dora_as_they_are_saved(reg, made, tmp_path):
    folder, right = adapter_of(made, tmp_path / "dora", lora(use_dora=True))
    assert (
        lively.distance(lively.encodings(lively.loaded(folder, "SentenceTransformer")), right)
        > 1e-4
    )

    old = "'base_model.model.encoder.layer.0.attention.self.query.lora_magnitude_vector'"
    quoted = (old, "4 ", WEIGHTS, "'.lora_magnitude_vector.weight'", "add --fix")
    with raises(NotLoadable, *quoted, check="adapter-dora"):
        reg.add(folder, "medical")


def test_an_initialisation_that_changes_the_base(reg, made, tmp_path):
    folder, right = adapter_of(made, tmp_path / "pissa", lora(init_lora_weights="pissa_niter_4"))
    assert (
        lively.distance(lively.encodings(lively.loaded(folder, "SentenceTransformer")), right)
        > 1e-4
    )

    quoted = ("adapter_config.json", "init_lora_weights", "'pissa_niter_4'", "--parent")
    with raises(ParentMismatch, *quoted, "registry.save", check="adapter-init"):
        reg.add(folder, "medical")


@pytest.mark.parametrize("init", ["pissa", "olora", "corda", "loftq", "lora_ga", "mica"])
def test_every_initialisation_that_changes_the_base_is_named(reg, copied, init):
    edit(copied / "adapter_config.json", lambda config: config.update(init_lora_weights=init))

    quoted = ("adapter_config.json", "init_lora_weights", f"'{init}'", "--parent")
    with raises(ParentMismatch, *quoted, "registry.save", check="adapter-init"):
        reg.add(copied, "medical")


@pytest.mark.slow
def test_biases_that_were_trained_along(reg, made, tmp_path):
    from registry.runtime.adapter_effect import without_adapter

    folder, _ = adapter_of(made, tmp_path / "bias", lora(bias="lora_only"))
    model = lively.loaded(folder, "SentenceTransformer")
    base = lively.encodings(lively.loaded(made.resized, "SentenceTransformer"))
    rewrite(
        folder / WEIGHTS,
        lambda own: own.update({name: own[name] + 1 for name in own if name.endswith(".bias")}),
    )
    model = lively.loaded(folder, "SentenceTransformer")
    with without_adapter(model):
        assert lively.distance(lively.encodings(model), base) > 1e-4

    first = "'base_model.model.encoder.layer.0.attention.self.query.base_layer.bias'"
    quoted = ("bias='lora_only'", " 4 ", first, "bias='none'", "--force adapter-bias")
    with raises(NotLoadable, *quoted, check="adapter-bias"):
        reg.add(folder, "medical")
    assert reg.add(folder, "medical", force=["adapter-bias"]).version.forced == ("adapter-bias",)
    assert lively.encodings(reg.load("medical@1", device="cpu")) == lively.encodings(model)


def test_an_adapter_finer_than_its_base(reg, tmp_path):
    import torch

    from registry.runtime.loading import quiet

    base = small.dense(tmp_path / "half", dtype="bfloat16")
    model = lively.adapted(base, "SentenceTransformer", lora())
    with quiet():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.data = parameter.data.float() + 1e-3
        model.save_pretrained(str(tmp_path / "fine"))
    stored = lively.loaded(tmp_path / "fine", "SentenceTransformer")
    assert {
        parameter.dtype for name, parameter in stored.named_parameters() if "lora_" in name
    } == {torch.bfloat16}

    reg.add(base, "half")
    first = "'base_model.model.encoder.layer.0.attention.self.query.lora_A.weight'"
    quoted = ("8 ", "F32", first, "half@1", "BF16", "--parent", "--force adapter-dtype")
    with raises(NotLoadable, *quoted, check="adapter-dtype"):
        reg.add(tmp_path / "fine", "fine", parent="half@1")


def test_trained_tokens_off_by_one(reg, made, tmp_path):
    with pytest.raises(IndexError):
        adapter_of(made, tmp_path / "past", lora(trainable_token_indices=[110]))
    folder, right = adapter_of(
        made, tmp_path / "rows", lora(trainable_token_indices=[106, 107, 108]), scale=1.0
    )
    assert lively.encodings(lively.loaded(folder, "SentenceTransformer")) == right

    ids = ("[106, 107, 108]", "resized@1", "trainable_token_indices=[107, 108, 109]")
    quoted = (*ids, "'106 ##9'", "'109 heartmat'", "--force trained-tokens")
    with raises(ParentMismatch, *quoted, check="trained-tokens"):
        reg.add(folder, "medical")
    assert reg.add(folder, "medical", force=["trained-tokens"]).version.forced == (
        "trained-tokens",
    )


def test_trained_tokens_that_are_the_added_ones(reg, made, tmp_path):
    folder, right = adapter_of(
        made, tmp_path / "rows", lora(trainable_token_indices=[107, 108, 109]), scale=1.0
    )

    assert reg.add(folder, "medical").warnings == ()
    assert lively.encodings(reg.load("medical@1", device="cpu")) == right


def test_an_adapter_of_tokens_alone_changes_texts_that_hold_them(reg, made, tmp_path):
    from peft import TrainableTokensConfig

    folder, right = adapter_of(
        made, tmp_path / "rows", TrainableTokensConfig(token_indices=[107, 108, 109]), scale=1.0
    )

    reg.add(folder, "medical")

    assert lively.encodings(reg.load("medical@1", device="cpu")) == right
    effect = next(
        item for item in reg.check("medical@1").outcomes if item.check == "adapter-effect"
    )
    assert effect.subject in {f"'{word}'" for word in small.NEW} and effect.difference > 1e-3


def test_new_tokens_that_cannot_be_told_apart(reg, made, tmp_path):
    from registry.runtime.loading import quiet

    model = lively.loaded(reg.checkout("base@1").folder, "SentenceTransformer")
    with quiet():
        model.tokenizer.add_tokens(list(small.NEW))
        model.transformers_model.resize_token_embeddings(len(model.tokenizer))
        model.save_pretrained(str(tmp_path / "alike"))
    words = lively.encodings(
        lively.loaded(tmp_path / "alike", "SentenceTransformer"), tuple(small.NEW)
    )
    assert lively.distance(words[0], words[1]) < 1e-3

    base = reg.add(tmp_path / "alike", "alike", parent="base@1")
    folder, _ = adapter_of(made, tmp_path / "adapter", lora(), base=tmp_path / "alike")
    added = reg.add(folder, "medical", parent="alike@1")

    alike = "its 3 added tokens are nearly one vector (cosine above 0.9999)"
    assert any(alike in text and text.endswith("registry resize") for text in base.warnings)
    trained = "trainable_token_indices=[107, 108, 109]"
    assert any(alike in text and trained in text for text in added.warnings)


def test_a_head_that_is_random_at_every_load(reg, tmp_path):
    base = small.transformer_folder(tmp_path / "encoder", small.word_piece())
    reg.add(base, "encoder", model_class="SentenceTransformer")
    model = lively.adapted(base, "CrossEncoder", lora())
    lively.save(model, tmp_path / "reranker")
    one, other = (
        lively.encodings(lively.loaded(tmp_path / "reranker", "CrossEncoder")) for _ in range(2)
    )
    assert lively.distance(one, other) > 1e-4

    hints = ('modules_to_save=["classifier"]', "--force adapter-head")
    with raises(ParentMismatch, "encoder@1", "CrossEncoder", *hints, check="adapter-head"):
        reg.add(tmp_path / "reranker", "reranker", parent="encoder@1")


def test_a_table_made_longer_for_tokens_that_were_never_added(reg, tmp_path):
    from registry.runtime.loading import quiet

    model = lively.loaded(reg.checkout("base@1").folder, "SentenceTransformer")
    with quiet():
        model.transformers_model.resize_token_embeddings(110)
        model.save_pretrained(str(tmp_path / "longer"))
    assert len(lively.loaded(tmp_path / "longer", "SentenceTransformer").tokenizer) == 107

    quoted = ("110", " 3 ", "base@1", "registry resize", "--force spare-rows")
    with raises(NotLoadable, *quoted, check="spare-rows"):
        reg.add(tmp_path / "longer", "longer", parent="base@1")


def test_a_padded_table_that_a_resize_cuts_off(reg, tmp_path):
    from registry.runtime.loading import quiet

    reg.add(small.dense(tmp_path / "padded", rows=120), "padded")
    model = lively.loaded(tmp_path / "padded", "SentenceTransformer")
    with quiet():
        model.tokenizer.add_tokens(["zorvaxin"])
        model.transformers_model.resize_token_embeddings(len(model.tokenizer))
        model.save_pretrained(str(tmp_path / "cut"))
    assert (
        lively.loaded(tmp_path / "cut", "SentenceTransformer")
        .transformers_model.get_input_embeddings()
        .weight.shape[0]
        == 108
    )

    quoted = ("108", "padded@1", "120", "registry resize", "--parent")
    with raises(ParentMismatch, *quoted, check="shrunk-table"):
        reg.add(tmp_path / "cut", "cut", parent="padded@1")


def test_a_token_that_was_an_ordinary_word(reg, made, tmp_path):
    from registry.runtime.loading import quiet

    base = lively.loaded(reg.checkout("base@1").folder, "SentenceTransformer")
    before = lively.encodings(base, ("concatenate",))
    with quiet():
        base.tokenizer.add_tokens(["cat"])
        base.save_pretrained(str(tmp_path / "cat"))
    assert (
        lively.distance(
            lively.encodings(
                lively.loaded(tmp_path / "cat", "SentenceTransformer"), ("concatenate",)
            ),
            before,
        )
        > 1e-3
    )

    added = reg.add(tmp_path / "cat", "cat", parent="base@1")

    assert any("the token 'cat' (id " in text and "base@1" in text for text in added.warnings)
