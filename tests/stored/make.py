"""Make the stored registries of version 0.1.0, and record what that version prints.

    .venv/bin/python -m tests.stored.make FOLDER

This is the record of how the files `*.tar.xz` and `expected/*.json` of this folder
were made. It builds version 0.1.0 from its stored source archive, starts itself again
with that package first in the path, and writes to FOLDER. Ids and times differ at each
run. Do not replace the stored files: they represent what users of that version have.

lineage   a base, two resizes, adapters (LoRA, trained tokens), a second version of
          each, a training by the callback with its checkpoints, an overridden check,
          and every kind of journal entry but Publish; the registry's own checkouts of
          an adapter and its base, and a checkout in another folder
merges    an adapter merged into its base, a resize of the merged model, an adapter on
          that; a SparseEncoder and a CrossEncoder
hub       versions pushed to and pulled from the Hub, also from the repository of
          another team and from one that no registry made; the repositories themselves
damaged   a copy of lineage with changed and lost bytes
bundles   of lineage: two versions with their ancestors, the whole registry, a receipt
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import registry
from tests.stored.models import TRAINED_ON, cross, dense, ids_of, lora, sparse, take_steps, train
from tests.stored.observe import (
    Run,
    observe_audit,
    observe_catalog,
    observe_encodings,
    observe_pull,
    observe_repair,
    observe_status,
)
from tests.stored.repositories import write_repositories
from tests.support.hub_server import HubServer
from tests.support.old_package import build_old_package
from tests.support.warm import Ran

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("lineage", "merges", "hub", "damaged", "bundles")
PULLED = ("org/medical@v1", "org/medical@v2", "acme/medical", "alice/plain")

NEW = ("zorvaxin", "quelora", "brontazide", "calvexumab")
MORE = (
    "metifenol",
    {"content": "<dose>", "special": True},
    {"content": "osperidal", "single_word": True},
)

INSIDE = [sys.executable, "-P", __file__]
"""The command that starts this module with the old package in the path."""

ADA = "Ada Lovelace <ada@example.org>"
CARLA = "Carla Cori <carla@example.org>"


def main(target: Path) -> None:
    """Build the old package, and run `make` below with it."""
    with tempfile.TemporaryDirectory(prefix="st-registry-stored-") as name:
        temporary = Path(name).resolve()
        old = build_old_package(temporary)
        training = temporary / "training"
        training.mkdir()
        make_git_repository(training)
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("REGISTRY_", "HF_", "GIT_"))
        }
        environment |= {
            "PYTHONPATH": os.pathsep.join([str(old.packages), str(ROOT)]),
            "HOME": name,
            "PYTHONDONTWRITEBYTECODE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
            "REGISTRY_USER": ADA,
        }
        subprocess.run(
            [*INSIDE, "--make", name, str(target)], cwd=training, env=environment, check=True
        )


def make_git_repository(folder: Path) -> None:
    """Make a Git repository with a commit, so that `source.git` is recorded."""
    (folder / "README").write_text("Training of the stored registries.\n")
    author = ["-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org"]
    for command in (["init", "-q"], ["add", "README"], [*author, "commit", "-q", "-m", "begin"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def make(temporary: Path, target: Path) -> None:
    """Make everything with the package that is in the path, which is the old one."""
    assert Path(registry.__file__).is_relative_to(temporary / "packages"), registry.__file__
    with HubServer() as hub:
        # The Hub's client reads these when it is imported; nothing has imported it yet.
        os.environ.update(
            {
                "HF_ENDPOINT": hub.url,
                "HF_TOKEN": hub.token,
                "HF_HOME": str(temporary),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
            }
        )
        folders = {name: temporary / "made" / name for name in NAMES}
        for folder in folders.values():
            folder.mkdir(parents=True)
        make_lineage(folders["lineage"], folders["bundles"])
        make_damaged(folders["damaged"], folders["lineage"])
        make_merges(folders["merges"])
        make_hub(folders["hub"], hub)
        (target / "expected").mkdir(exist_ok=True)
        for name, folder in folders.items():
            pack(folder, target / f"{name}.tar.xz")
            if name != "bundles":
                write_json(target / "expected" / f"{name}.json", record(name, folders))


# The registries. The working directory is that of the training.


def make_lineage(folder: Path, bundles: Path) -> None:
    """Register bases, resized bases and adapters, and change them in every way."""
    from peft import LoraConfig, TrainableTokensConfig

    first, second = dense(Path("minilm"), seed=1), dense(Path("minilm-2"), seed=2)
    home = folder / "home"
    registry.init(home).close()
    Path("words.txt").write_text("\n".join(NEW) + "\n")
    Path("scores.json").write_text(json.dumps({"eval_dev_spearman_cosine": 0.8125}))
    run_successfully(home, "add", first, "--as", "minilm", "-m", "as published")
    run_successfully(home, "resize", "minilm@1", "--as", "minilm-medical", "--tokens", "words.txt")
    run_successfully(home, "config", "user.name", "Grace Hopper")
    del os.environ["REGISTRY_USER"]  # the user of the configuration from now on
    with registry.open(home) as reg:
        reg.resize("minilm-medical@1", "minilm-wide", MORE, init="mean", message="two drugs more")
        reg.checkout("minilm-wide@1", folder / "checkout")
        wide = reg.checkout("minilm-wide@1").folder
        reg.add(
            train(wide, Path("medical"), lora()),
            "medical",
            alias="prod",
            message="first training",
            run="run-17",
            metrics=Path("scores.json"),
        )
        moved = Path(shutil.copytree(reg.checkout("minilm-medical@1").folder, "moved"))
        shutil.rmtree(moved / ".registry")  # so that the parent has to be declared
        tokens = TrainableTokensConfig(
            token_indices=ids_of(moved, NEW), target_modules=["word_embeddings"]
        )
        reg.add(
            train(moved, Path("words"), tokens), "words", parent="minilm-medical@1", measure=False
        )
        reg.check("words@1", record=True, probes=["zorvaxin, 20 mg", "quelora after brontazide"])
        reg.add(train(first, Path("general"), lora()), "general")

        # The second version of each.
        reg.add(second, "minilm", message="trained longer")
        reg.resize("minilm@2", "minilm-medical", NEW, init="random", seed=7, run="run-18")
        reg.resize("minilm-medical@2", "minilm-wide", MORE)
        model = reg.load("minilm-wide@2", device="cpu")
        model.add_adapter(lora())
        take_steps(model)
        reg.save(model, "medical", message="from memory", metrics={"eval_loss": 0.25})
        medical = reg.checkout("minilm-medical@2").folder
        both = LoraConfig(
            r=2,
            lora_alpha=4,
            target_modules=["query"],
            trainable_token_indices=ids_of(medical, NEW),
        )
        reg.add(train(medical, Path("words-2"), both), "words")

        # An overridden check: two of the added tokens are trained, the others are not.
        partly = LoraConfig(
            r=2,
            lora_alpha=4,
            target_modules=["value"],
            trainable_token_indices=ids_of(wide, NEW[:2]),
        )
        reg.add(train(wide, Path("partly"), partly), "medical", force=["trained-tokens"])
        # In a process of its own, because the callback does not close its catalog.
        subprocess.run([*INSIDE, "--train", str(home)], check=True)

        reg.audit(receipt=bundles / "receipt.json")
        reg.alias("medical@2", "prod", message="better on the trial data")
        reg.alias("medical@1", "before")
        reg.alias("medical@before", remove=True)
        reg.alias("minilm-wide@1", "stable")
        reg.annotate("medical@1", {"owner": "anna", "score": 0.83, "draft": "yes"})
        reg.annotate("medical@1", {"draft": None})
        reg.annotate("minilm@1", {"licence": "Apache-2.0 \u2013 see card"})
        reg.yank("medical@1", reason="wrong corpus")
        reg.yank("medical@1", undo=True)
        reg.yank("minilm@2", reason="trained too long")
        reg.add(train(wide, Path("again"), lora(), seed=9), "medical", measure=False)
        reg.delete("medical@4", message="diverged")
        reg.bundle(["medical@2", "words@1"], bundles / "versions.tar")
        reg.bundle(output=bundles / "whole.tar", everything=True)
        remove_checkouts(
            home, {reg.checkout(reference).folder for reference in ("medical@1", "minilm-wide@1")}
        )
    os.environ["REGISTRY_USER"] = ADA


def follow_a_training(home: Path) -> None:
    """Train with the library's trainer; register all checkpoints and the best one."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.base.evaluation import BaseEvaluator
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    from registry.integrations import RegistryCallback

    class FallingScore(BaseEvaluator):
        """An evaluator that prefers the first checkpoint."""

        primary_metric = "score"
        calls = 0

        def __call__(self, *arguments: Any, **options: Any) -> dict[str, float]:
            self.calls += 1
            return {"score": 1 / self.calls}

    model = registry.load("minilm-wide@1", home=home, device="cpu")
    model.add_adapter(lora())
    arguments = SentenceTransformerTrainingArguments(
        output_dir="tuned",
        max_steps=4,
        eval_strategy="steps",
        eval_steps=2,
        save_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_score",
        learning_rate=0.05,
        per_device_train_batch_size=2,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
        seed=7,
    )
    pairs = {"anchor": list(TRAINED_ON[:4]), "positive": list(TRAINED_ON[1:])}
    SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(pairs),
        loss=MultipleNegativesRankingLoss(model),
        evaluator=FallingScore(),
        callbacks=[RegistryCallback("tuned", home=home, keep="all", alias="best")],
    ).train()


