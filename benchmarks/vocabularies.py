"""CPU time and memory of resize, add and load with large vocabularies.

Each case runs in a process of its own: the CPU seconds above `import
sentence_transformers` and the peak memory are compared with those of the library.
A model with the vocabulary of XLM-RoBERTa (250,002 pieces) and a small encoder is built
here; MiniLM gets 20,000 new words.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from _measure import ROOT, minilm, scratch

PIECES, WIDTH, LAYERS = 250_002, 384, 2
FEW, MANY = 10, 20_000
TEXTS = ["A patient was given zorvaxin.", "The cat sat on the mat.", "Der Hund schläft."]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MEMORY_LIMIT = 1.2


@dataclass(frozen=True)
class Usage:
    """CPU seconds above the import, and the peak resident size in bytes."""

    seconds: float
    peak: float


@dataclass(frozen=True)
class Ratio:
    """One line of the table: a case, its peer, and the largest ratio."""

    title: str
    case: str
    peer: str
    limit: float
    limits_memory: bool = False


XLM_R = (
    Ratio("resize, 10 words", "resize", "library-resize", 2.5, limits_memory=True),
    Ratio("add", "add", "plain", 1.3),
    Ratio("load and encode", "load", "plain", 1.2),
)
MINILM = (
    Ratio("resize, 20,000 words", "resize", "library-resize", 4.0),
    Ratio("load and encode, 20,000 words", "load-resized", "plain-resized", 1.2),
)


def main() -> None:
    """Measure each case in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--profile", help="write a profile of each case into this folder")
    parser.add_argument("--only", choices=["xlm-r", "minilm"])
    options = parser.parse_args()
    if options.case is not None:
        case, model, work, count = options.case
        run_case(case, Path(model), Path(work), int(count), options.profile)
        return
    # An installed package has compiled modules, also if the environment writes none.
    compileall.compile_dir(ROOT / "registry", quiet=1)
    with scratch() as folder:
        if options.only != "minilm":
            model = folder / "xlm-r"
            # A process inherits the peak of its parent, so the parent must stay small.
            child("build", model, folder, FEW, None)
            compare("XLM-R shape", model, folder / "a", FEW, XLM_R, options)
        if options.only != "xlm-r":
            compare("MiniLM", minilm(), folder / "b", MANY, MINILM, options)


def compare(
    title: str,
    model: Path,
    work: Path,
    count: int,
    ratios: tuple[Ratio, ...],
    options: argparse.Namespace,
) -> None:
    """Run the cases of a table in turn, and print the medians."""
    work.mkdir()
    child("prepare", model, work, count, None)
    cases = list(dict.fromkeys(name for ratio in ratios for name in (ratio.peer, ratio.case)))
    usages: dict[str, list[Usage]] = {case: [] for case in cases}
    for _ in range(options.rounds):
        for case in cases:
            usages[case].append(child(case, model, work, count, options.profile))
    medians = {
        case: Usage(
            median(usage.seconds for usage in measured), median(usage.peak for usage in measured)
        )
        for case, measured in usages.items()
    }
    print(f"{title:32}{'ours':>9}{'peer':>9}{'ratio':>7}  limit")
    for ratio in ratios:
        print_row(ratio, medians)


def print_row(ratio: Ratio, medians: Mapping[str, Usage]) -> None:
    """Print the time of one case, and its memory where that is limited."""
    case, peer = medians[ratio.case], medians[ratio.peer]
    rows = [(ratio.title, case.seconds, peer.seconds, ratio.limit, "s")]
    if ratio.limits_memory:
        title = f"{ratio.title}: peak memory"
        rows.append((title, case.peak / 1e6, peer.peak / 1e6, MEMORY_LIMIT, "MB"))
    for title, left, right, limit, unit in rows:
        factor = left / right
        verdict = "met" if factor <= limit else "MISSED"
        numbers = f"{left:7.1f}{unit:>2}{right:7.1f}{unit:>2}{factor:7.2f}"
        print(f"{title:32}{numbers}  {limit:.2f} {verdict}", flush=True)


