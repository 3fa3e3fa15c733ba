"""The bytes of everything that is stored or sent, for fixed inputs, times and ids.

Where bytes depend on values alone, the values are written here. Where they come from
model files, the real operations ran on the models of `integer_models`, whose arithmetic
is exact on every machine. Where an operation writes entries of its own time and with
the versions of the installed libraries, the entries are written again with fixed ones
before they are used. Values that differ between machines are replaced, and only those:
`MACHINE` in the stored files.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

import registry
from registry.core.digest import Digest, canonical, digest_of
from registry.core.entry import (
    BODIES as KINDS,
    Alias,
    Annotate,
    Approve,
    Body,
    Delete,
    Edge,
    Entry,
    FactsUpdate,
    Format,
    Init,
    Probes,
    Publish,
    Register,
    Yank,
    parse as parse_entry,
)
from registry.core.facts import (
    Adapter,
    Facts,
    Tensor,
    Token,
    Vocabulary,
    Weights,
    parse as parse_facts,
)
from registry.core.manifest import File, Manifest, Parent, parse as parse_manifest
from registry.hub.protocol import Upload
from registry.model_files.tokenizer.vocabulary import parse_vocabulary, vocabulary_bytes
from registry.operations.hub.repository_content import Place, render
from registry.operations.shared.resolve import line_of, look_up
from registry.results.audit import Receipt, parse_receipt
from registry.runtime.probes import Probe, Probes as ProbesBlob, parse as parse_probes
from registry.store.blobs import Blobs
from registry.store.checkout import MARKER, Marker, read_marker
from registry.store.local import LocalBackend
from registry.transfer.bundle import Index, Packed, parse as parse_index
from registry.transfer.line_json import Member, parse as parse_line, to_bytes as line_bytes
from tests.snapshots.snapshot import STORED, assert_same_json, assert_same_text
from tests.support.warm import Warm

pytestmark = pytest.mark.slow

ONE, TWO, THREE, FOUR, FIVE = (Digest(f"sha256:{digit * 64}") for digit in "12345")
STORE = "0123456789abcdef0123456789abcdef"
BY = "Ada Löve <ada@example.org>"
COMMIT = "c0ffee" + "0" * 34
EDGES = (
    Edge("adapter", THREE, "given", "medical@3"),
    Edge("base", FOUR, "witnessed", "minilm/med@12"),
)
SOURCE: dict[str, Any] = {
    "command": ["registry", "save", "--as", "medical"],
    "folder": "checkpoint-500",
    "fix": ["renamed 12 tensors"],
    "git": {"commit": COMMIT, "dirty": True},
    "how": "save",
    "hub": {"repository": "org/minilm", "commit": COMMIT},
    "libraries": {"peft": "0.21.2", "torch": "2.13.0"},
    "merge": {
        "format": 1,
        "difference": "1.1920929e-07",
        "tolerance": "1e-05",
        "probe": "naïve café",
        "layout": "base",
        "tensors": 24,
    },
    "metrics": {"eval_loss": "0.25", "eval_ndcg@10": "1e-05"},
    "published": {"by": "Bob", "date": "2025-01-01T00:00:00.000000Z", "how": "add"},
    "python": "3.11.9",
    "recipe": {
        "format": 1,
        "init": "random",
        "new_rows": 30525,
        "old_rows": 30522,
        "plan": "append",
        "rule": 1,
        "seed": 7,
        "tables": ["embeddings.word_embeddings.weight"],
        "tokens": [Token(30522, 'zor"va\\xin\n', special=True, lstrip=True)._asdict()],
    },
    "run": "wandb-1",
    "training": {
        "arguments": {"learning_rate": "5e-05", "bf16": True, "max_steps": 500},
        "datasets": {"train": ["org/pairs"]},
        "kept": "best",
        "reloaded": "exact",
        "step": 500,
        "steps": 1000,
    },
}
"""Every part that a version's source can have; text that JSON escapes among it."""

# Values, and the bytes that they are stored as