def make_merges(folder: Path) -> None:
    """Register a merged model, its descendants, and models of two other classes."""
    home = folder / "home"
    with registry.init(home) as reg:
        reg.add(dense(Path("encoder"), seed=3, prompts={"query": "query: "}), "encoder")
        reg.resize("encoder@1", "encoder-medical", NEW)
        base = reg.checkout("encoder-medical@1").folder
        reg.add(train(base, Path("merge-me"), lora()), "medical", message="to be merged")
        reg.merge("medical@1", "medical-merged", alias="prod", message="for plain loaders")
        reg.resize("medical-merged@1", "medical-wide", MORE)
        wide = reg.checkout("medical-wide@1").folder
        reg.add(train(wide, Path("upper"), lora(), seed=5), "upper")
        reg.add(sparse(Path("sparse"), seed=4), "sparse")
        reg.add(cross(Path("cross"), seed=5), "cross")
    remove_checkouts(home, set())


def make_hub(folder: Path, hub: HubServer) -> None:
    """Exchange versions of three registries by the Hub; keep Ada's and the Hub."""
    ada, grace, carla = folder / "home", Path("grace"), Path("carla")
    with registry.init(ada) as reg:
        reg.add(dense(Path("shared"), seed=6), "minilm", message="the base")
        reg.resize("minilm@1", "minilm-medical", NEW)
        base = reg.checkout("minilm-medical@1").folder
        reg.add(train(base, Path("shared-1"), lora()), "medical", message="first training")
        reg.push("medical@1", to="org/medical", parents_to="org")
    with registry.init(grace) as reg:
        reg.pull("hf://org/medical")
        base = reg.checkout("minilm-medical@1").folder
        reg.add(train(base, Path("shared-2"), lora(), seed=8), "medical", message="second training")
        reg.push("medical@2")
    os.environ["REGISTRY_USER"] = CARLA
    with registry.init(carla) as reg:
        reg.add(dense(Path("elsewhere"), seed=7), "tiny")
        base = reg.checkout("tiny@1").folder
        reg.add(train(base, Path("elsewhere-1"), lora()), "medical", message="of another team")
        reg.push("medical@1", to="acme/medical", parents_to="acme")
    os.environ["REGISTRY_USER"] = ADA
    hub.tag("org/medical", "prod", "v2")
    plain = dense(Path("plain"), seed=8)
    commit = hub.commit("alice/plain", files_of(plain), title="a model that no registry made")
    adapter = train(plain, Path("plain-adapter"), lora())
    edit_json(
        adapter / "adapter_config.json", base_model_name_or_path="alice/plain", revision=commit
    )
    with registry.open(ada) as reg:
        reg.pull("hf://org/medical", aliases=True)
        reg.pull("hf://acme/medical", from_any=True, renumber=True, message="to compare")
        reg.pull("hf://alice/plain", name="plain", message="without a registry")
        reg.add(adapter, "on-plain")
    remove_checkouts(ada, set())
    write_repositories(hub, folder / "repositories")


