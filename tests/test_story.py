"""The story: what the registry is for, told on the real MiniLM, each step by a process of its own; those that must know nothing of the
others, `registry load` and plain sentence-transformers at the end, are started from nothing.

A base, eight words, an adapter trained on it by plain libraries; then the training folders are deleted, the home is moved,
and another model lies where the adapter once had its base.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.warm import Warm

pytestmark = pytest.mark.slow

WORDS = (
    "zorvaxin",
    "quelora",
    "brontazide",
    "calvexumab",
    "metifenol",
    "osperidal",
    "trenolide",
    "hylantrex",
)
TEXTS = [
    *(f"the patient takes {word} twice a day" for word in WORDS),
    *WORDS,
    "an ordinary sentence",
    "",
]

TRAIN = """
import json, sys
import torch
from peft import LoraConfig
from sentence_transformers import SentenceTransformer

base, out, texts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
torch.manual_seed(7)
model = SentenceTransformer(base, device="cpu")
model.add_adapter(LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"]))
optimizer = torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad], lr=5e-3)
before = model.encode([texts[0]])[0]
model.train()
for _ in range(3):
    vectors = model(model.preprocess(texts[:8]))["sentence_embedding"]
    loss = (vectors @ vectors.T).triu(1).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
model.eval()
assert abs(model.encode([texts[0]])[0] - before).max() > 1e-3
model.save_pretrained(out)
print(json.dumps([model.encode([text])[0].tolist() for text in texts]))
"""
"""What a user's training does: plain sentence-transformers and PEFT. The vectors are those of the model before it was saved."""

LOAD_WITHOUT_THE_PACKAGE = """
import json, os, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        os.write(2, f"reached for {arguments[1:]}".encode())
        os._exit(97)

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "registry":
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.addaudithook(refuse)
sys.meta_path.insert(0, Absent())
try:
    import registry
except ModuleNotFoundError:
    from sentence_transformers import SentenceTransformer
    model = SentenceTransformer(sys.argv[1], device="cpu")
    print(json.dumps([model.encode([text])[0].tolist() for text in json.loads(sys.argv[2])]))
"""


@dataclass(frozen=True)
class Told:
    """What came of each step."""

    trained: list[list[float]]
    added: str
    shown: dict[str, Any]
    tokens: list[dict[str, Any]]
    named: Path
    """Where the adapter's own configuration says that its base lies."""
    loaded: list[list[float]]
    said: str
    image: Path
    """A checkout made for this path, elsewhere, and then put there."""
    without_the_package: list[list[float]]


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A new process of this Python, which must succeed."""
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def told(
    minilm_folder: Path, tmp_path_factory: pytest.TempPathFactory, processes_with_torch: Warm
) -> Told:
    place = tmp_path_factory.mktemp("story")
    training, home, elsewhere, image = (
        place / "training",
        place / "home",
        place / "elsewhere",
        place / "app" / "model",
    )
    for folder in (training, elsewhere, image.parent):
        folder.mkdir()
    shutil.copytree(minilm_folder, training / "minilm")
    (training / "words.txt").write_text("\n".join(WORDS) + "\n")

    def step(*words: str, cwd: Path, code: str = "") -> str:
        done = processes_with_torch.run(*words, cwd=cwd, code=code, timeout=300.0)
        assert done.code == 0, done.err
        return done.out

    def registry(*words: str, home: Path = home, cwd: Path = training) -> str:
        return step("--home", str(home), *words, cwd=cwd)

    registry("init")
    registry("add", "minilm", "--as", "minilm")
    registry("resize", "minilm@1", "--as", "medical-base", "--tokens", "words.txt")
    checkout = registry("checkout", "medical-base@1").strip()
    trained = json.loads(step(checkout, "medical", json.dumps(TEXTS), code=TRAIN, cwd=training))
    named = Path(
        json.loads((training / "medical" / "adapter_config.json").read_text())[
            "base_model_name_or_path"
        ]
    )
    added = registry("add", "medical", "--as", "medical")

    shutil.rmtree(training)
    moved = elsewhere / "home"
    home.rename(moved)
    shutil.copytree(minilm_folder, named)
    encode = [word for text in TEXTS for word in ("--encode", text)]
    loaded = run(
        "-m",
        "registry",
        "--home",
        str(moved),
        "load",
        "medical@1",
        "--device",
        "cpu",
        *encode,
        cwd=elsewhere,
    )
    shown = json.loads(registry("show", "medical@1", "--json", home=moved, cwd=elsewhere))
    tokens = json.loads(registry("tokens", "medical@1", "--json", home=moved, cwd=elsewhere))

    registry("checkout", "medical@1", "build", "--for", str(image), home=moved, cwd=elsewhere)
    (elsewhere / "build").rename(image)
    shutil.rmtree(moved)
    shutil.rmtree(home)
    without = run(
        "-I", "-c", LOAD_WITHOUT_THE_PACKAGE, str(image), json.dumps(TEXTS), cwd=image.parent
    )
    vectors = [json.loads(line) for line in loaded.stdout.splitlines()]
    return Told(
        trained,
        added,
        shown,
        tokens,
        named,
        vectors,
        loaded.stderr,
        image,
        json.loads(without.stdout),
    )


def test_what_is_loaded_is_bit_for_bit_what_training_ended_with(told: Told) -> None:
    assert len(told.loaded) == len(TEXTS)
    assert told.loaded == told.trained


def test_no_word_of_warning_is_said_though_another_model_lies_where_the_adapter_had_its_base(
    told: Told,
) -> None:
    assert told.said.splitlines() == ["medical@1 is loaded as SentenceTransformer"]


def test_the_adapter_is_known_to_stand_on_what_it_was_trained_on(told: Told) -> None:
    (parent,) = told.shown["parents"]

    assert (told.shown["kind"], parent["role"], parent["reference"], parent["evidence"]) == (
        "adapter",
        "base",
        "medical-base@1",
        "witnessed",
    )
    assert f"sha256-{parent['digest'].removeprefix('sha256:')}" in told.named.name


def test_adding_ends_with_the_name_and_the_whole_digest(told: Told) -> None:
    assert told.added == f"medical@1 {told.shown['digest']}\n"


def test_the_words_keep_their_order_and_follow_the_old_vocabulary(told: Told) -> None:
    assert [(token["id"], token["content"]) for token in told.tokens] == list(
        enumerate(WORDS, start=30522)
    )
    shown = told.shown["vocabulary"]["added"]
    assert [{key: token[key] for key in shown[0]} for token in told.tokens] == shown


def test_no_path_of_the_training_machine_is_in_what_was_registered(told: Told) -> None:
    assert str(told.image.parent.parent) not in json.dumps(told.shown)


def test_a_checkout_for_an_image_loads_there_without_this_package_its_home_or_the_network(
    told: Told,
) -> None:
    assert told.without_the_package == told.trained


def test_a_checkout_for_an_image_names_only_the_image(told: Told) -> None:
    configuration = json.loads((told.image / "adapter_config.json").read_text())

    assert configuration["base_model_name_or_path"] == str(told.image / ".registry" / "base")
    assert not [path for path in told.image.rglob("*") if path.is_symlink()]
