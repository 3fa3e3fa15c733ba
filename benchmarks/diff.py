"""What diff costs beside hashing both models, the least that could tell whether they are equal. And in how much memory.

Two models of 2.4 GB made here, MiniLM with a longer table and more layers, every number of the one unlike that of the other: the
worst case, since equal bytes are passed over and equal digests are not read at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from _measure import ROOT, Row, command, in_turn, minilm, scratch, table

BLOCK = 1 << 20
ROWS, LAYERS = 400_000, 255
MEMORY_LIMIT = 300e6
LAYER = "encoder.layer.0."


def main() -> None:
    with scratch() as folder:
        models = [model(folder / name, seed) for seed, name in enumerate(("one", "other"))]
        size = (models[0] / "model.safetensors").stat().st_size
        import registry

        with registry.init(folder / "home") as opened:

            def ours() -> None:
                found = opened.diff(models[0], models[1])
                if not found.advice.everything or found.read < 1.9 * size:
                    sys.exit("diff did not read what it should have compared")

            medians = in_turn(
                {
                    "diff": ours,
                    "hash": lambda: [digest(item / "model.safetensors") for item in models],
                },
                3,
            )
        table(
            "SHA-256 of both files",
            [
                Row(
                    f"diff, {size / 1e9:.2f} GB against {size / 1e9:.2f} GB",
                    medians["diff"],
                    medians["hash"],
                    1.5,
                )
            ],
        )
        peaks = memory(models, folder / "home")
        for what, peak in zip(("beyond mapped files", "mapped files included"), peaks, strict=True):
            told = "not known here, /proc is missing" if peak is None else f"{peak / 1e6:.0f} MB"
            verdict = "" if peak is None else ": met" if peak <= MEMORY_LIMIT else ": MISSED"
            print(
                f"memory of registry diff, {what}: {told}; limit {MEMORY_LIMIT / 1e6:.0f} MB{verdict}"
            )


def digest(path: Path) -> str:
    """The file's SHA-256, read in blocks."""
    hashed = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            hashed.update(block)
    return hashed.hexdigest()


def model(folder: Path, seed: int) -> Path:
    """A model of about 2.4 GB in the layout of MiniLM, written tensor by tensor."""
    import numpy

    shutil.copytree(minilm(), folder, ignore=shutil.ignore_patterns("model.safetensors"))
    with (minilm() / "model.safetensors").open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    shapes = {
        name: entry["shape"]
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
    }
    shapes |= {
        name: [ROWS, shape[1]]
        for name, shape in shapes.items()
        if name.endswith("word_embeddings.weight")
    }
    shapes |= {
        name.replace(LAYER, f"encoder.layer.{number}."): shape
        for name, shape in list(shapes.items())
        if LAYER in name
        for number in range(LAYERS)
    }
    entries, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(numpy.prod(shape))
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    random = numpy.random.default_rng(seed)
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            stream.write(random.random(shape, dtype="float32").tobytes())
    return folder


def memory(models: list[Path], home: Path) -> tuple[int | None, int | None]:
    """The most memory, in bytes, that a process holds which compares the two: without and with the files it has mapped."""
    if not Path("/proc/self/status").exists():
        return None, None
    words = [*command(), "--home", str(home), "diff", str(models[0]), str(models[1]), "--quiet"]
    process = subprocess.Popen(
        words, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    )
    peaks = [0, 0]
    while process.poll() is None:
        peaks = [max(pair) for pair in zip(peaks, held(process.pid), strict=True)]
        time.sleep(0.002)
    if process.returncode:
        sys.exit(f"registry diff ended with {process.returncode}")
    return peaks[0], peaks[1]


def held(process: int) -> tuple[int, int]:
    """Bytes of a process's memory: those that no file backs, and all; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    found = {
        line.partition(":")[0]: int(line.split()[1]) * 1024
        for line in lines
        if line.startswith(("RssAnon:", "VmRSS:"))
    }
    return found.get("RssAnon", 0), found.get("VmRSS", 0)


if __name__ == "__main__":
    main()