def remove_checkouts(home: Path, exceptions: set[Path]) -> None:
    """Remove a registry's checkouts, so that the archive is small."""
    for checkout in (home / "checkouts").iterdir():
        if checkout not in exceptions:
            shutil.rmtree(checkout)


def make_damaged(folder: Path, lineage: Path) -> None:
    """Change and remove bytes of a copy of lineage."""
    home = folder / "home"
    shutil.copytree(lineage / "home", home, symlinks=True)
    with registry.open(lineage / "home") as reg:
        weights = {
            reference: next(
                str(file.digest)
                for file in reg.show(reference).files
                if file.path == "model.safetensors"
            )
            for reference in ("minilm-wide@1", "minilm-wide@2")
        }
        probes = str(reg.resolve("medical@2").probes)
        facts = str(reg.resolve("general@1").facts)
        checkout = reg.checkout("medical@1").folder.name
    # The registry's own checkout has the bytes.
    flip(blob_of(home, weights["minilm-wide@1"]), 5000)
    # Only the bundle and lineage have the bytes.
    flip(blob_of(home, weights["minilm-wide@2"]), 5000)
    blob_of(home, probes).unlink()
    # Facts can be computed from the files.
    blob_of(home, facts).unlink()
    flip(home / "checkouts" / checkout / "adapter_model.safetensors", 600)
    (catalog,) = (home / "catalog").glob("*.db")
    content = bytearray(catalog.read_bytes())
    # The first page, which contains the schema, stays whole.
    for page in range(4096, len(content), 4096):
        content[page : page + 64] = random.Random(page).randbytes(64)
    catalog.write_bytes(content)


