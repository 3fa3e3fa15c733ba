"""add --fix: messages name the folder of the user, never the copy that is processed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import registry
from registry.errors import NotLoadable, RegistryError
from registry.operations.shared.staging import staging
from tests.operations.registration.fix.making import WEIGHTS
from tests.support.refusals import staging_paths, text_of


def _truncate_weights(folder: Path) -> None:
    weights = folder / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-40])


def _spoil_json(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_text("{")

    return spoil


def _remove_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


DAMAGE = {
    "truncated weights": _truncate_weights,
    "no weights": _remove_weights,
    "configuration": _spoil_json("adapter_config.json"),
    "tokenizer": _spoil_json("tokenizer.json"),
    "settings of the tokenizer": _spoil_json("tokenizer_config.json"),
    "modules": _spoil_json("modules.json"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_refused_repair_names_the_folder_of_the_user(resized, copied, damage):
    folder, _ = copied
    DAMAGE[damage](folder)

    with pytest.raises(RegistryError) as caught:
        resized.add(folder, "medical", fix=True)

    assert staging_paths(text_of(caught.value)) == []


def test_messages_name_no_path_in_staging(tmp_path):
    with registry.init(tmp_path / "home") as reg:
        home, folder = reg.home, tmp_path / "adapter"

        def message_of(copy_of: Path | None) -> str:
            with (
                pytest.raises(NotLoadable) as caught,
                staging(home, "fix-", copy_of=copy_of) as work,
            ):
                home.warn(f"{work / 'model'}: a warning")
                raise NotLoadable(
                    f"cannot load {work}/model: '{work}/model/1_Pooling/config.json' is empty",
                    hint=f"registry add {work}/model",
                )
            return text_of(caught.value) + "".join(home.take_warnings())

        assert message_of(folder) == (
            f"cannot load {folder}: '{folder}/1_Pooling/config.json' is empty\n"
            f"registry add {folder}{folder}: a warning"
        )
        assert message_of(None) == (
            "cannot load the model: '1_Pooling/config.json' is empty\n"
            "registry add the modelthe model: a warning"
        )
