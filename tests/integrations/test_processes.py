"""The callback in a training of several processes: one of them writes, and all end well with the same model."""

from __future__ import annotations

import json
import subprocess
import sys

import registry
from tests.artifacts import small
from tests.support import naive


def test_of_two_processes_that_train_together_only_the_main_one_registers(tmp_path):
    small.dense(tmp_path / "base")
    with registry.init(tmp_path / "home") as reg:
        done = subprocess.run([sys.executable, "-m", "tests.integrations.ranks", str(tmp_path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

        main, other = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2))

        assert (main["saved"], other["saved"]) == ("medical@1", None)
        assert [(model.name, len(reg.list(model.name))) for model in reg.list()] == [("medical", 1), ("medical-base", 1)]
        assert [entry.kind for entry in reg.log()] == ["Alias", "Register", "Register", "Init"]
        assert naive.encodings(reg.load("medical@1", device="cpu")) == main["encodings"] == other["encodings"]
