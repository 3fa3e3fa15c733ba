"""Keys and types of all `--json` outputs do not change.

One scenario runs every command on small real models. Only the code that makes the
models and damages copies of the registry does not run through the program.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import pytest

from registry.cli import main
from tests.snapshots.json_form import form_of
from tests.snapshots.package import command_names, module_names
from tests.snapshots.snapshot import assert_same_json
from tests.support import plain, small
from tests.support.custom_code import model_with_code
from tests.support.hub import lines
from tests.support.hub.fixtures import environment_of
from tests.support.hub_server import HubServer
from tests.support.warm import Warm

pytestmark = pytest.mark.slow

ADDED = ("zorvaxin", "quelora")
DATA_MAPS = ("aliases", "notes", "metrics", "libraries", "files", "kept")
"""Keys of maps whose own keys are data: names, distributions, paths, references."""
SPARSE = "load --encode (SparseEncoder)"
"""Prints maps from tokens to weights."""
NOT_RUN = {"demo"}
"""Prints a list of strings; its own test runs it on the real model."""

RUN_VARIABLES = ("WANDB_RUN_ID", "MLFLOW_RUN_ID")
"""Variables that would give every registered version the id of a training run."""
HUB_MODULES = (
    "huggingface_hub.hf_api",
    "huggingface_hub.file_download",
    "tests.support.hub.ready",
    "alembic",
    "sqlalchemy",
    "yaml",
    *module_names(),
)
"""Modules that the processes of commands that need a Hub have imported."""


@dataclass
class Output:
    """What one command printed with --json."""

    label: str
    code: int
    value: Any


@dataclass
class Scenario:
    """A working folder, and what all commands printed so far."""

    folder: Path
    outputs: list[Output] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def run(self, label: str, *arguments: object, code: int = 0, home: Path | None = None) -> Any:
        """Run a command in this process; record its output as `label` and return it."""
        words = ["--home", str(home or self.home), *map(str, arguments), "--json"]
        out, err = io.StringIO(), io.StringIO()
        sys.argv = ["registry", *words]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            returned = main(words)
        return self.record(label, returned, out.getvalue(), err.getvalue(), code)

    def fail(self, code: int, *arguments: object, home: Path | None = None) -> None:
        """Run a command that ends with an error of this exit code."""
        self.run(f"error {code}", *arguments, code=code, home=home)

    def record(self, label: str, returned: int, out: str, err: str, code: int) -> Any:
        """Record the output of a command, or its error line if it has no output."""
        assert returned == code, f"{label}: exit code {returned}\n{out}{err}"
        value = json.loads(out if out else err.splitlines()[-1])
        self.outputs.append(Output(label, returned, value))
        return value


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Run all commands that need no Hub."""
    folder = tmp_path_factory.mktemp("json")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
        for variable in RUN_VARIABLES:
            patched.delenv(variable, raising=False)
        patched.chdir(folder)
        patched.setattr(sys, "argv", sys.argv)
        patched.setattr(sys, "excepthook", sys.excepthook)
        yield run_without_hub(Scenario(folder))