BODIES: dict[str, Body] = {
    "init": Init(STORE),
    "register-full": Register(
        "team/Medical",
        12,
        ONE,
        TWO,
        probes=FIVE,
        edges=EDGES,
        message='first "training"\n\tof 你好 \u2028 😀 \x7f',
        checkpoint=True,
        forced=("adapter-effect", "line-adapter"),
        source=SOURCE,
    ),
    "register-minimal": Register("minilm", 1, ONE, TWO),
    "probes-full": Probes("medical", 12, FIVE, "measured on another machine"),
    "probes-minimal": Probes("medical", 12, FIVE),
    "alias-full": Alias("medical", "prod", 12, "better"),
    "alias-minimal": Alias("medical", "prod", None),
    "yank-full": Yank("medical", 12, "wrong labels", undo=True),
    "yank-minimal": Yank("medical", 12),
    "annotate-full": Annotate(
        "medical", 12, {"owner": "Ada", "mrr": "0.5", "gone": None, "": "", "ключ": "значение"}
    ),
    "annotate-minimal": Annotate("medical", 12, {}),
    "publish-full": Publish(
        "medical",
        12,
        "org/medical",
        COMMIT,
        tag="v12",
        files={"README.md": str(ONE), "1_Pooling/config.json": str(TWO)},
        message="pushed",
    ),
    "publish-minimal": Publish("medical", 12, "org/medical", COMMIT),
    "delete-full": Delete("medical", 12, "of the wrong patients"),
    "delete-minimal": Delete("medical", 12),
}
BODIES_OF_FORMAT_2: dict[str, Body] = {
    "facts-full": FactsUpdate("medical", 12, TWO, "schema 2"),
    "facts-minimal": FactsUpdate("medical", 12, TWO),
    "approve-full": Approve(FIVE, "read by Ada", undo=True),
    "approve-minimal": Approve(FIVE),
    "format": Format(()),
}
ENTRIES = {
    name: Entry(
        number=1 if isinstance(body, Init) else number,
        id=f"{number:032x}",
        time=f"2026-01-02T03:04:05.{number:06}Z",
        by=BY,
        body=body,
        previous=None if isinstance(body, Init) else THREE,
        format=1,
    )
    for number, (name, body) in enumerate(BODIES.items(), start=123_456)
} | {
    f"2-{name}": Entry(
        number=number,
        id=f"{number:032x}",
        time=f"2026-01-02T03:04:05.{number:06}Z",
        by=BY,
        body=body,
        previous=THREE,
        login=None if name.endswith("-minimal") else "ada",
        uid=None if name.endswith("-minimal") else 1000,
    )
    for number, (name, body) in enumerate({**BODIES, **BODIES_OF_FORMAT_2}.items(), start=234_567)
}

FILES = (
    File("model.safetensors", ONE, 90_868_376),
    File("config.json", TWO, 612),
    File("1_Pooling/config.json", TWO, 190),
    File("modèle 1.json", THREE, 0),
)
MANIFESTS = {
    "base": Manifest("base", "SentenceTransformer", FILES),
    "base-finetuned": Manifest("base", "CrossEncoder", FILES, (Parent("finetuned-from", FOUR),)),
    "resized": Manifest("resized", "SparseEncoder", FILES, (Parent("resized-from", FOUR),)),
    "resized-finetuned": Manifest(
        "resized", "MultiVectorEncoder", FILES, (Parent("finetuned-from", FOUR),)
    ),
    "adapter": Manifest(
        "adapter",
        "SentenceTransformer",
        (File("adapter_model.safetensors", ONE, 148_240), File("adapter_config.json", TWO, 700)),
        (Parent("base", FOUR),),
    ),
    "merged": Manifest(
        "merged", "SentenceTransformer", FILES, (Parent("base", FOUR), Parent("adapter", FIVE))
    ),
    "no-files": Manifest("base", "SentenceTransformer", ()),
}

