"""What push and pull cost beside `hf upload` and `hf download` of the same folder, with the same server in the same run; and what they spare.

The server is the one of the tests, on this machine, so what is measured is the work of both clients and not a line's speed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from _measure import ROOT, Row, command, in_turn, minilm, scratch, table

from tests.support.hub_server import HubServer

ROUNDS = 5
PUSH_LIMIT, PULL_LIMIT = 1.1, 1.3
"""hf computes the digests of what it sends, and none of what it fetches."""
REQUESTS_LIMIT = 5


def main() -> None:
    with scratch() as folder, HubServer() as hub:
        for xet in (False, True):
            hub.clear()
            rows = _compare(
                hub,
                folder / ("xet" if xet else "lfs"),
                _environment(hub, folder, xet=xet),
                "by Xet" if xet else "by LFS",
            )
            table("hf upload, hf download", rows)
            print()
        hub.clear()
        _spared(hub, folder / "line", _environment(hub, folder, xet=False))


def _compare(hub: HubServer, folder: Path, environment: Mapping[str, str], how: str) -> list[Row]:
    import registry

    numbers = count()
    model = minilm()
    with registry.init(folder / "home") as made:
        made.add(model, "minilm")
    hf = str(Path(sys.executable).with_name("hf"))

    def run(words: list[str], **more: str) -> None:
        cache = folder / f"cache-{next(numbers)}"
        done = subprocess.run(
            words,
            env={**environment, "HF_HOME": str(cache), **more},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stderr}")

    def push() -> None:
        run(
            [*command(), "push", "minilm@1", "--to", f"org/ours-{next(numbers)}"],
            REGISTRY_HOME=str(folder / "home"),
        )

    def upload() -> None:
        run([hf, "upload", f"org/peer-{next(numbers)}", str(model), "."])

    pushing = in_turn({"ours": push, "peer": upload}, ROUNDS)
    run([*command(), "push", "minilm@1", "--to", "org/minilm"], REGISTRY_HOME=str(folder / "home"))
    homes = [folder / f"pulled-{number}" for number in range(ROUNDS + 1)]
    for home in homes:
        registry.init(home).close()
    waiting = iter(homes)

    def pull() -> None:
        run([*command(), "pull", "hf://org/minilm"], REGISTRY_HOME=str(next(waiting)))

    def download() -> None:
        run(
            [
                hf,
                "download",
                "org/minilm",
                "--local-dir",
                str(folder / f"downloaded-{next(numbers)}"),
            ]
        )

    pulling = in_turn({"ours": pull, "peer": download}, ROUNDS)
    shutil.rmtree(folder)
    return [
        Row(f"push MiniLM, 91 MB, {how}", pushing["ours"], pushing["peer"], PUSH_LIMIT),
        Row(f"pull MiniLM, 91 MB, {how}", pulling["ours"], pulling["peer"], PULL_LIMIT),
    ]


def _spared(hub: HubServer, folder: Path, environment: Mapping[str, str]) -> None:
    """Requests and bytes of what is there already, counted by the server."""
    import registry
    from tests.support.hub import lines

    folder.mkdir()
    lines.fill(folder / "home", folder / "training")

    def run(home: str, *words: str) -> None:
        subprocess.run(
            [*command(), *words],
            env={
                **environment,
                "HF_HOME": str(folder / "cache"),
                "REGISTRY_HOME": str(folder / home),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
        )

    run("home", "push", "medical@1", "--to", "org/medical", "--parents-to", "org")
    hub.requests.clear()
    run("home", "push", "medical@1", "--to", "org/medical")
    asked, sent = len(hub.requests), sum(request.length for request in hub.requests)
    print(
        f"a second push of an unchanged line of three: {asked} requests, {sent} bytes sent; limit {REQUESTS_LIMIT} and 0: "
        f"{_met(asked <= REQUESTS_LIMIT and sent == 0)}"
    )

    registry.init(folder / "other").close()
    run("other", "pull", "hf://org/minilm-medical")
    hub.requests.clear()
    run("other", "pull", "hf://org/medical")
    fetched = {
        request.path.split("/resolve/")[0].strip("/")
        for request in hub.requests
        if "/resolve/" in request.path
    }
    size = sum(
        request.answered
        for request in hub.requests
        if request.path.startswith(("/api/resolve-cache/", "/__cdn__/"))
    )
    own = sum(
        len(content)
        for path, content in hub.files("org/medical").items()
        if path != ".gitattributes"
    )
    print(
        f"pull of an adapter whose base is here: {size} bytes of files fetched, from {', '.join(sorted(fetched))}; "
        f"the adapter's repository has {own}: {_met(fetched == {'org/medical'} and size <= own)}"
    )


def _environment(hub: HubServer, folder: Path, *, xet: bool) -> dict[str, str]:
    """Both find their modules compiled, as installed ones are: the round that warms up compiles them."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("HF_") and key != "PYTHONDONTWRITEBYTECODE"
    }
    kept |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONPATH": str(ROOT)}
    return {
        **kept,
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": hub.token,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        **({} if xet else {"HF_HUB_DISABLE_XET": "1"}),
    }


def _met(holds: object) -> str:
    return "met" if holds else "MISSED"


if __name__ == "__main__":
    main()
