"""Generate files that try to run something, or to exhaust memory, when they are unpickled."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CALLS = (
    ("os", "system", "touch {canary}"),
    ("posix", "system", "touch {canary}"),
    ("subprocess", "getoutput", "touch {canary}"),
    ("subprocess", "call", "/usr/bin/touch"),
    ("builtins", "exec", "open({canary!r}, 'w')"),
    ("builtins", "eval", "open({canary!r}, 'w')"),
    ("builtins", "__import__", "this"),
    ("importlib", "import_module", "this"),
    ("builtins", "open", "{canary}"),
    ("io", "open", "{canary}"),
    ("pathlib", "Path", "{canary}"),
    ("runpy", "run_path", "{canary}.py"),
    ("ctypes", "CDLL", "libc.so.6"),
    ("socket", "gethostbyname", "example.org"),
    ("urllib.request", "urlopen", "file://{canary}"),
    ("webbrowser", "open", "file://{canary}"),
    ("shutil", "rmtree", "{canary}"),
    ("os", "unlink", "{canary}"),
    ("os", "_exit", "1"),
    ("marshal", "loads", "x"),
    ("pickle", "loads", "x"),
    ("torch", "load", "{canary}"),
    ("torch.hub", "load", "{canary}"),
    ("torch.storage", "_load_from_bytes", "x"),
    ("torch.serialization", "load", "{canary}"),
    ("torch.utils.cpp_extension", "load_inline", "x"),
    ("numpy", "load", "{canary}"),
    ("functools", "partial", "x"),
    ("operator", "attrgetter", "system"),
    ("types", "FunctionType", "x"),
    ("code", "interact", "x"),
    ("pdb", "run", "x"),
    ("timeit", "timeit", "open({canary!r}, 'w')"),
    ("cProfile", "run", "open({canary!r}, 'w')"),
)
"""(module, function, argument) of pickles that call something."""


def write_all(folder: Path, canary: Path) -> list[Path]:
    """Write every hostile file; return their paths, sorted."""
    for index, (name, content) in enumerate(_contents(str(canary))):
        (folder / f"{index:02}-{name}.bin").write_bytes(content)
    return sorted(folder.iterdir())


def _contents(canary: str) -> Iterator[tuple[str, bytes]]:
    for index, (module, function, argument) in enumerate(CALLS):
        call = _call(module, function, argument.format(canary=canary))
        name = f"{module}.{function}"
        yield name, _archive(call) if index % 2 else call
    system = _call("os", "system", f"touch {canary}")
    tensor = b"\x80\x02}q\x00."
    yield "legacy-magic", _legacy(system)
    yield "legacy-second", pickle.dumps(0x1950A86A20F9469CFC6C, 2) + system
    yield "after-the-tensors", _archive(system[:-1] + b"0" + tensor[2:])
    yield "in-a-list", _archive(b"\x80\x02]" + system[2:-1] + b"a.")
    yield "build", _archive(b"\x80\x02cos\nsystem\n}b.")
    yield "protocol-0", b"cos\nsystem\n(S'touch " + canary.encode() + b"'\ntR."
    yield "protocol-4", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R."
    yield "inst", b"(S'touch " + canary.encode() + b"'\nios\nsystem\n."
    yield "extension", b"\x80\x02\x82\x01."
    yield "persistent-id", _archive(b"\x80\x02cos\nsystem\nQ.")
    yield "tar", _tar(system)
    yield "torchscript", _archive(system, extra={"archive/constants.pkl": system})
    yield "bomb", _archive(b"\x80\x02" + b"(" * 200_000 + b".")
    yield "huge-text", b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x."
    yield "huge-long", b"\x80\x02\x8b" + struct.pack("<i", (1 << 31) - 1) + b"\x01."
    yield "memo", b"\x80\x02" + b"]r\xff\xff\xff\x7f."
    yield "compressed", _archive(tensor + bytes(1 << 20), compressed=True)
    yield "cut-off", _archive(tensor)[:-40]
    yield "nan-frame", b"\x80\x04\x95" + b"\xff" * 8 + b"."
    yield "nothing", b""
    yield "not-tensors", _archive(b"\x80\x02X\x01\x00\x00\x00a.")


def _call(module: str, function: str, argument: str) -> bytes:
    encoded = argument.encode()
    return (
        b"\x80\x02c"
        + f"{module}\n{function}\n".encode()
        + b"X"
        + struct.pack("<I", len(encoded))
        + encoded
        + b"\x85R."
    )


def _archive(data: bytes, *, extra: Any = None, compressed: bool = False) -> bytes:
    stream = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return stream.getvalue()


def _legacy(data: bytes) -> bytes:
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    head += pickle.dumps({"protocol_version": 1001, "little_endian": True}, 2)
    return head + data + pickle.dumps([], 2)


def _tar(data: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()