TOKENS = (
    Token(0, "[PAD]", special=True),
    Token(1, "the"),
    Token(2, "##xin"),
    Token(3, 'a"quote\\and\ttab'),
    Token(4, "\u2028\x00你好😀"),
    Token(7, "zorvaxin", lstrip=True, rstrip=True, single_word=True, normalized=True),
)
FACTS = {
    "full": Facts(
        model_class="SparseEncoder",
        tokenizer=ONE,
        vocabulary=Vocabulary(TWO, 30_528, TOKENS[3:]),
        weights=Weights(
            THREE,
            "mixed",
            11_721_216,
            (
                Tensor("2_Dense/linear.weight", "BF16", (8, 384), FOUR),
                Tensor('na"me', "I64", (), FIVE),
                Tensor("embeddings.word_embeddings.weight", "F32", (30_528, 384), ONE),
            ),
        ),
        rows=30_528,
        width=384,
        max_length=256,
        modules=("Transformer", "Pooling", "Dense"),
        architecture="BertModel",
        adapter=Adapter(
            "LORA",
            rank=8,
            alpha="16.5",
            targets=("query", "value"),
            modules_to_save=("classifier",),
            trainable_tokens=(30_522, 30_523),
            dora=True,
        ),
        settings={
            "Dense.bias": True,
            "Pooling.pooling_mode": "mean",
            "Pooling.ratio": "0.1",
            "default_prompt_name": "query",
            "dtype": "float32",
            "prompt.query": "query: ",
            "truncate_dim": 64,
            "nested": {"list": ["1e-12", None, 3], "empty": {}},
        },
    ),
    "minimal": Facts("SentenceTransformer", ONE, Vocabulary(TWO, 0), Weights(THREE, "F32", 0, ())),
    "schema-2": Facts(
        "SentenceTransformer",
        ONE,
        Vocabulary(TWO, 0),
        Weights(THREE, "F32", 0, ()),
        pipeline=FOUR,
    ),
    "adapter-minimal": Facts(
        "SentenceTransformer",
        ONE,
        Vocabulary(TWO, 100),
        Weights(THREE, "F32", 6, (Tensor("lora_A", "F32", (2, 3), FOUR),)),
        adapter=Adapter("IA3"),
    ),
}

ENVIRONMENT = {
    "capability": "AVX2",
    "machine": "x86_64",
    "sentence-transformers": "6.2.0",
    "system": "Linux",
    "tokenizers": "0.22.1",
    "torch": "2.13.0",
    "transformers": "5.23.0",
}
PROBES = {
    "dense": ProbesBlob(
        "SentenceTransformer",
        "bfloat16",
        "cpu",
        ENVIRONMENT,
        (
            Probe(("",), None, (2, 3)),
            Probe(("a",), None, (2, 9, 3), (3,), "0000803f000000bf00000080"),
            Probe(("naïve \t😀",), "query: ", (2, 3), (2,), "cdcccc3d00000000", given=True),
        ),
    ),
    "sparse": ProbesBlob(
        "SparseEncoder",
        "float32",
        "cpu",
        ENVIRONMENT,
        (
            Probe(("a",), None, (2, 9, 3), (30_528,), "0000803f000000bf", places=(5, 30_527)),
            Probe(("b",), None, (2, 3), (30_528,), "", places=()),
        ),
    ),
    "pairs": ProbesBlob(
        "CrossEncoder",
        "float16",
        "cuda",
        ENVIRONMENT,
        (
            Probe(("What?", "That."), None, (2, 9, 3, 9, 3), (), "0000803f"),
            Probe(("What?", "That."), None, (2, 9, 3, 9, 3), (2,), "0000803f0000803f", given=True),
        ),
    ),
    "tokens": ProbesBlob(
        "MultiVectorEncoder",
        "float32",
        "cpu",
        {},
        (Probe(("a",), None, (2, 3), (2, 2), "0000803f0000803f0000803f0000803f"),),
    ),
    "none": ProbesBlob("SentenceTransformer", "float32", "cpu", {}, ()),
}

MARKERS = {
    "full": Marker(
        ONE,
        "/srv/models/médical",
        line=(
            {"role": "self", "name": "medical", "number": 12, "manifest": str(ONE)},
            {"role": "base", "name": "minilm", "number": 1, "manifest": str(TWO)},
        ),
        files={
            "adapter_config.json": (THREE, None),
            "README.md": (FOUR, (612, 1_767_323_045_000_000_001, 1_767_323_045_000_000_002, 99)),
        },
        environments=("capability=AVX2 machine=x86_64 cpu float32", "capability=NEON"),
    ),
    "minimal": Marker(ONE, "/"),
    "format-2": Marker(
        ONE,
        "/",
        files={"README.md": (FOUR, (612, 1, 2, 99)), "config.json": (FIVE, None)},
        format=2,
        hashed_at={"README.md": 1_767_323_045},
    ),
}

