"""audit, repair: seconds at 10,000 and 100,000 entries, and how they grow; and audit --full beside sha256sum of the same files.

Six of ten entries register an adapter (24 tensors, two added tokens, files of its own and shared ones) on one of a hundred bases; the
others annotate and move aliases. Limits: audit in seconds at 10,000; repair 60 s at 100,000, audit no longer than that; --full 1.2
times sha256sum on as many cores. Seconds, and in brackets those of a processor: on a machine that has other work only they mean much.

    python benchmarks/auditing.py [--kept DIR] [ENTRIES...]

With --kept homes are made there and stay, since making one of 100,000 takes longer than all the rest.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import registry
from registry.core.digest import Digest, digest_of
from registry.core.entry import Alias, Annotate, Body, Edge, Entry, Init, Register
from registry.core.facts import Adapter, Facts, Tensor, Token, Vocabulary, Weights
from registry.core.manifest import File, Manifest, Parent

BASES, TENSORS = 100, 24
TIME = "2026-01-02T03:04:05.{:06d}Z"


class Taken(NamedTuple):
    """What a command took, in seconds."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.processor:.1f})"


def main(sizes: list[int], kept: Path | None) -> None:
    print(f"{'entries':>8} {'audit':>18} {'audit again':>18} {'repair':>18} {'memory':>8}")
    taken: list[list[Taken]] = []
    with tempfile.TemporaryDirectory(prefix="registry-bench-") as folder:
        for size in sizes:
            home = (kept or Path(folder)) / f"home-{size}"
            if not home.exists():
                build(home, size)
            with registry.open(home) as reg:
                reg.list()  # makes the catalog
            taken.append([command(home, "audit"), command(home, "audit"), command(home, "repair")])
            memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
            print(
                f"{size:8} {' '.join(f'{item!s:>18}' for item in taken[-1])} {memory:5} MB",
                flush=True,
            )
        if len(taken) > 1:
            growth = [
                last.processor / first.processor
                for first, last in zip(taken[0], taken[-1], strict=True)
            ]
            print(
                f"{'growth':>8} {' '.join(f'{item:17.1f}x' for item in growth)}   for {sizes[-1] / sizes[0]:.1f} times the entries"
            )
        full(Path(folder))


def command(home: Path, *words: str) -> Taken:
    """What a command takes in a process of its own."""
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "registry", "--home", str(home), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    return Taken(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def full(place: Path) -> None:
    """audit --full of ten bases of 90 MB against sha256sum on as many cores."""
    from tests.support import plain

    home = place / "home"
    with registry.init(home) as reg:
        for number in range(10):
            folder = plain.base(place / f"base-{number}", seed=number)
            grow(folder / "model.safetensors", number)
            reg.add(folder, f"base-{number}", measure=False)
            shutil.rmtree(folder)
    cores = len(os.sched_getaffinity(0))
    command(home, "audit")
    ours, theirs = [], []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run(
            f"find {home}/blobs -type f -print0 | xargs -0 -n 4 -P {cores} sha256sum > {place}/sums",
            shell=True,
            check=True,
        )
        theirs.append(time.perf_counter() - begin)
        ours.append(command(home, "audit", "--full").wall)
    ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
    print(
        f"audit --full {min(ours):.2f} s, sha256sum {min(theirs):.2f} s on {cores} cores: "
        f"{ratios[1]:.2f} times (limit 1.2; {ratios[0]:.2f} to {ratios[2]:.2f})"
    )


def grow(path: Path, seed: int) -> None:
    """The same model with a table of 88 MB more, that nobody reads but who hashes."""
    import numpy

    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    more = numpy.random.default_rng(seed).normal(size=(22_000_000,)).astype("float32").tobytes()
    header["zz.more"] = {
        "dtype": "F32",
        "shape": [22_000_000],
        "data_offsets": [len(data), len(data) + len(more)],
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data + more)


def build(home: Path, size: int) -> int:
    """A home of so many entries, written without syncing; how many blobs it has."""
    journal = home / "journal"
    for folder in (
        journal,
        home / "local",
        home / "staging",
        *(home / "blobs" / "sha256" / f"{number:02x}" for number in range(256)),
    ):
        folder.mkdir(parents=True, exist_ok=True)
    there: set[Digest] = set()

    def add(content: bytes) -> Digest:
        digest = digest_of(content)
        if digest not in there:
            there.add(digest)
            (home / "blobs" / "sha256" / digest.hex[:2] / digest.hex).write_bytes(content)
        return digest

    shared = tuple(
        File(name, add(name.encode() * 20), len(name) * 20)
        for name in ("README.md", "tokenizer.json", "tokenizer_config.json")
    )
    tokens = (Token(30522, "zorvaxin"), Token(30523, "quelora"))
    vocabulary = add(b"the words")
    bases: list[Digest] = []
    names: list[str] = []
    previous: Digest | None = None

    def version(number: int) -> Body:
        own = File(
            "adapter_model.safetensors", add(f"weights {number}".encode()), len(f"weights {number}")
        )
        parent = bases[number % BASES] if len(bases) == BASES else None
        parents = (Parent("base", parent),) if parent else ()
        manifest = Manifest(
            "adapter" if parent else "base", "SentenceTransformer", (*shared, own), parents
        )
        tensors = tuple(
            Tensor(
                f"layer.{index}.lora",
                "F32",
                (8, 384),
                digest_of(f"tensor {number} {index}".encode()),
            )
            for index in range(TENSORS)
        )
        facts = Facts(
            "SentenceTransformer",
            digest_of(b"tokenizer"),
            Vocabulary(vocabulary, 30524, tokens),
            Weights(digest_of(f"all {number}".encode()), "F32", 73728, tensors),
            adapter=Adapter("LORA", 8, "16") if parent else None,
        )
        digest = add(manifest.to_bytes())
        if parent is None:
            bases.append(digest)
        name = f"team-{number % 50}/model-{number % 997}"
        names.append(f"{name}@{number}")
        edges = (Edge("base", parent, "witnessed", "base@1"),) if parent else ()
        return Register(
            name,
            number,
            digest,
            add(facts.to_bytes()),
            edges=edges,
            message="trained again",
            source={
                "how": "add",
                "folder": "out",
                "command": ["registry", "add", "out", "--as", name],
                "python": "3.11.7",
                "git": {"commit": "c" * 40, "dirty": False},
                "libraries": {"torch": "2.13.0", "transformers": "5.23.0", "peft": "0.21.2"},
            },
        )

    for number in range(1, size + 1):
        if number == 1:
            body: Body = Init("0" * 32)
        elif number <= BASES + 1 or number % 10 < 6:
            body = version(number)
        else:
            name, _, last = names[(number * 7919) % len(names)].partition("@")
            body = (
                Annotate(name, int(last), {"owner": "anna", "mrr": f"0.{number}"})
                if number % 10 < 8
                else Alias(name, "prod", int(last))
            )
        entry = Entry(number, f"{number:032x}", TIME.format(number), "anna", body, previous)
        (journal / f"{number:020}.json").write_bytes(entry.to_bytes())
        previous = entry.digest
    return len(there)


if __name__ == "__main__":
    words = sys.argv[1:]
    place = Path(words[1]) if words[:1] == ["--kept"] else None
    main([int(word) for word in words[2 if place else 0 :]] or [10_000, 100_000], place)
