"""What registering costs beside the least that any keeper of files must do: copy, SHA-256, fsync. And in how much memory.

MiniLM as its package carries it, and a model of 1.25 GB made here: MiniLM with a longer table and more layers. The model is not
loaded: what measuring takes is the libraries' time, once for each version.
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
ROWS, LAYERS = 200_000, 132
MEMORY_LIMIT = 200e6
LAYER = "encoder.layer.0."


def main() -> None:
    with scratch() as folder:
        small = _compare(minilm(), folder, rounds=9)
        large_model = large(folder / "large")
        big = _compare(large_model, folder, rounds=3)
        size = (large_model / "model.safetensors").stat().st_size
        rows = [
            Row("add MiniLM, 91 MB", *small, 1.7),
            Row(f"add a model of {size / 1e9:.2f} GB", *big, 1.3),
        ]
        table("copy + SHA-256 + fsync", rows)
        peak = _memory(large_model, folder / "memory")
        told = "not known here, /proc is missing" if peak is None else f"{peak / 1e6:.0f} MB"
        print(
            f"\nmemory of registry add, {size / 1e9:.2f} GB, beyond the page cache: {told}; limit {MEMORY_LIMIT / 1e6:.0f} MB"
            f"{'' if peak is None else ': met' if peak <= MEMORY_LIMIT else ': MISSED'}"
        )


def _compare(model: Path, folder: Path, *, rounds: int) -> tuple[float, float]:
    import registry

    homes = iter(range(1 << 20))

    def ours() -> None:
        opened.add(model, "model", measure=False)

    def peer() -> None:
        _copy(model, folder / f"copy-{next(homes)}")

    taken: dict[str, list[float]] = {"ours": [], "peer": []}
    for number in range(rounds + 1):
        with registry.init(folder / "home") as opened:
            medians = in_turn(
                {"ours": ours, "peer": peer} if number % 2 else {"peer": peer, "ours": ours},
                1,
                warm=0,
            )
        for path in [folder / "home", *folder.glob("copy-*")]:
            shutil.rmtree(path)
        if number:
            for name, seconds in medians.items():
                taken[name].append(seconds)
    ours_sorted, peer_sorted = sorted(taken["ours"]), sorted(taken["peer"])
    return ours_sorted[rounds // 2], peer_sorted[rounds // 2]


def _copy(model: Path, target: Path) -> None:
    """Each file copied while it is hashed, and on the disk when this returns."""
    target.mkdir()
    for source in sorted(path for path in model.rglob("*") if path.is_file()):
        digest = hashlib.sha256()
        with (
            source.open("rb") as read,
            (target / str(source.relative_to(model)).replace("/", "-")).open("wb") as write,
        ):
            while block := read.read(BLOCK):
                digest.update(block)
                write.write(block)
            write.flush()
            os.fsync(write.fileno())
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def large(folder: Path) -> Path:
    """A model of about 1.25 GB that passes every check at the door, written tensor by tensor."""
    import numpy

    shutil.copytree(minilm(), folder, ignore=shutil.ignore_patterns("model.safetensors"))
    with (minilm() / "model.safetensors").open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    shapes = {
        name: entry["shape"]
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
    }
    tables = [name for name in shapes if name.endswith("word_embeddings.weight")]
    shapes |= {name: [ROWS, shapes[name][1]] for name in tables}
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
    random = numpy.random.default_rng(0)
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            stream.write(random.random(shape, dtype="float32").tobytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "vocab_size": ROWS, "num_hidden_layers": LAYERS})
    )
    return folder


def _memory(model: Path, home: Path) -> int | None:
    """The most anonymous memory, in bytes, that a process holds which registers the model: all that is not a mapped file."""
    if not Path("/proc/self/status").exists():
        return None
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [*command(), "init", str(home)], env=environment, check=True, capture_output=True
    )
    words = [
        *command(),
        "--home",
        str(home),
        "add",
        str(model),
        "--as",
        "large",
        "--quiet",
        "--no-measure",
    ]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _anonymous(process.pid))
        time.sleep(0.002)
    if process.returncode:
        sys.exit(f"registry add ended with {process.returncode}")
    return peak


def _anonymous(process: int) -> int:
    """Bytes of a process's memory that no file backs; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


if __name__ == "__main__":
    main()