def blob_of(home: Path, digest: str) -> Path:
    """Return the file of a blob."""
    digits = digest.removeprefix("sha256:")
    return home / "blobs" / "sha256" / digits[:2] / digits


def flip(file: Path, position: int) -> None:
    """Flip one bit of a file, which may be read-only."""
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(0o444)


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the content of each file of a folder by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def edit_json(path: Path, **changes: object) -> None:
    """Change fields of a file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}, indent=2) + "\n")


# What version 0.1.0 prints of them.


def record(name: str, folders: Mapping[str, Path]) -> dict[str, Any]:
    """Return what the tests expect, observed on a copy of a registry."""
    copy = Path(shutil.copytree(folders[name], Path("copies") / name, symlinks=True)).resolve()
    home = copy / "home"
    if name == "damaged":
        return record_repairs(copy, folders)
    recorded = observe_catalog(commands_on(home)) | {"audit": observe_audit(commands_on(home))}
    with registry.open(home) as reg:
        recorded["encodings"] = {
            reference: observe_encodings(reg.load(reference, device="cpu"))
            for reference in recorded["show"]
        }
    if name == "hub":
        recorded |= {"status": observe_status(commands_on(home)), "pull": {}}
        for index, repository in enumerate(PULLED):
            empty = copy / f"pulled-{index}"
            registry.init(empty).close()
            recorded["pull"][repository] = observe_pull(commands_on(empty), repository)
    return recorded


def record_repairs(copy: Path, folders: Mapping[str, Path]) -> dict[str, Any]:
    """Return the findings of the damaged registry, and the repairs by each source."""
    recorded: dict[str, Any] = {"audit": observe_audit(commands_on(copy / "home")), "repair": {}}
    for label, sources in {
        "lineage": [folders["lineage"] / "home"],
        "nothing": [],
        "bundle": [folders["bundles"] / "versions.tar"],
    }.items():
        run = commands_on(Path(shutil.copytree(copy / "home", copy / label, symlinks=True)))
        report = observe_repair(run, *sources)
        recorded["repair"][label] = {"report": report, "audit": observe_audit(run)}
    return recorded


def commands_on(home: Path) -> Run:
    """Return a function that runs a command on a registry in a process of its own."""

    def run(*arguments: object) -> Ran:
        completed = subprocess.run(
            [sys.executable, "-P", "-m", "registry", "--home", str(home), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(completed.returncode, completed.stdout, completed.stderr)

    return run


def run_successfully(home: Path, *arguments: object) -> None:
    """Run a command that must succeed."""
    completed = commands_on(home)(*arguments)
    assert completed.code == 0, completed.err


def write_json(file: Path, recorded: Mapping[str, Any]) -> None:
    """Write an object with one line for each member of its members."""
    parts = []
    for key, members in sorted(recorded.items()):
        if isinstance(members, dict):
            lines = [
                f"{json.dumps(name)}: {json.dumps(member, sort_keys=True)}"
                for name, member in sorted(members.items())
            ]
            text = "{\n" + ",\n".join(lines) + "\n}"
        else:
            lines = [json.dumps(member, sort_keys=True) for member in members]
            text = "[\n" + ",\n".join(lines) + "\n]"
        parts.append(f"{json.dumps(key)}: {text}")
    file.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def pack(folder: Path, archive: Path) -> None:
    """Pack a folder without the names and numbers of users.

    Readers of a catalog leave an empty log of SQLite and its index; both are left out.
    """

    def without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if member.name.endswith((".db-wal", ".db-shm")):
            assert member.size == 0 or member.name.endswith(".db-shm"), "a catalog is open"
            return None
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(archive, "w:xz", preset=9) as out:
        out.add(folder, arcname=".", filter=without_owner)
    print(f"{archive.name}: {archive.stat().st_size:,} bytes")


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        make(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1] == "--train":
        follow_a_training(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]).resolve())