RECEIPTS = {"receipt": Receipt(STORE, 123_456, ONE, "2026-01-02T03:04:05.000006Z")}

PART_OF_SOURCE = {key: value for key, value in SOURCE.items() if key in ("how", "recipe", "run")}
PUBLISHED = Manifest(
    "adapter",
    "SentenceTransformer",
    (File("README.md", ONE, 5), File("adapter_config.json", TWO, 700)),
    (Parent("base", MANIFESTS["base"].digest),),
)
MEMBERS = (
    Member(
        "medical",
        12,
        PUBLISHED,
        TWO,
        FIVE,
        "org/medical",
        None,
        ("README.md", "adapter_config.json"),
        (Edge("base", MANIFESTS["base"].digest, "witnessed", "minilm@1"),),
        "2026-01-02T03:04:05.000006Z",
        BY,
        message="first\n",
        source=PART_OF_SOURCE,
        checkpoint=True,
        forced=("adapter-effect",),
    ),
    Member(
        "minilm",
        1,
        MANIFESTS["base"],
        THREE,
        None,
        "org/minilm",
        COMMIT,
        None,
        (),
        "2025-01-02T03:04:05.000006Z",
        "Bob",
    ),
)

PACKED = (
    Packed("minilm", 1, FOUR, None, (), None, {}, False, (), "2025-01-02T03:04:05.000006Z", "Bob"),
    Packed(
        "medical",
        12,
        ONE,
        FIVE,
        (Edge("base", FOUR, "hub", "minilm@1"),),
        "first\n",
        PART_OF_SOURCE,
        True,
        ("adapter-effect", "line-adapter"),
        "2026-01-02T03:04:05.000006Z",
        BY,
    ),
)
INDEXES = {
    "versions": Index(STORE, {ONE: 1, FIVE: 1 << 40, FOUR: 0}, (TWO, THREE), PACKED),
    "home": Index(STORE, {TWO: 2, ONE: 1}, entries=123_456, head=THREE),
    "empty": Index(STORE, {}),
}


Encode, Parse = Callable[[Any], bytes], Callable[[bytes], Any]
FORMATS: dict[str, tuple[dict[str, Any], Encode, Parse]] = {
    "entry": (ENTRIES, Entry.to_bytes, parse_entry),
    "manifest": (MANIFESTS, Manifest.to_bytes, parse_manifest),
    "facts": (FACTS, Facts.to_bytes, parse_facts),
    "vocabulary": ({"tokens": TOKENS, "empty": ()}, vocabulary_bytes, parse_vocabulary),
    "probes": (PROBES, ProbesBlob.to_bytes, parse_probes),
    "receipt": (RECEIPTS, Receipt.to_bytes, lambda content: parse_receipt(content, "it")),
    "line": ({"line": MEMBERS}, line_bytes, lambda content: parse_line(content, "org/medical")),
    "index": (INDEXES, Index.to_bytes, lambda content: parse_index(content, "it")),
}
CASES = [(form, name) for form, (values, _, _) in FORMATS.items() for name in values]
"""By format: values by name, the function that writes them, the one that reads them."""


@pytest.mark.parametrize(("form", "name"), CASES)
def test_the_bytes_of_a_value(form: str, name: str) -> None:
    values, encode, _ = FORMATS[form]

    assert_same_bytes(f"{form}/{name}.json", encode(values[name]))


@pytest.mark.parametrize(("form", "name"), CASES)
def test_the_stored_bytes_are_read_as_the_value(form: str, name: str) -> None:
    values, _, parse = FORMATS[form]

    assert parse(stored(f"{form}/{name}.json")) == values[name]


