"""Bundles that somebody changed, and what a registry's journal holds."""

from __future__ import annotations

import json
import tarfile

from registry.core.digest import canonical, digest_of
from registry.transfer import tar


def journal(reg) -> list[bytes]:
    return [path.read_bytes() for path in sorted((reg.settings.home / "journal").iterdir())]


def rewritten(path, change) -> None:
    """A bundle whose files, (name, content) in order, were changed; its headers fit."""
    with tarfile.open(path) as archive:
        files = [(item.name, archive.extractfile(item).read()) for item in archive]
    changed = change(files)
    path.write_bytes(
        b"".join(
            tar.header(name, len(content)) + content + tar.padding(len(content))
            for name, content in changed
        )
        + tar.END
    )


def with_index(change):
    def apply(files):
        value = json.loads(files[0][1])
        change(value)
        return [("index.json", sealed(value)), *files[1:]]

    return apply


def sealed(value) -> bytes:
    """An index with the digest that it then has."""
    return canonical(
        {
            **value,
            "digest": digest_of(
                canonical({key: item for key, item in value.items() if key != "digest"})
            ),
        }
    )
