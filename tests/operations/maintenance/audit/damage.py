"""What happens to files of a registry: where they lie, and how they are overwritten."""

from __future__ import annotations

from pathlib import Path

from registry.catalog.migrate import newest


def place_of(reg, digest) -> Path:
    return reg.settings.home / "blobs" / "sha256" / digest.hex[:2] / digest.hex


def blob(reg, path: str, version: str = "medical@1") -> Path:
    return place_of(reg, next(file.digest for file in reg.show(version).files if file.path == path))


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def flipped(content: bytes, place: int, bit: int = 0) -> bytes:
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def flip(path: Path, place: int = 40) -> None:
    overwrite(path, flipped(path.read_bytes(), place))


def entry_file(reg, number: int) -> Path:
    return reg.settings.home / "journal" / f"{number:020}.json"


def catalog_file(reg) -> Path:
    path = newest(reg.settings.home / "catalog")[1]
    assert path is not None
    return path


def names(reg, **options) -> list[str]:
    return [finding.name for finding in reg.audit(**options).findings]


def dump(reg) -> dict[str, list[tuple[object, ...]]]:
    with reg.home.reading():
        pass
    return reg.home.dump()