def child(case: str, model: Path, work: Path, count: int, profile: str | None) -> Usage:
    """Run one case in a new process."""
    command = [sys.executable, __file__, "--case", case, str(model), str(work), str(count)]
    command += ["--profile", profile] if profile else []
    completed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Usage(**json.loads(completed.stdout.splitlines()[-1]))


def run_case(case: str, model: Path, work: Path, count: int, profile: str | None) -> None:
    """Run one case in this process and print its usage as JSON."""
    import sentence_transformers  # noqa: F401

    before = cpu_seconds()
    if profile:
        import cProfile

        profiler = cProfile.Profile()
        profiler.runcall(CASES[case], model, work, count)
        profiler.dump_stats(Path(profile) / f"{case}-{count}.prof")
    else:
        CASES[case](model, work, count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": cpu_seconds() - before, "peak": peak}))


def cpu_seconds() -> float:
    """CPU seconds of this process and of the children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def words(count: int) -> list[str]:
    """Return new words, equal ones in each process."""
    generator = random.Random(0)
    unique: dict[str, None] = {}
    while len(unique) < count:
        unique["zq" + "".join(generator.choices(LETTERS, k=8))] = None
    return list(unique)


def _prepare(model: Path, work: Path, count: int) -> None:
    import registry

    with registry.init(work / "home") as opened:
        opened.add(model, "base", measure=False)
        if count == MANY:
            opened.resize("base@1", "resized", words(count))
            opened.checkout("resized@1", work / "resized")
            opened.load("resized@1", device="cpu")


def _library_resize(model: Path, work: Path, count: int) -> None:
    loaded = _loaded(model)
    loaded.tokenizer.add_tokens(words(count))
    loaded[0].model.resize_token_embeddings(len(loaded.tokenizer))
    target = work / f"library-{time.monotonic_ns()}"
    loaded.save_pretrained(str(target))
    del loaded
    _loaded(target)


def _resize(model: Path, work: Path, count: int) -> None:
    import registry

    name = f"resized-{time.monotonic_ns()}"
    registry.resize("base@1", name, words(count), home=work / "home")


def _add(model: Path, work: Path, count: int) -> None:
    import registry

    with registry.init(work / f"home-{time.monotonic_ns()}") as opened:
        opened.add(model, "base")


def _plain(model: Path, work: Path, count: int) -> None:
    _loaded(model).encode(TEXTS)


def _load(model: Path, work: Path, count: int) -> None:
    import registry

    registry.load("base@1", home=work / "home", device="cpu").encode(TEXTS)


def _plain_resized(model: Path, work: Path, count: int) -> None:
    _loaded(work / "resized").encode(TEXTS)


def _load_resized(model: Path, work: Path, count: int) -> None:
    import registry

    registry.load("resized@1", home=work / "home", device="cpu").encode(TEXTS)


def _loaded(folder: Path) -> object:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


CASES: dict[str, Callable[[Path, Path, int], object]] = {
    "build": lambda model, work, count: build_xlm_r(model),
    "prepare": _prepare,
    "library-resize": _library_resize,
    "resize": _resize,
    "add": _add,
    "plain": _plain,
    "load": _load,
    "plain-resized": _plain_resized,
    "load-resized": _load_resized,
}


def build_xlm_r(folder: Path) -> Path:
    """Write a model with as many pieces as XLM-RoBERTa and a small encoder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizer

    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = dict.fromkeys([*specials, "▁", *LETTERS, *LETTERS.upper(), ".", "ä"])
    generator = random.Random(1)
    while len(pieces) < PIECES - 1:
        word = "".join(generator.choices(LETTERS, k=generator.randint(2, 9)))
        pieces["▁" * generator.randint(0, 1) + word] = None
    scored = [(piece, -float(index) / 1e4) for index, piece in enumerate([*pieces, "<mask>"])]
    tokenizer = XLMRobertaTokenizer(vocab=scored, model_max_length=512)
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=12,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=1,
    )
    plain = folder.with_name(folder.name + "-plain")
    XLMRobertaModel(config).save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    module = Transformer(str(plain))
    SentenceTransformer(modules=[module, Pooling(WIDTH)], device="cpu").save_pretrained(str(folder))
    return folder


if __name__ == "__main__":
    main()