def test_there_is_an_entry_of_each_kind_with_all_fields_and_one_with_none() -> None:
    bodies = {**BODIES, **BODIES_OF_FORMAT_2}
    full = [body for name, body in bodies.items() if not name.endswith("-minimal")]
    minimal = [body for name, body in bodies.items() if not name.endswith("-full")]

    assert {body.kind for body in full} == {body.kind for body in minimal} == set(KINDS)
    # this package implements no feature, so it reads no Format entry that demands one
    for body in [body for body in full if not isinstance(body, Format)]:
        unset = [name for name, value in vars(body).items() if value in (None, False, (), {})]
        assert unset == []


@pytest.mark.parametrize("name", MARKERS)
def test_the_bytes_of_a_marker(name: str) -> None:
    assert_same_bytes(f"marker/{name}.json", MARKERS[name].to_bytes())


@pytest.mark.parametrize("name", MARKERS)
def test_the_stored_bytes_of_a_marker_are_read_as_the_value(name: str, tmp_path: Path) -> None:
    (tmp_path / MARKER).parent.mkdir()
    (tmp_path / MARKER).write_bytes(stored(f"marker/{name}.json"))
    marker = read_marker(tmp_path)

    assert marker is not None
    assert replace(marker, line=tuple(marker.line)) == replace(
        MARKERS[name], line=tuple(MARKERS[name].line)
    )


# What operations store of models


