"""What is left out of a version, and why, so that `add` can say it. Pickles are told by content, whatever they are called."""

from __future__ import annotations

import re

from registry.core.facts import Files
from registry.errors import RegistryError

from .file_list import OTHER_LIBRARIES, SLOW_TOKENIZER, join

_TRAINING = re.compile(
    r"(optimizer|scheduler|scaler|rng_state\w*|random_states\w*)\.(pt|bin|pth|pkl|safetensors)|"
    r"pytorch_model_fsdp.*|zero_to_fp32\.py"
)
_RECORDS = (
    "trainer_state.json",
    "training_args.bin",
    "training_args.json",
    "all_results.json",
    "train_results.json",
    "eval_results.json",
)
_PICKLE_NAMES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
_BACK_ENDS = ("onnx", "openvino")
_SNIFFED = 128
_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_TEXTS = (".json", ".jsonl", ".md", ".txt", ".py", ".csv", ".log", ".yaml", ".yml", ".jinja")


def left_out(files: Files, paths: set[str], there: set[str]) -> tuple[tuple[str, str], ...]:
    """(path, why it does not belong) of each path, sorted; `there` is all that the folder holds."""
    return tuple((path, _reason(files, path, there)) for path in sorted(paths))


def _reason(files: Files, path: str, there: set[str]) -> str:
    folders, name = path.split("/")[:-1], path.rsplit("/", 1)[-1]
    if folders and folders[0] in _BACK_ENDS:
        return "for another back end, which can export it anew"
    if any(re.fullmatch(r"checkpoint-\d+", folder) for folder in folders):
        return "a checkpoint of the training; add its folder to register it"
    if _TRAINING.fullmatch(name):
        return "state of the training"
    if name in _RECORDS:
        return "record of the training"
    if any(
        folder in ("runs", "logs", "eval", "wandb", "mlruns") for folder in folders
    ) or name.startswith("events.out."):
        return "a log"
    if name.endswith(_PICKLE_NAMES) or (not name.endswith(_TEXTS) and is_pickle(files, path)):
        return "a pickle, which no loader reads here"
    return _by_name(path, name, there)


def _by_name(path: str, name: str, there: set[str]) -> str:
    if name.endswith(OTHER_LIBRARIES):
        return "for another library"
    if name.endswith(".py"):
        return "Python code that the model does not need"
    vocabulary = name in SLOW_TOKENIZER or name.endswith((".model", ".spm"))
    if vocabulary and join(path.rpartition("/")[0], "tokenizer.json") in there:
        return "tokenizer.json has what it says"
    return "no loader reads it"


def is_pickle(files: Files, path: str) -> bool:
    """Told by the first bytes: a pickle from protocol 2 on, or the archive that torch.save writes."""
    try:
        with files.open(path) as stream:
            start = stream.read(_SNIFFED)
    except RegistryError:
        return False  # what cannot be read is left out all the same
    if start[8:9] == b"{" and path.endswith(".safetensors"):
        return False  # the first eight bytes are the length of a header, and may be any number
    return start[:2] in _PROTOCOLS or (start.startswith(b"PK\x03\x04") and b"data.pkl" in start)
