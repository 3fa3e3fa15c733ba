"""Models small enough to be made by hand that bring Python files of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support import plain

CONFIGURATION = """from transformers.models.bert.configuration_bert import BertConfig

class OwnConfig(BertConfig):
    model_type = "own_type"
"""
MODEL = """from transformers.models.bert.modeling_bert import BertModel
from .configuration_own import OwnConfig

class OwnModel(BertModel):
    config_class = OwnConfig

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output.last_hidden_state = output.last_hidden_state * {scale}
        return output
"""


def change(path: Path, **fields: Any) -> None:
    """Set fields of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def model_with_code(
    folder: Path, *, scale: str = "2.0", more: str = "", repository: str | None = None
) -> Path:
    """Make a model whose class multiplies the states of a BERT; code beside it or apart."""
    plain.base(folder)
    modules = json.loads((folder / "modules.json").read_text())[:2]
    (folder / "modules.json").write_text(json.dumps(modules))
    prefix = f"{repository}--" if repository else ""
    change(
        folder / "config.json",
        model_type="own_type",
        architectures=["OwnModel"],
        auto_map={
            "AutoConfig": f"{prefix}configuration_own.OwnConfig",
            "AutoModel": f"{prefix}modeling_own.OwnModel",
        },
    )
    code = folder if repository is None else folder.parent / "code"
    code.mkdir(exist_ok=True)
    (code / "configuration_own.py").write_text(CONFIGURATION)
    (code / "modeling_own.py").write_text(MODEL.format(scale=scale) + more)
    return folder
