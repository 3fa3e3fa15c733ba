"""One training in two processes, as torchrun starts them: each gets its rank from its environment."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

WORLD = 2


def environments() -> list[dict[str, str]]:
    """What each of the processes finds in its environment; they meet at a port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(WORLD),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "GLOO_SOCKET_IFNAME": "lo",
        }
        for rank in range(WORLD)
    ]


def train(place: Path) -> None:
    """What one process does: the naive flow in FOLDER/base, with the callback, registered in FOLDER/home; it leaves FOLDER/rank-N.json."""
    import torch

    from registry.integrations import RegistryCallback
    from tests.integrations import trainings
    from tests.support import naive
    from tests.support.live import lora

    model = naive.grow(naive.plain(place / "base"))
    model.add_adapter(lora())
    callback = RegistryCallback("medical", home=place / "home", alias="prod")
    trainings.train(
        model,
        place / "out",
        [callback],
        max_steps=2,
        eval_steps=1,
        save_steps=1,
        ddp_backend="gloo",
    )
    assert torch.distributed.get_world_size() == WORLD
    said = {
        "encodings": naive.encodings(model),
        "saved": callback.saved.version.reference if callback.saved is not None else None,
    }
    (place / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(said))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