@pytest.fixture(scope="module")
def models(processes_with_torch: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that register_models.py filled."""
    folder = tmp_path_factory.mktemp("formats") / "models"
    folder.mkdir()
    code = Path(__file__).with_name("register_models.py").read_text("utf-8")
    ran = processes_with_torch.run(folder, "by-mean", "by-seed", code=code, timeout=300.0)
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture(scope="module")
def registered(models: Path) -> dict[str, Register]:
    """Return the bodies that the operations recorded, by name of the model."""
    with registry.open(models / "home") as reg:
        bodies = [entry.body for entry in reg.home.journal.follow(0, None)]
    return {body.name: body for body in bodies if isinstance(body, Register)}


NAMES = ("base", "resized", "by-mean", "by-seed", "adapter", "merged")


def blob(models: Path, digest: Digest) -> bytes:
    with registry.open(models / "home") as reg:
        return reg.home.blobs.read(digest)


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_of_a_version(
    name: str, models: Path, registered: dict[str, Register]
) -> None:
    assert_same_bytes(f"models/{name}.manifest.json", blob(models, registered[name].manifest))


@pytest.mark.parametrize("name", NAMES)
def test_the_facts_of_a_version(name: str, models: Path, registered: dict[str, Register]) -> None:
    assert_same_bytes(f"models/{name}.facts.json", blob(models, registered[name].facts))


@pytest.mark.parametrize("name", ["base", "resized"])
def test_the_vocabulary_of_a_version(
    name: str, models: Path, registered: dict[str, Register]
) -> None:
    facts = parse_facts(blob(models, registered[name].facts))

    assert_same_bytes(f"models/{name}.vocabulary.json", blob(models, facts.vocabulary.digest))


@pytest.mark.parametrize("name", ["resized", "by-mean", "by-seed"])
def test_the_recipe_of_a_resize(name: str, registered: dict[str, Register]) -> None:
    assert_same_bytes(f"models/{name}.recipe.json", canonical(registered[name].source["recipe"]))


@pytest.mark.parametrize("name", NAMES)
def test_what_else_is_recorded_of_a_version(name: str, registered: dict[str, Register]) -> None:
    # The recipe has its own test; a commit or a run depends on where the tests run.
    source = dict(registered[name].source)
    for key in ("recipe", "git", "run"):
        source.pop(key, None)
    source["libraries"] = dict.fromkeys(source["libraries"], "MACHINE")
    source["python"] = re.sub(r"\d+", "MACHINE", source["python"])
    if "merge" in source:
        source["merge"] = source["merge"] | {"difference": "MACHINE", "probe": "MACHINE"}
    assert registered[name].probes is not None
    body = replace(registered[name], source=source, probes=None)

    assert_same_json(f"formats/models/{name}.recorded.json", asdict(body))


@pytest.mark.parametrize("name", ["base", "resized", "adapter"])
def test_what_is_probed_of_a_version(
    name: str, models: Path, registered: dict[str, Register]
) -> None:
    digest = registered[name].probes
    assert digest is not None
    probes = parse_probes(blob(models, digest))
    rows = [f"{probes.model_class} {probes.dtype} {probes.device} {sorted(probes.environment)}"]
    rows += [
        f"{list(probe.text)!a:.70} {probe.prompt!a} {probe.shape} {list(probe.ids)}"
        for probe in probes.probes
    ]

    assert_same_text(f"formats/models/{name}.probed.txt", "\n".join(rows) + "\n")


@pytest.mark.parametrize("path", ["adapter_config.json", "README.md"])
def test_a_file_of_an_adapter_that_names_its_base_is_registered_without_the_place(
    path: str, models: Path, registered: dict[str, Register]
) -> None:
    file = parse_manifest(blob(models, registered["adapter"].manifest)).file(path)
    assert file is not None

    assert str(models) in (models / "adapter" / path).read_text("utf-8")
    assert_same_bytes(f"models/adapter.{path}", blob(models, file.digest))


@pytest.mark.parametrize("name", ["base", "adapter", "merged"])
def test_the_marker_of_a_checkout(name: str, models: Path, tmp_path: Path) -> None:
    with registry.open(models / "home") as reg:
        reg.checkout(f"{name}@1", tmp_path / "model", for_path="/app/model")
    content = (tmp_path / "model" / MARKER).read_bytes()
    # Whether a file that was just written has a stamp depends on the speed of the disk.
    stamps = re.compile(rb'"(stamp|hashed_at)":(null|\d+|\[\d+,\d+,\d+,\d+\])')

    assert_same_bytes(f"models/{name}.marker.json", stamps.sub(rb'"\1":"MACHINE"', content))


def test_the_configuration_of_an_adapter_in_a_checkout(models: Path, tmp_path: Path) -> None:
    with registry.open(models / "home") as reg:
        reg.checkout("adapter@1", tmp_path / "model", for_path="/app/model")
    content = (tmp_path / "model" / "adapter_config.json").read_bytes()

    assert_same_bytes("models/adapter.checkout.adapter_config.json", content)


# What operations write from a journal with fixed times and ids


@pytest.fixture(scope="module")
def fixed_home(models: Path, registered: dict[str, Register]) -> Path:
    """Return the registry again, with a journal of fixed entries and probes."""
    home = models.parent / "fixed"
    shutil.copytree(models / "home" / "blobs", home / "blobs")
    probes = Blobs(LocalBackend(home)).add(PROBES["dense"].to_bytes())
    bodies: list[Body] = [Init(STORE)]
    bodies += [
        replace(registered[name], source=SOURCE if name == "adapter" else {}, probes=probes)
        for name in NAMES
    ]
    bodies += [
        Alias("adapter", "prod", 1),
        Annotate("adapter", 1, {"owner": "Ada"}),
        Publish("base", 1, "org/base", "a" * 40),
        Publish("resized", 1, "org/resized", "b" * 40, tag="v1"),
    ]
    (home / "journal").mkdir()
    previous = None
    for number, body in enumerate(bodies, start=1):
        time = f"2026-01-02T03:04:05.{number:06}Z"
        entry = Entry(number, f"{number:032x}", time, BY, body, previous)
        (home / "journal" / f"{number:020}.json").write_bytes(entry.to_bytes())
        previous = entry.digest
    return home


def test_a_registry_with_the_fixed_journal_is_whole(fixed_home: Path) -> None:
    with registry.open(fixed_home) as reg:
        reg.list()
        audited = reg.audit(full=True)

    assert audited.findings == ()
    assert audited.entries == 11


def test_a_bundle_of_versions(fixed_home: Path, tmp_path: Path) -> None:
    with registry.open(fixed_home) as reg:
        reg.bundle("adapter@1", tmp_path / "adapter.tar")

    assert_same_bundle("adapter", tmp_path / "adapter.tar")


def test_a_bundle_without_what_the_other_side_has(fixed_home: Path, tmp_path: Path) -> None:
    with registry.open(fixed_home) as reg:
        reg.bundle("adapter@1", tmp_path / "adapter.tar")
        reg.bundle("merged@1", tmp_path / "more.tar", have=tmp_path / "adapter.tar")

    assert_same_bundle("merged-without-adapter", tmp_path / "more.tar")


def test_a_bundle_of_the_whole_registry(fixed_home: Path, tmp_path: Path) -> None:
    with registry.open(fixed_home) as reg:
        reg.bundle(output=tmp_path / "all.tar", everything=True)

    assert_same_bundle("all", tmp_path / "all.tar")


@pytest.fixture(scope="module")
def uploads(fixed_home: Path) -> dict[str, Upload]:
    """Return the files of the adapter's repository, by path."""
    with registry.open(fixed_home) as reg:
        with reg.home.reading() as connection:
            versions = line_of(connection, look_up(connection, "adapter@1"))
        _, resized, base = versions
        repositories = {
            resized.digest: Place("org/resized", "b" * 40),
            base.digest: Place("org/base", "a" * 40, plain=True),
        }
        uploads = render(reg.home, versions, "org/adapter", repositories)
    return {upload.path: upload for upload in uploads}


@pytest.mark.parametrize("path", [".registry/line.json", "README.md", "adapter_config.json"])
def test_a_file_that_a_push_writes(path: str, uploads: dict[str, Upload]) -> None:
    content = uploads[path].content()

    assert digest_of(content) == uploads[path].digest
    assert_same_bytes(f"models/adapter.hub.{path.rpartition('/')[2]}", content)


def test_the_files_of_a_repository(uploads: dict[str, Upload]) -> None:
    rows = [f"{path} {item.size} {item.digest}" for path, item in sorted(uploads.items())]

    assert_same_text("formats/models/adapter.hub.txt", "\n".join(rows) + "\n")


def test_the_receipt_of_an_audit(fixed_home: Path, tmp_path: Path) -> None:
    with registry.open(fixed_home) as reg:
        reg.audit(receipt=tmp_path / "receipt")
    content = (tmp_path / "receipt").read_bytes()
    now = re.compile(rb'"time":"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"')

    assert len(now.findall(content)) == 1
    assert_same_bytes("models/receipt.json", now.sub(b'"time":"MACHINE"', content))


def test_each_stored_file_is_compared_by_a_test() -> None:
    """A file that no test compares any more is to be deleted."""
    values = {f"{form}/{name}.json" for form, name in CASES}
    values |= {f"marker/{name}.json" for name in MARKERS}
    names = {f"{name}.{part}" for name in NAMES for part in ("facts", "manifest", "recorded")}
    names |= {f"{name}.recipe" for name in ("resized", "by-mean", "by-seed")}
    names |= {f"{name}.marker" for name in ("base", "adapter", "merged")}
    names |= {f"{name}.bundle.index" for name in ("adapter", "merged-without-adapter", "all")}
    names |= {"adapter.adapter_config", "adapter.checkout.adapter_config", "receipt"}
    names |= {"adapter.hub.line", "adapter.hub.adapter_config"}
    names |= {"base.vocabulary", "resized.vocabulary"}
    texts = {f"{name}.probed.txt" for name in ("base", "resized", "adapter")}
    texts |= {f"{name}.bundle.txt" for name in ("adapter", "merged-without-adapter", "all")}
    texts |= {"adapter.README.md", "adapter.hub.README.md", "adapter.hub.txt"}
    files = values | {f"models/{name}" for name in texts | {f"{name}.json" for name in names}}

    assert files == {
        path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()
    }


# Helpers

FOLDER = STORED / "formats"


def stored(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def assert_same_bytes(name: str, content: bytes) -> None:
    """Assert that bytes of UTF-8 are those of the stored file, to the last one."""
    assert_same_text(f"formats/{name}", content.decode("utf-8"))
    assert content == stored(name)


def assert_same_bundle(name: str, path: Path) -> None:
    """Assert that the index, the members and the whole file are the same."""
    with tarfile.open(path) as bundle:
        members = bundle.getmembers()
        first = bundle.extractfile(members[0])
        assert first is not None
        index = first.read()
    rows = [f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"]
    rows += [f"{member.name} {member.size}" for member in members]

    assert members[0].name == "index.json"
    assert_same_bytes(f"models/{name}.bundle.index.json", index)
    assert_same_text(f"formats/models/{name}.bundle.txt", "\n".join(rows) + "\n")
