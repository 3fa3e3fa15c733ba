"""add --fix: folders that no library loads, or loads wrong, first shown to be that; then put right, and equal to the model that saved them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import registry
from registry.artifacts.growth import tables
from registry.artifacts.loading import quiet
from registry.artifacts.rewriting import Values, rewrite
from registry.errors import NotLoadable, ParentMismatch
from tests.artifacts import small
from tests.support import lively, plain

NEW = ["zorvaxin", "quelora"]
BUILDERS = {"SentenceTransformer": small.dense, "CrossEncoder": small.cross, "SparseEncoder": small.sparse,
            "MultiVectorEncoder": small.multi_vector}
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def reg(tmp_path):
    opened = registry.init(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def resized_home(tmp_path_factory) -> Path:
    """A home with plain@1 and base@1, which has two tokens more. Only to be copied."""
    folder = tmp_path_factory.mktemp("resized")
    with registry.init(folder / "home") as made:
        made.add(small.dense(folder / "plain"), "plain", measure=False)
        made.resize("plain@1", "base", NEW)
    shutil.rmtree(folder / "home" / "checkouts")
    return folder / "home"


@pytest.fixture(scope="module")
def sound(resized_home) -> tuple[Path, list[Any]]:
    """(the folder of an adapter on base@1, what the live model encoded). Only to be copied."""
    folder = resized_home.with_name("adapter")
    with registry.open(resized_home) as opened:
        return folder, lively.save_adapter(opened.checkout("base@1").folder, "SentenceTransformer", lora(109), folder)


@pytest.fixture
def resized(resized_home, tmp_path):
    """A registry with plain@1 and base@1."""
    shutil.copytree(resized_home, tmp_path / "home")
    with registry.open(tmp_path / "home") as opened:
        yield opened


def lora(rows: int, **more: Any) -> Any:
    from peft import LoraConfig
    return LoraConfig(r=2, target_modules=["query", "value"], **more)


def trained_tokens(rows: int) -> Any:
    return lora(rows, trainable_token_indices=[rows - 2, rows - 1])


def targeted_table(rows: int) -> Any:
    from peft import LoraConfig
    return LoraConfig(r=2, target_modules=["query", "word_embeddings"])


def tokens_alone(rows: int) -> Any:
    from peft import TrainableTokensConfig
    return TrainableTokensConfig(token_indices=[rows - 2, rows - 1])


def naive(base: Path, model_class: str, configure: Any, out: Path, tokens: list[str] = NEW) -> list[Any]:
    """Tokens added and the table resized in memory, an adapter on top, saved; the base never is. What the live model encodes."""
    import torch
    model = lively.loaded(base, model_class)
    model.tokenizer.add_tokens(tokens)
    torch.manual_seed(5)
    with quiet():
        model.transformers_model.resize_token_embeddings(len(model.tokenizer), mean_resizing=False)
        model.add_adapter(configure(len(model.tokenizer)))
    lively.train(model)
    before = lively.encodings(model)
    lively.save(model, out)
    return before


def changed(folder: Path, **how: Any) -> None:
    """Rewrite the weights of an adapter."""
    rewrite(folder / WEIGHTS, folder / "new", **how)
    (folder / "new").replace(folder / WEIGHTS)


@pytest.fixture
def copied(sound, tmp_path) -> tuple[Path, list[Any]]:
    """A copy of that adapter, to be spoiled."""
    return Path(shutil.copytree(sound[0], tmp_path / "adapter")), sound[1]


def saved(reg: registry.Registry, tmp_path: Path, configure: Any) -> tuple[Path, list[Any]]:
    """Another adapter on the checkout of base@1, saved as it should be: (its folder, what the live model encodes)."""
    checkout, rows = reg.checkout("base@1").folder, reg.show("base@1").facts.rows
    return tmp_path / "adapter", lively.save_adapter(checkout, "SentenceTransformer", configure(rows), tmp_path / "adapter")


NAIVE = [("SentenceTransformer", lora), ("SentenceTransformer", trained_tokens), ("SentenceTransformer", targeted_table),
         ("SentenceTransformer", tokens_alone), ("CrossEncoder", lora), ("SparseEncoder", lora), ("MultiVectorEncoder", lora)]


@pytest.mark.parametrize(("model_class", "configure"), NAIVE, ids=lambda item: getattr(item, "__name__", item))
def test_a_naive_adapter_becomes_the_base_that_was_never_saved_and_a_small_one(reg, tmp_path, model_class, configure):
    base = BUILDERS[model_class](tmp_path / "base")
    live = naive(base, model_class, configure, tmp_path / "adapter")
    with pytest.raises((RuntimeError, IndexError)):
        lively.loaded(tmp_path / "adapter", model_class)
    reg.add(base, "minilm", measure=False)
    with pytest.raises(registry.RegistryError, match="--fix"):
        reg.add(tmp_path / "adapter", "medical", parent="minilm@1")

    added = reg.add(tmp_path / "adapter", "medical", parent="minilm@1", fix=True, measure=False)

    model = reg.load("medical@1", device="cpu")
    made = reg.resolve("medical-base@1")
    assert lively.encodings(model) == live
    assert lively.encodings(lively.loaded(reg.checkout("medical@1", tmp_path / "out").folder, model_class)) == live
    assert (made.kind, made.parents[0].role, made.parents[0].reference) == ("resized", "resized-from", "minilm@1")
    assert (added.evidence, added.parent) == ("witnessed", "medical-base@1")
    assert made.probes is not None
    assert any(line.startswith("proved:") and "largest difference 0.0" in line for line in added.fixed)
    assert list(added.version.source["fix"]) == list(added.fixed)
    assert not any(table.shape[0] == reg.show("medical-base@1").facts.rows and table.shape[1:] == (16,)
                   for table in tables(tmp_path / "out" / WEIGHTS).values())


def test_a_dry_run_registers_no_parent_either(reg, tmp_path):
    base = small.dense(tmp_path / "base")
    naive(base, "SentenceTransformer", lora, tmp_path / "adapter")

    with pytest.raises(registry.RegistryError, match="a dry run cannot go on: the base .* would be registered first, as medical-parent@1"):
        reg.add(tmp_path / "adapter", "medical", with_parents=True, fix=True, dry_run=True)

    assert reg.list() == ()


def test_old_rows_that_are_not_the_bases_are_refused_unless_they_were_trained(reg, tmp_path):
    import numpy as np
    base = small.dense(tmp_path / "base")
    naive(base, "SentenceTransformer", lora, tmp_path / "adapter")
    name, table = next((name, table) for name, table in tables(tmp_path / "adapter" / WEIGHTS).items() if name.endswith("word_embeddings.weight"))
    values = np.array(table.view())
    values[7] += 1
    changed(tmp_path / "adapter", replaced={name: Values("F32", table.shape, values.tobytes())})
    reg.add(base, "minilm", measure=False)

    with pytest.raises(registry.RegistryError, match=r"1 of 107 old rows .* \(ids 7\).*--trained-rows"):
        reg.add(tmp_path / "adapter", "medical", parent="minilm@1", fix=True)
    added = reg.add(tmp_path / "adapter", "medical", parent="minilm@1", fix=True, trained_rows=True, measure=False)

    assert len(reg.list("medical-base")) == 1
    assert reg.resolve("medical-base@1").parents[0].role == "finetuned-from"
    assert "1 of 107 old rows are the adapter's, not the parent's" in added.fixed


def test_rows_lost_for_good_are_named(reg, tmp_path):
    base = small.dense(tmp_path / "base")
    naive(base, "SentenceTransformer", lora, tmp_path / "adapter")
    changed(tmp_path / "adapter", left_out=["base_model.model.embeddings.word_embeddings.weight"])
    model = lively.loaded(tmp_path / "adapter", "SentenceTransformer")
    with pytest.raises(IndexError):
        model.encode(["zorvaxin"])
    reg.add(base, "minilm", measure=False)

    with pytest.raises(registry.RegistryError, match="lost for good: 'zorvaxin', 'quelora'; what the adapter learned of these words is dead"):
        reg.add(tmp_path / "adapter", "medical", parent="minilm@1", fix=True)

    assert [model.name for model in reg.list()] == ["minilm"]


def test_rows_that_the_adapter_trained_are_not_lost_with_the_table(reg, tmp_path):
    base = small.dense(tmp_path / "base")
    live = naive(base, "SentenceTransformer", trained_tokens, tmp_path / "adapter")
    changed(tmp_path / "adapter", left_out=["base_model.model.embeddings.word_embeddings.token_adapter.base_layer.weight"])
    with pytest.raises(IndexError):
        lively.loaded(tmp_path / "adapter", "SentenceTransformer")
    reg.add(base, "minilm", measure=False)

    reg.add(tmp_path / "adapter", "medical", parent="minilm@1", fix=True, measure=False)

    assert lively.encodings(reg.load("medical@1", device="cpu")) == live


def test_tokens_in_spare_rows_get_a_base_that_has_them(reg, tmp_path):
    import peft
    base = small.dense(tmp_path / "base", rows=112)
    model = lively.loaded(base, "SentenceTransformer")
    model.tokenizer.add_tokens(NEW)
    with quiet():
        model.add_adapter(peft.LoraConfig(r=2, target_modules=["query"]))
    lively.train(model)
    live = lively.encodings(model)
    lively.save(model, tmp_path / "adapter")
    reg.add(base, "minilm", measure=False)

    added = reg.add(tmp_path / "adapter", "medical", parent="minilm@1", fix=True, measure=False)

    assert lively.encodings(reg.load("medical@1", device="cpu")) == live
    assert [token.content for token in reg.tokens("medical-base@1")] == NEW
    assert any(line.startswith("not proved") for line in added.fixed)


def wrap(name: str) -> str:
    return name.replace("base_model.model.", "base_model.model.base_model.model.").replace(".lora_A.", ".lora_A.foo.").replace(
        ".lora_B.", ".lora_B.foo.")


NAMES = {
    "in memory": wrap,
    "another class": lambda name: name.replace("encoder.layer", "transformer.layer"),
    "the list of modules": lambda name: name.replace("base_model.model.", "base_model.model.0.auto_model."),
    "without peft's prefix": lambda name: name.removeprefix("base_model.model."),
    "data parallel": lambda name: "module." + name,
    "behind a base layer": lambda name: name.replace(".lora_", ".base_layer.lora_"),
}


@pytest.mark.parametrize("case", NAMES)
def test_tensors_under_other_names_are_renamed(resized, copied, case):
    folder, live = copied
    names = {name: NAMES[case](name) for name in tables(folder / WEIGHTS)}
    changed(folder, renamed=names)
    spoiled = lively.encodings(lively.loaded(folder, "SentenceTransformer"))

    added = resized.add(folder, "medical", fix=True, measure=False)

    assert spoiled != live or case == "without peft's prefix"
    assert lively.encodings(resized.load("medical@1", device="cpu")) == live
    assert (added.parent, added.evidence) == ("base@1", "witnessed")
    assert any(line.startswith("proved: all 8 tensors") for line in added.fixed)


def test_a_whole_state_dict_keeps_what_is_the_adapters(resized, copied):
    from registry.artifacts.rewriting import values_of
    folder, live = copied
    inner = lively.loaded(folder, "SentenceTransformer").transformers_model
    own = {f"base_model.model.{name}": values_of(tensor) for name, tensor in inner.state_dict().items()}
    changed(folder, left_out=list(tables(folder / WEIGHTS)), added=own)

    added = resized.add(folder, "medical", fix=True)

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live
    assert any("are the parent's, bit for bit" in line for line in added.fixed)


def test_two_adapters_in_one_file_are_refused(resized, copied):
    folder, _ = copied
    changed(folder, renamed={name: name.replace(".weight", ".one.weight" if "query" in name else ".two.weight")
                             for name in tables(folder / WEIGHTS)})

    with pytest.raises(registry.RegistryError, match="2 adapters, 'one', 'two'"):
        resized.add(folder, "medical", fix=True)


def test_an_adapter_of_one_layer_that_could_be_either_is_refused(resized, tmp_path):
    from peft import LoraConfig
    folder, _ = saved(resized, tmp_path, lambda rows: LoraConfig(r=2, target_modules="all-linear"))
    left_out = [name for name in tables(folder / WEIGHTS) if "layer.0.attention.self.query" not in name]
    changed(folder, left_out=left_out, renamed={name: name.replace("encoder.layer.0.", "block.") for name in tables(folder / WEIGHTS)})
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"target_modules": r".*\.(0|1)\.attention\.self\.query"}))

    with pytest.raises(registry.RegistryError):
        resized.add(folder, "medical", fix=True)


def test_the_magnitudes_of_dora_are_put_where_loaders_read_them(resized, tmp_path):
    folder, live = saved(resized, tmp_path, lambda rows: lora(rows, use_dora=True))
    changed(folder, renamed={name: name.removesuffix(".weight") for name in tables(folder / WEIGHTS) if "magnitude" in name})
    assert lively.encodings(lively.loaded(folder, "SentenceTransformer")) != live
    with pytest.raises(registry.RegistryError, match="--fix"):
        resized.add(folder, "medical")

    resized.add(folder, "medical", fix=True)

    assert lively.encodings(lively.loaded(resized.checkout("medical@1").folder, "SentenceTransformer")) == live


def test_lost_modules_are_the_parents(resized, copied):
    folder, live = copied
    for name in ("modules.json", "config_sentence_transformers.json"):
        (folder / name).unlink()
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    assert lively.encodings(lively.loaded(folder, "SentenceTransformer")) != live

    added = resized.add(folder, "medical", fix=True)

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live
    assert any("modules.json" in line for line in added.fixed)


def test_modules_that_are_not_certain_are_not_taken(resized, copied):
    folder, _ = copied
    (folder / "modules.json").unlink()
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace("mean", "cls"))

    with pytest.raises(registry.RegistryError, match="1_Pooling/config.json is not that of base@1"):
        resized.add(folder, "medical", fix=True)


def test_a_lost_dense_module_is_not_made_up(reg, tmp_path):
    reg.add(lively.with_dense(tmp_path / "plain"), "plain")
    lively.save_adapter(reg.checkout("plain@1").folder, "SentenceTransformer", lora(0), tmp_path / "adapter")
    (tmp_path / "adapter" / "modules.json").unlink()
    shutil.rmtree(tmp_path / "adapter" / "2_Dense")

    with pytest.raises(registry.RegistryError, match="2_Dense/model.safetensors, which may have been trained"):
        reg.add(tmp_path / "adapter", "medical", fix=True)


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises((ValueError, OSError)):
        lively.loaded(folder, "SentenceTransformer")


def test_a_lost_tokenizer_is_the_parents_where_that_is_witnessed(resized, copied):
    folder, live = copied
    without_tokenizer(folder)

    added = resized.add(folder, "medical", fix=True)

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live
    assert "took the tokenizer of base@1: the parent is witnessed" in added.fixed


def test_a_lost_tokenizer_is_the_parents_where_ids_prove_it(resized, tmp_path):
    folder, live = saved(resized, tmp_path, trained_tokens)
    without_tokenizer(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "/lost/somewhere"}))

    added = resized.add(folder, "medical", parent="base@1", fix=True)

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live
    assert added.fixed[0] == "the base that it names, 'somewhere', is not there; base@1 was said to be it"
    assert "took the tokenizer of base@1: the adapter trains exactly the rows of its added tokens" in added.fixed


def test_a_lost_tokenizer_that_nothing_proves_is_asked_for(resized, copied):
    folder, live = copied
    without_tokenizer(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "/lost/somewhere"}))

    with pytest.raises(registry.RegistryError, match="--tokenizer"):
        resized.add(folder, "medical", parent="base@1", fix=True)
    resized.add(folder, "medical", parent="base@1", tokenizer=resized.checkout("base@1").folder, fix=True)

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live


def test_a_dead_base_is_looked_for_among_the_registered(resized, copied):
    folder, _ = copied
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "/lost/somewhere"}))
    changed(folder, renamed={name: wrap(name) for name in tables(folder / WEIGHTS)})

    with pytest.raises(registry.RegistryError, match=r"not there any more.*fit base@1.*--fix --as medical --parent base@1"):
        resized.add(folder, "medical", fix=True)


def test_a_full_model_that_was_saved_with_a_wrapper_around_it_gets_its_own_names(resized, copied, tmp_path):
    model = lively.loaded(copied[0], "SentenceTransformer")
    base = lively.encodings(lively.loaded(resized.checkout("base@1").folder, "SentenceTransformer"))
    with quiet():
        model.transformers_model.delete_adapter("default")
        model.save_pretrained(str(tmp_path / "again"))
    assert lively.distance(lively.encodings(lively.loaded(tmp_path / "again", "SentenceTransformer")), base) > 1e-3
    with pytest.raises(registry.RegistryError, match=r"names of an adapter's wrapper.*registry add --fix takes these names away"):
        resized.add(tmp_path / "again", "again")

    added = resized.add(tmp_path / "again", "again", parent="base@1", fix=True)

    assert lively.encodings(resized.load("again@1", device="cpu")) == base
    assert added.fixed[0].startswith("renamed ") and added.fixed[1].startswith("proved: all ")


def test_a_sound_full_model_has_nothing_to_put_right(resized, tmp_path):
    with pytest.raises(NotLoadable, match="is a full model, and its tensors have their own names; --fix is for adapters"):
        resized.add(small.dense(tmp_path / "sound"), "sound", fix=True)


@pytest.mark.parametrize(("spoil", "parent", "said"), [
    (wrap, "narrow@1", r"cannot be put right on narrow@1: 8 of 8 tensors .*; its tensors and tokens fit base@1, plain@1; name the model"),
    (str, "narrow@1", r"the adapter changes 'encoder.layer.1.attention.self.query'.*name that with --parent"),
], ids=["names", "modules"])
def test_a_wrong_parent_is_not_answered_with_what_was_just_tried(resized, copied, tmp_path, spoil, parent, said):
    folder, _ = copied
    resized.add(plain.base(tmp_path / "narrow"), "narrow", measure=False)
    changed(folder, renamed={name: spoil(name) for name in tables(folder / WEIGHTS)})

    with pytest.raises(ParentMismatch, match=said) as refused:
        resized.add(folder, "medical", fix=True, parent=parent)

    assert "--fix" not in str(refused.value)


def test_a_stray_config_is_left_out(resized, copied):
    folder, live = copied
    shutil.copyfile(resized.checkout("base@1").folder / "config.json", folder / "config.json")
    with pytest.raises(OSError, match=r"model\.safetensors"):
        lively.loaded(folder, "SentenceTransformer")

    resized.add(folder, "medical", fix=True)

    assert lively.encodings(resized.load("medical@1", device="cpu")) == live


def test_a_sound_folder_is_registered_as_it_is_and_never_touched(resized, copied, tmp_path):
    folder, _ = copied
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    added = resized.add(folder, "medical", fix=True)

    assert added.fixed == ()
    assert resized.add(folder, "medical").already
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert list((tmp_path / "home" / "staging").iterdir()) == []


def test_the_real_minilm_resized_in_memory_comes_apart_into_base_and_adapter(reg, tmp_path, minilm_folder):
    live = naive(minilm_folder, "SentenceTransformer", lora, tmp_path / "adapter")
    before = (tmp_path / "adapter" / WEIGHTS).stat().st_size
    reg.add(minilm_folder, "minilm", measure=False)

    added = reg.add(tmp_path / "adapter", "medical", fix=True)

    size = {file.path: file.size for file in reg.show("medical@1").files}[WEIGHTS]
    assert lively.encodings(reg.load("medical@1", device="cpu")) == live
    assert before > 46_000_000
    assert size < 400_000
    assert reg.resolve("medical-base@1").parents[0].evidence == "path"
    assert added.version.probes is not None
    assert any("largest difference 0.0" in line for line in added.fixed)
