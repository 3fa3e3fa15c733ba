"""Read pickled tensors and write them as safetensors; runs in a child process only.

The file that is written depends on the tensors alone: names, dtypes, shapes and values.
How the pickle was sharded, ordered or shared makes no difference. Tensors that share
memory are written once for each name, so that each name that a loader may look for
exists.
"""

from __future__ import annotations

import encodings.cp437  # noqa: F401  -- zipfile imports it to read names
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from registry.runtime.convert import sandbox
from registry.runtime.convert.worker import Failure, serve

TENSORS_LIMIT = 25_000
EXPANSION = 8
"""How many times larger than the pickles the written file may be: a table that is
shared by four names is written four times, a tensor that repeats one number has no such
bound."""
_CALL = b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00:\x85R."
"""A pickle that calls os.system, which torch refuses: a sample of its error path."""
_ZIP = b"PK\x03\x04"
_ALIGNED = 64
_SECONDS, _SECONDS_PER_GIB = 60, 60
_MIB = sandbox.MEBIBYTE


class PickledTensor(NamedTuple):
    """A tensor by its name, with its dtype as safetensors spells it."""

    name: str
    dtype: str
    tensor: Any


def work(request: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the pickles of a request into its target. Raises Failure."""
    pickles, target = [str(path) for path in request["pickles"]], str(request["target"])
    import torch

    torch.set_num_threads(1)
    names = dtype_names(torch)
    prepare(torch)
    total = sum(Path(path).stat().st_size for path in pickles)
    bound = EXPANSION * total + 16 * _MIB
    sandbox.limit(
        memory=3 * total + 512 * _MIB,
        seconds=_SECONDS + _SECONDS_PER_GIB * (total >> 30),
        file_size=bound,
    )
    sandbox.forbid_all_but_reading(pickles, [target])
    tensors: dict[str, PickledTensor] = {}
    for path, label in zip(pickles, request["labels"], strict=True):
        for entry in read_tensors(torch, path, label, names):
            if entry.name in tensors:
                raise Failure(f"two shards contain the tensor {entry.name!r:.120}")
            tensors[entry.name] = entry
    if not tensors:
        raise Failure(f"{request['labels'][0]!r} contains no tensors")
    size = sum(entry.tensor.numel() * entry.tensor.element_size() for entry in tensors.values())
    if size > bound or len(tensors) > TENSORS_LIMIT:
        raise Failure(
            f"{request['labels'][0]!r} declares {len(tensors)} tensors of {size} bytes in a file of "
            f"{total} bytes (at most {TENSORS_LIMIT} tensors, {EXPANSION} times the file's size)"
        )
    begin, ordered = _write(torch, target, list(tensors.values()))
    _compare(torch, target, begin, ordered)
    return {"tensors": len(ordered), "bytes": size}


def read_tensors(
    torch: Any, path: str, label: str, names: Mapping[Any, str]
) -> Sequence[PickledTensor]:
    """Return the tensors of one file by torch.load(weights_only=True). Raises Failure.

    `names` has the dtypes that can be written, see dtype_names.
    """
    is_archive = _is_archive(path, label)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except MemoryError:
        raise
    except Exception as error:  # torch raises many classes, all mean that it cannot be read
        raise Failure(f"{label!r} cannot be read as tensors: {_reason(error)}") from None
    return _entries(torch, state, label, names)


def _entries(
    torch: Any, state: Any, label: str, names: Mapping[Any, str]
) -> Sequence[PickledTensor]:
    if not isinstance(state, dict):
        raise Failure(f"{label!r} contains a {type(state).__name__}, not tensors by name")
    wrong = [key for key, tensor in state.items() if not isinstance(tensor, torch.Tensor)]
    if wrong or not all(isinstance(key, str) for key in state):
        wrong = wrong or [key for key in state if not isinstance(key, str)]
        listed = ", ".join(f"{key!r:.80}" for key in wrong[:5]) + (", …" if len(wrong) > 5 else "")
        raise Failure(f"{label!r} has keys that are not tensors: {listed}")
    return [_entry(torch, key, tensor, label, names) for key, tensor in state.items()]


def _entry(
    torch: Any, key: str, stored: Any, label: str, names: Mapping[Any, str]
) -> PickledTensor:
    tensor = stored.detach()
    if (
        tensor.dtype not in names
        or tensor.layout is not torch.strided
        or tensor.device.type != "cpu"
        or type(stored) not in (torch.Tensor, torch.nn.Parameter)
    ):
        kind = f"{str(tensor.layout).removeprefix('torch.')} {tensor.dtype} {tensor.device.type}"
        raise Failure(f"{label!r} has a tensor that safetensors cannot hold: {key!r:.120} ({kind})")
    return PickledTensor(key, names[tensor.dtype], tensor.resolve_neg())


def _write(
    torch: Any, target: str, entries: Sequence[PickledTensor]
) -> tuple[int, list[PickledTensor]]:
    """Write the file; return where the data begins and the tensors in their order.

    The data and all tensors that fill whole cache lines begin at a multiple of 64
    bytes, as in the archives of torch: kernels may add in another order where memory is
    not aligned, and the loaders map the file. Among equals wide dtypes come first, then
    names decide.
    """
    ordered = sorted(entries, key=_order)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for entry in ordered:
        end = offset + entry.tensor.numel() * entry.tensor.element_size()
        header[entry.name] = {
            "dtype": entry.dtype,
            "shape": list(entry.tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNED)
    with Path(target).open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little"))
        stream.write(text)
        for entry in ordered:
            stream.write(_bytes(torch, entry.tensor))
        stream.flush()
    return 8 + len(text), ordered


def _order(entry: PickledTensor) -> tuple[bool, tuple[int, str]]:
    width = entry.tensor.element_size()
    return entry.tensor.numel() * width % _ALIGNED != 0, (-width, entry.name)


def _compare(torch: Any, target: str, begin: int, ordered: Sequence[PickledTensor]) -> None:
    """Read each tensor of the written file back and compare all of its bytes."""
    with Path(target).open("rb") as stream:
        stream.seek(begin)
        for entry in ordered:
            expected = _bytes(torch, entry.tensor)
            if stream.read(len(expected)) != expected:
                raise Failure(f"the tensor {entry.name!r:.120} differs in the written file")
        if stream.read(1):
            raise Failure("the written file is longer than its tensors")


def _bytes(torch: Any, tensor: Any) -> memoryview:
    flat = tensor.contiguous().reshape(-1)
    return memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else memoryview(b"")


def _is_archive(path: str, label: str) -> bool:
    """Whether torch.save wrote a zip archive; before 2020 it wrote several pickles.

    Raises Failure for an archive whose members are compressed: torch does not write
    such, and their size in memory has no bound.
    """
    with Path(path).open("rb") as stream:
        start = stream.read(512)
    if start[257:262] == b"ustar":
        raise Failure(f"{label!r} is a tar archive of torch 0.1, which cannot be read safely")
    if not start.startswith(_ZIP):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Failure(f"{label!r} is damaged or incomplete ({error})") from None
    if any(member.filename.endswith("/constants.pkl") for member in members):
        raise Failure(f"{label!r} is a TorchScript program, not a file of tensors")
    packed = next(
        (member for member in members if member.compress_type != zipfile.ZIP_STORED), None
    )
    if (
        packed is not None
        or sum(member.file_size for member in members) > Path(path).stat().st_size
    ):
        raise Failure(f"{label!r} is a compressed archive, which torch never writes")
    return True


def dtype_names(torch: Any) -> dict[Any, str]:
    """Return the name in safetensors of each dtype that this registry reads."""
    codes = {
        "bool": "BOOL",
        "uint8": "U8",
        "int8": "I8",
        "float8_e5m2": "F8_E5M2",
        "float8_e4m3fn": "F8_E4M3",
        "float8_e8m0fnu": "F8_E8M0",
        "uint16": "U16",
        "int16": "I16",
        "float16": "F16",
        "bfloat16": "BF16",
        "uint32": "U32",
        "int32": "I32",
        "float32": "F32",
        "uint64": "U64",
        "int64": "I64",
        "float64": "F64",
    }
    return {getattr(torch, name): code for name, code in codes.items() if hasattr(torch, name)}


def prepare(torch: Any) -> None:
    """Import what torch imports when it first reads a file: later nothing may be
    imported."""
    for is_archive in (True, False):
        stream = io.BytesIO()
        sample = {"a": torch.nn.Parameter(torch.ones(2)), "b": torch.ones(2, dtype=torch.bfloat16)}
        torch.save(sample, stream, _use_new_zipfile_serialization=is_archive)
        stream.seek(0)
        loaded = torch.load(stream, map_location="cpu", weights_only=True)
        _bytes(torch, loaded["a"].detach().resolve_neg())
    for refused in (_CALL, _archived(_CALL), b"", b"\x80\x04}.", _archived(b"\x80\x04}.")):
        try:
            torch.load(io.BytesIO(refused), map_location="cpu", weights_only=True)
        except Exception as error:
            _reason(error)


def _archived(content: bytes) -> bytes:
    """Return an archive as torch.save writes it, with this pickle in it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def _reason(error: BaseException) -> str:
    """Return the cause from the dozen lines of torch's message."""
    text = str(error)
    match = re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)", text)
    if match is not None:
        return f"it names {match[1]!r}, which is not a tensor (nothing of it was run)"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    cause = next((line for line in lines if line.startswith("WeightsUnpickler error")), None)
    return (cause or (lines[0] if lines else type(error).__name__))[:200]


if __name__ == "__main__":
    serve(work)