@pytest.fixture(scope="module")
def hub_scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Run all commands that need a Hub."""
    folder = tmp_path_factory.mktemp("hub")
    with HubServer() as hub:
        environment = environment_of(hub, folder / "huggingface", xet=False)
        for variable in RUN_VARIABLES:
            environment.pop(variable, None)
        warm = Warm(environment, HUB_MODULES)
        warm.environment["GIT_CEILING_DIRECTORIES"] = str(warm.folder.parent)
        yield run_with_hub(Scenario(folder), hub, warm)
        warm.close()
        assert hub.errors == []


def run_without_hub(scenario: Scenario) -> Scenario:
    """Run the commands that need no Hub."""
    run = scenario.run
    run("init", "init", scenario.home)
    run("config", "config")
    run("config", "config", "user.name", "Anna Example")
    run("config", "config", "load.device", "cpu")
    run("config", "config", "--unset", "load.device")
    run("completion", "completion", "bash")
    register_models(scenario)
    load_models(scenario)
    inspect_models(scenario)
    compare_models(scenario)
    edit_labels(scenario)
    approve_code(scenario)
    transfer_models(scenario)
    reach_exit_codes(scenario)
    maintain_registry(scenario)
    return scenario


def register_models(scenario: Scenario) -> None:
    run, folder = scenario.run, scenario.folder
    base = plain.base(folder / "base")
    (base / "optimizer.pt").write_bytes(b"left out")
    run(
        "add",
        "add",
        base,
        "--as",
        "minilm",
        "--alias",
        "stable",
        "--message",
        "the base",
        "--metric",
        "eval_loss=0.25",
        "--run",
        "run-1",
    )
    run("add", "add", base, "--as", "minilm")
    run(
        "resize",
        "resize",
        "minilm@1",
        "--as",
        "minilm-medical",
        "--token",
        ADDED[0],
        "--token",
        ADDED[1],
        "--init",
        "random",
        "--seed",
        "3",
        "--message",
        "two drugs",
    )
    trained_on = run("checkout", "checkout", "minilm-medical@1")["folder"]
    run("checkout", "checkout", "minilm-medical@1", folder / "base-files")
    adapter = plain.adapter(folder / "medical", trained_on, added=ADDED)
    run("add", "add", adapter, "--as", "medical", "--alias", "prod")
    again = plain.adapter(folder / "again", trained_on, added=ADDED, seed=2)
    run("add", "add", again, "--as", "medical", "--dry-run")
    unknown = plain.adapter(folder / "unknown", "/nowhere/base", added=ADDED, seed=3)
    run("add FOLDER FOLDER", "add", again, unknown, "--prefix", "runs/", code=3)
    renamed = plain.adapter(folder / "renamed", trained_on, added=ADDED, seed=4)
    rewrite(renamed, rename=lambda name: name.removeprefix("base_model.model."))
    run("add", "add", renamed, "--as", "medical", "--fix", "--parent", "minilm-medical@1")
    untrained = plain.adapter(folder / "untrained", trained_on, added=ADDED, seed=5)
    rewrite(untrained, scale=lambda name: 0.0 if "lora_B" in name else 1.0)
    run("add", "add", untrained, "--as", "untrained", "--allow-no-effect")
    run("merge", "merge", "medical@1", "--as", "medical-merged", "--message", "one file")


def load_models(scenario: Scenario) -> None:
    run = scenario.run
    run("load", "load", "medical@1")
    run("load --encode", "load", "medical@1", "--encode", "the patient", "--encode", "zorvaxin")
    run(
        "load --encode",
        "load",
        "minilm-medical@1",
        "--adapter",
        "a=medical@1",
        "--adapter",
        "b=medical@2",
        "--encode",
        "a day",
    )
    for build, label, text in (
        (small.sparse, SPARSE, "the cat"),
        (small.multi_vector, "load --encode (MultiVectorEncoder)", "the cat"),
        (small.cross, "load --encode (CrossEncoder)", '["the cat", "a dog"]'),
    ):
        name = build.__name__.replace("_", "-")
        run("add", "add", build(scenario.folder / name), "--as", name, "--no-measure")
        run(label, "load", f"{name}@1", "--encode", text)


def inspect_models(scenario: Scenario) -> None:
    run, folder = scenario.run, scenario.folder
    texts = folder / "texts.txt"
    texts.write_text("the patient takes zorvaxin\na new dose a day\n", encoding="utf-8")
    run("list", "list")
    for name in ("minilm", "minilm-medical", "medical", "untrained", "medical-merged"):
        run("list NAME", "list", name)
        run("show", "show", f"{name}@1")
        run("lineage", "lineage", f"{name}@1")
    run("show", "show", "medical@2")
    run("show REF:PATH", "show", "medical@1:README.md")
    run("show REF:PATH", "show", "medical@1:adapter_model.safetensors")
    run("tokens", "tokens", "medical@1")
    run("tokens", "tokens", "medical@1", "--texts", texts)
    run("tokens", "tokens", "minilm@1")
    run("find", "find", "zorvaxin")
    run("find", "find", "eval_loss < 0.5")
    run("find", "find", folder / "base")
    run("resolve", "resolve", "medical@prod")
    run("resolve", "resolve", "minilm@stable")


def compare_models(scenario: Scenario) -> None:
    run, folder = scenario.run, scenario.folder
    changed = plain.base(folder / "changed", seed=6, prompts={"query": "query: "})
    (changed / "README.md").write_text("# Another card\n", encoding="utf-8")
    run("diff", "diff", "minilm@1", "minilm@1")
    run("diff", "diff", "minilm@1", "minilm-medical@1")
    run("diff", "diff", "minilm-medical@1", "medical@1")
    run("diff", "diff", "medical@1", "medical-merged@1", "--exit-code", code=1)
    run("diff", "diff", "minilm@1", changed)
    run("diff --encodings", "diff", "minilm@1", "minilm-medical@1", "--encodings")
    run("diff --encodings", "diff", "minilm@1", changed, "--encodings")
    run("check --list", "check", "--list")
    run("check", "check", "medical@1", "--line")
    run("check", "check", "medical@2", "--against", "medical@1", "--max-drift", "0", code=5)
    run("check", "check", "minilm@1", "--require", "eval_loss >= 0.5", code=5)
    run("check", "check", folder / "medical", "--parent", "minilm-medical@1", "--no-measure")
    run("check", "check", "untrained@1", "--record")


def edit_labels(scenario: Scenario) -> None:
    run = scenario.run
    run("alias", "alias", "medical@1", "candidate")
    run("alias", "alias", "medical@2", "candidate", "--expect", "medical@1", "--message", "better")
    run("alias", "alias", "--remove", "medical@candidate")
    run("annotate", "annotate", "medical@1", "owner=anna", "spearman=0.861")
    run("annotate", "annotate", "medical@1", "--remove", "owner")
    run("yank", "yank", "medical@2", "--reason", "trained on the test set")
    run("list NAME", "list", "medical")
    run("show", "show", "medical@2")
    run("yank", "yank", "medical@2", "--undo")
    run("delete", "delete", "untrained@1", "--dry-run")
    run("delete", "delete", "untrained@1", "--yes", "--message", "has no effect")
    run("delete", "delete", "medical", "--keep-last", "1", "--yes")
    run("list", "list")
    run("log", "log")
    run("log NAME@ALIAS", "log", "medical@prod")


def approve_code(scenario: Scenario) -> None:
    """Approve and withdraw, in a registry of its own, which then demands a feature."""
    run, folder = scenario.run, scenario.folder
    model, home = model_with_code(folder / "own"), folder / "coded"
    run("init", "init", home)
    run("add", "add", model, "--as", "own", "--trust-code", "--no-measure", home=home)
    withdrawn = run("approve", "approve", "own@1", "--undo", home=home)
    run("approve", "approve", withdrawn["code"], "--message", "read by Anna", home=home)


def transfer_models(scenario: Scenario) -> None:
    run, folder = scenario.run, scenario.folder
    run("bundle", "bundle", "minilm@1", "-o", folder / "base.tar")
    run(
        "bundle", "bundle", "medical@1", "-o", folder / "medical.tar", "--have", folder / "base.tar"
    )
    run("bundle", "bundle", "medical@1", "-o", folder / "full.tar")
    run("bundle --all", "bundle", "--all", "-o", folder / "backup.tar")
    run("init", "init", folder / "receiver")
    run("pull FILE", "pull", folder / "full.tar", home=folder / "receiver")
    run("pull FILE", "pull", folder / "full.tar", home=folder / "receiver")
    run("pull FILE of a home", "pull", folder / "backup.tar", home=folder / "restored")


def reach_exit_codes(scenario: Scenario) -> None:
    """Run a command for each exit code of an error."""
    folder, slow = scenario.folder, scenario.folder / "slow"
    scenario.run("init", "init", slow)
    for number, added in enumerate([(), ("extra",)], start=1):
        model = plain.base(folder / f"slow-{number}", added=added)
        (model / "tokenizer.json").unlink()
        words = "".join(f"{word}\n" for word in (*plain.WORDS, *added))
        (model / "vocab.txt").write_text(words, encoding="utf-8")
        parent = ("--parent", "slow@1") if added else ()
        scenario.run("add", "add", model, "--as", "slow", "--no-measure", *parent, home=slow)
    scenario.fail(1, "tokens", "slow@2", "--texts", folder / "texts.txt", home=slow)
    scenario.fail(2, "list", "--nonsense")
    scenario.fail(2, "show", "medical@")
    scenario.fail(3, "show", "medical@99")
    scenario.fail(3, "list", home=folder / "nowhere")
    scenario.fail(4, "alias", "minilm@1", "moved", "--expect", "minilm@1")
    scenario.fail(6, "checkout", "minilm@1", folder / "base")
    scenario.fail(7, "init", folder)
    damaged = copy_of(scenario.home, "damaged")
    flip(blob_of(scenario, "README.md", damaged))
    scenario.fail(5, "show", "minilm@1:README.md", home=damaged)


def maintain_registry(scenario: Scenario) -> None:
    run, folder = scenario.run, scenario.folder
    run("du", "du")
    run("du", "du", "medical@1")
    run("audit", "audit")
    run("audit --full", "audit", "--full", "--receipt", folder / "head.json")
    run("audit", "audit", "--against", folder / "head.json")
    run("audit --probes", "audit", "--probes")
    damaged = copy_of(scenario.home, "repairable")
    flip(blob_of(scenario, "README.md", damaged))
    run("audit --full", "audit", "--full", code=5, home=damaged)
    run("repair", "repair", home=damaged)
    damaged = copy_of(scenario.home, "lost")
    shutil.rmtree(damaged / "local")
    shutil.rmtree(damaged / "checkouts")
    blob_of(scenario, "README.md", damaged).unlink()
    run("audit", "audit", code=5, home=damaged)
    run("repair", "repair", code=5, home=damaged)
    broken = copy_of(scenario.home, "broken")
    flip(broken / "journal" / f"{5:020}.json")
    run("repair", "repair", home=copy_of(broken, "restorable"))
    shutil.rmtree(broken / "catalog")
    run("repair --accept-journal", "repair", "--accept-journal", home=broken)
    shorter = copy_of(scenario.home, "shorter")
    for entry in sorted((shorter / "journal").iterdir())[5:]:
        entry.unlink()
    run("repair --accept-journal", "repair", "--accept-journal", home=shorter)
    run("collect", "collect", "--dry-run")
    run("collect", "collect", "--older-than", "0")


def run_with_hub(scenario: Scenario, hub: HubServer, warm: Warm) -> Scenario:
    """Run the commands that need a Hub, in processes that know its address."""

    def run(label: str, *arguments: object, home: Path | None = None, code: int = 0) -> Any:
        ran = warm.run("--home", home or scenario.home, *arguments, "--json")
        return scenario.record(label, ran.code, ran.out, ran.err, code)

    folder, receiver = scenario.folder, scenario.folder / "receiver"
    lines.fill(scenario.home, folder / "training")
    sender_place, receiver_place = (lines.Place(home, warm) for home in (scenario.home, receiver))
    to = ("--to", "org/medical", "--parents-to", "org")
    run("status", "status")
    run("push --dry-run", "push", "medical@1", *to, "--dry-run")
    run("push", "push", "medical@1", *to)
    run("push", "push", "medical@1")
    run("alias", "alias", "medical@1", "prod")
    run("push", "push", "medical@prod")
    run("init", "init", home=receiver)
    run("pull", "pull", "hf://org/medical", "--aliases", home=receiver)
    run("pull", "pull", "hf://org/medical", home=receiver)
    lines.another(sender_place, folder / "second")
    run("push --pr", "push", "minilm@2", "--pr")
    run("status", "status")
    run("push", "push", "minilm@2")
    lines.another(receiver_place, folder / "diverged", query="query: ")
    lines.another(receiver_place, folder / "third", query="third: ")
    lines.another(sender_place, folder / "fourth", query="fourth: ")
    lines.another(sender_place, folder / "fifth", query="fifth: ")
    run("push", "push", "minilm@4")
    run("status", "status", home=receiver)
    run("sync --dry-run", "sync", "minilm", "--dry-run", home=receiver)
    run("sync", "sync", "minilm", home=receiver)
    lines.another(sender_place, folder / "sixth", query="sixth: ")
    run("sync --dry-run", "sync", "minilm", "--dry-run")
    run("sync", "sync", "minilm")
    hub.commit("org/minilm", {"modules.json": b"[]"})
    run("status", "status")
    run("status --offline", "status", "--offline")
    run("log", "log", home=receiver)
    run("list NAME", "list", "medical", home=receiver)
    run("show", "show", "medical@1", home=receiver)
    run("error 3", "pull", "hf://org/nothing", code=3)
    return scenario


def rewrite(
    folder: Path,
    *,
    rename: Callable[[str], str] = str,
    scale: Callable[[str], float] = lambda name: 1.0,
) -> None:
    """Rename the tensors of an adapter, or multiply each by a number."""
    file = folder / "adapter_model.safetensors"
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            begin, end = (start + offset for offset in entry["data_offsets"])
            values = numpy.frombuffer(content[begin:end], "<f4").reshape(entry["shape"])
            tensors[rename(name)] = values * numpy.float32(scale(name))
    plain.write_safetensors(file, tensors)


def copy_of(home: Path, name: str) -> Path:
    """Copy a registry into a folder next to it."""
    return Path(shutil.copytree(home, home.with_name(name), symlinks=True))


def blob_of(scenario: Scenario, path: str, home: Path) -> Path:
    """Return where a registry stores a file of minilm@1."""
    files = scenario.run("show", "show", "minilm@1")["files"]
    digest = next(file["digest"] for file in files if file["path"] == path).removeprefix("sha256:")
    return home / "blobs" / "sha256" / digest[:2] / digest


def flip(blob: Path) -> None:
    """Change the first byte of a stored file."""
    content = blob.read_bytes()
    blob.chmod(0o600)
    blob.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def forms_by_label(outputs: list[Output]) -> dict[str, Any]:
    """Return exit codes and forms by label; log entries have a form for each kind."""
    values: dict[str, list[Any]] = {}
    described: dict[str, dict[str, Any]] = {}
    for output in outputs:
        for value in output.value if output.label == "log" else [output.value]:
            label = f"log: {value['kind']}" if output.label == "log" else output.label
            values.setdefault(label, []).append(value)
            facts = described.setdefault(label, {"exit codes": set(), "errors": set()})
            facts["exit codes"].add(output.code)
            if label.startswith("error "):
                facts["errors"].add(value["error"]["kind"])
    for label, facts in described.items():
        facts["form"] = form_of(values[label], ("",) if label == SPARSE else DATA_MAPS)
    return {
        label: {
            key: sorted(value) if isinstance(value, set) else value
            for key, value in facts.items()
            if value
        }
        for label, facts in described.items()
    }


def test_the_keys_and_types_of_all_outputs(scenario: Scenario, hub_scenario: Scenario) -> None:
    assert_same_json("json_outputs.json", forms_by_label(scenario.outputs + hub_scenario.outputs))


def test_every_command_is_run(scenario: Scenario, hub_scenario: Scenario) -> None:
    labels = {output.label.split()[0] for output in scenario.outputs + hub_scenario.outputs}

    assert labels - {"error"} == set(command_names()) - NOT_RUN


def test_every_exit_code_of_errors_is_reached(
    scenario: Scenario,
    hub_scenario: Scenario,
) -> None:
    errors = [
        output
        for output in scenario.outputs + hub_scenario.outputs
        if output.label.startswith("error ")
    ]

    assert {output.code for output in errors} == {1, 2, 3, 4, 5, 6, 7}
    assert all(output.value["error"]["exit_code"] == output.code for output in errors)
