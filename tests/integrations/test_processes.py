"""The callback in a training of several processes: one of them writes, and all end well with the same model."""

from __future__ import annotations

import json

import pytest

import registry
from tests.integrations import ranks
from tests.support import naive, small

TRAINING = "import sys, pathlib; from tests.integrations import ranks; ranks.train(pathlib.Path(sys.argv[1]))"


@pytest.mark.slow
def test_of_two_processes_that_train_together_only_the_main_one_registers(
    tmp_path, processes_with_torch
):
    small.dense(tmp_path / "base")
    with registry.init(tmp_path / "home") as reg:
        started = [
            processes_with_torch.start(tmp_path, code=TRAINING, **environment)
            for environment in ranks.environments()
        ]
        ended = [process.wait(120.0) for process in started]
        assert [done.code for done in ended] == [0, 0], [done.err for done in ended]

        main, other = (
            json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2)
        )

        assert (main["saved"], other["saved"]) == ("medical@1", None)
        assert [(model.name, len(reg.list(model.name))) for model in reg.list()] == [
            ("medical", 1),
            ("medical-base", 1),
        ]
        assert [entry.kind for entry in reg.log()] == ["Alias", "Register", "Register", "Init"]
        assert (
            naive.encodings(reg.load("medical@1", device="cpu"))
            == main["encodings"]
            == other["encodings"]
        )
