"""Around: what an adapter's folder lost beside its weights, taken from the parent where that is certain."""

from __future__ import annotations

import shutil
from pathlib import Path

from registry.core.facts import Files, Tensor, read
from registry.errors import NotLoadable, ParentMismatch
from registry.model_files.adapter.config import CONFIG, read_config
from registry.model_files.checks.base import ParentView
from registry.model_files.layout.file_list import SENTENCE_CONFIGS, join
from registry.model_files.layout.modules import MODULES
from registry.model_files.weights.safetensors import tensors

_SETTINGS = "config_sentence_transformers.json"
_TOKENIZER = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "spiece.model",
)
_STRAY = ("config.json", "generation_config.json")
_SAVE_AGAIN = "save the whole model again with save_pretrained"


def mend_config(folder: Path) -> list[str]:
    """Take away a config.json that makes loaders look for a full model's weights, where there are none."""
    if (
        not (folder / CONFIG).is_file()
        or not (folder / "config.json").is_file()
        or any(folder.glob("model*.safetensors"))
    ):
        return []
    for name in _STRAY:
        (folder / name).unlink(missing_ok=True)
    return ["left out config.json, beside which loaders look for a full model's weights"]


def mend_tokenizer(folder: Path, files: Files, parent: ParentView, *, evidence: str) -> list[str]:
    """Take the parent's tokenizer where the folder has none and something proves that it is this one.

    Proof is that the adapter's own numbers have a row for each token of the parent, or that the parent is witnessed. Raises
    NotLoadable where nothing does.
    """
    if any((folder / name).is_file() for name in _TOKENIZER):
        return []
    proof = _proof(files, parent, evidence)
    if proof is None:
        raise NotLoadable(
            "the folder has no tokenizer, and nothing in it proves that it was "
            f"that of {parent.reference}",
            hint=f"if you know that it was: registry checkout {parent.reference}, "
            "and pass that folder with --tokenizer",
        )
    taken = [path for path in parent.layout.belongs if is_tokenizers(path, parent)]
    for path in taken:
        _copy(parent.files, path, folder / path.rpartition("/")[2])
    return [f"took the tokenizer of {parent.reference}: {proof}"]


def mend_modules(folder: Path, parent: ParentView) -> list[str]:
    """Take the parent's modules.json, with the settings of its modules, where the folder has none.

    Raises ParentMismatch where a file of the folder is another one than the parent's, or where weights were lost with it.
    """
    if (
        (folder / MODULES).is_file()
        or not parent.layout.modules
        or MODULES not in parent.layout.belongs
    ):
        return []
    trained = [
        path
        for path, _ in parent.layout.weights
        if path.rpartition("/")[0] != parent.layout.transformer and not (folder / path).is_file()
    ]
    if trained:
        raise ParentMismatch(
            f"the folder has no {MODULES} and no {trained[0]}, which may have been trained with "
            f"the adapter, so that of {parent.reference} cannot replace it",
            hint=_SAVE_AGAIN,
        )
    if parent.layout.transformer:
        raise ParentMismatch(
            f"the folder has no {MODULES}, and that of {parent.reference} "
            "has its transformer in a separate folder",
            hint=_SAVE_AGAIN,
        )
    taken = []
    for path in parent.layout.belongs:
        beside = "/" in path or path in (MODULES, _SETTINGS, *SENTENCE_CONFIGS)
        if (
            not beside
            or is_tokenizers(path, parent)
            or path.endswith((".safetensors", ".index.json"))
        ):
            continue
        if not (folder / path).is_file():
            _copy(parent.files, path, folder / path)
            taken.append(path)
        elif path != _SETTINGS and (folder / path).read_bytes() != read(parent.files, path):
            raise ParentMismatch(
                f"the folder has no {MODULES}, and its {path} is not that of {parent.reference}, "
                "so it may have had other modules",
                hint=_SAVE_AGAIN,
            )
    return [f"took {', '.join(taken)} of {parent.reference}"]


def is_tokenizers(path: str, parent: ParentView) -> bool:
    """Whether a path is a file of the tokenizer where the parent has its own."""
    name = path.removeprefix(join(parent.layout.tokenizer, ""))
    return "/" not in name and (
        name.startswith(
            ("tokenizer", "special_tokens", "added_tokens", "vocab", "merges", "chat_template")
        )
        or name.endswith((".model", ".spm"))
    )


def _proof(files: Files, parent: ParentView, evidence: str) -> str | None:
    added = {token.id for token in parent.facts.vocabulary.added}
    config = read_config(files)
    trained = {index for ids in config.trainable_tokens.values() for index in ids}
    if added and trained == added:
        return "the adapter trains exactly the rows of its added tokens"
    own: list[Tensor] = tensors(files, "adapter_model.safetensors")[0]
    rows = {
        tensor.shape[1 if tensor.name.endswith("lora_embedding_A") else 0]
        for tensor in own
        if len(tensor.shape) == 2
        and (
            tensor.name.endswith("lora_embedding_A")
            or ("embed" in tensor.name and tensor.name.endswith("weight"))
        )
    }
    if added and rows == {parent.facts.rows}:
        return f"the adapter has {parent.facts.rows} rows, one for each of its tokens"
    return "the parent is witnessed" if evidence == "witnessed" else None


def _copy(files: Files, path: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.open(path) as stream, target.open("wb") as out:
        shutil.copyfileobj(stream, out)
