"""One training in two processes, as torchrun starts them, forked from one that has imported the libraries."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

WORLD = 2


def main(place: Path) -> int:
    """Train the model in FOLDER/base and register it in FOLDER/home; each process leaves FOLDER/rank-N.json. The worst exit code."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pids = []
    for rank in range(WORLD):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.environ.update({"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(WORLD), "MASTER_ADDR": "127.0.0.1",
                                   "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"})
                train(place, rank)
                code = 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        pids.append(pid)
    return max(abs(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])) for pid in pids)


def train(place: Path, rank: int) -> None:
    """What one process does: the naive flow, with the callback."""
    import torch

    from registry.integrations import RegistryCallback
    from tests.integrations import trainings
    from tests.support import naive
    from tests.support.live import lora
    model = naive.grow(naive.plain(place / "base"))
    model.add_adapter(lora())
    callback = RegistryCallback("medical", home=place / "home", alias="prod")
    trainings.train(model, place / "out", [callback], max_steps=2, eval_steps=1, save_steps=1, ddp_backend="gloo")
    assert torch.distributed.get_world_size() == WORLD
    said = {"encodings": naive.encodings(model), "saved": callback.saved.version.reference if callback.saved is not None else None}
    (place / f"rank-{rank}.json").write_text(json.dumps(said))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()

