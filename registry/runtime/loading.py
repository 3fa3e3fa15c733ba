"""Loading: a checkout as an object of its class, and nothing but that checkout.

No request leaves, no code of the model runs, and the libraries' noise (progress bars, weight-load reports) goes to the log
only. What the loaded object says of itself is compared by `ask`; `encode` turns its results into JSON values.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from registry.core.facts import Facts
from registry.core.filenames import ADAPTER_CONFIG
from registry.core.text import shell_word
from registry.errors import (
    ForeignCode,
    Invalid,
    InvalidReference,
    MissingExtra,
    NotLoadable,
    RegistryError,
)
from registry.model_files.tokenizer.panics import refusing_panics
from registry.util.gc_pause import uncollected

from .custom_code import running_code, verify_classes
from .verify_loaded import ask, equal_added_tokens, questions, refuse_no_row, rows

__all__ = [
    "CLASSES",
    "ask",
    "encode",
    "equal_added_tokens",
    "load",
    "questions",
    "quiet",
    "rows",
]

CLASSES = ("SentenceTransformer", "CrossEncoder", "SparseEncoder", "MultiVectorEncoder")

_LOG = logging.getLogger("registry.libraries")
_LOG.addHandler(logging.NullHandler())
_NOISY = ("transformers", "sentence_transformers", "peft", "huggingface_hub")
_NESTED = ("model_kwargs", "processor_kwargs", "tokenizer_kwargs", "config_kwargs")
_BY_REFERENCE = "load another version by its reference"
_ELSEWHERE = {
    "model_name_or_path": ("the model is that of the version", _BY_REFERENCE),
    "modules": ("the modules are those of the version", _BY_REFERENCE),
    "revision": ("a version has no revisions", "use another reference, e.g. name@3"),
    "subfolder": ("a version is loaded completely", None),
    "state_dict": ("the weights are those of the version", None),
    "config": ("the configuration is that of the version", None),
    "gguf_file": ("the weights are those of the version", None),
    "ignore_mismatched_sizes": ("weights that do not fit would be initialized randomly", None),
}
"""Keywords that would load something else: why they are refused, and the hint."""
_NEUTRAL = frozenset(
    {"device", "cache_folder", "token", "use_auth_token", "local_files_only", "trust_remote_code"}
    | {"revision", "model_card_data"}
)
"""Keywords that change nothing of a model."""
_DEFAULT_BACKEND = ("backend", "torch")
_COMPUTATION = frozenset(
    {"dtype", "torch_dtype", "attn_implementation", "use_cache", "return_dict", "device_map"}
    | {"output_attentions", "output_hidden_states", "quantization_config", "low_cpu_mem_usage"}
    | {"tp_plan", "use_safetensors", "file_name", "provider", "export"}
)
"""Settings of a configuration that leave the layers as they are."""


_PIP_INSTALL = re.compile(r"pip3? install (?:-{1,2}[\w-]+ )*'?\"?([A-Za-z][\w.-]*(?:\[[\w,-]+\])?)")
_REQUIRES = re.compile(
    r"(?:requires|need to have|need to install) (?:the )?`?([a-z][\w-]+)`? "
    r"(?:library|package|installed)"
)
_DEPENDENCIES = re.compile(r"Missing optional dependencies: ([\w-]+(?:, [\w-]+)*)\.")
_DISTRIBUTIONS = {"PIL": "pillow", "cv2": "opencv-python", "sklearn": "scikit-learn"}
"""Names of distributions that differ from their module."""


def load(folder: Path, model_class: str, **kwargs: Any) -> Any:
    """The model that lies in the folder, as an object of the class; keywords go through to the class.

    Raises NotLoadable with the library's reason; ForeignCode, InvalidReference or Invalid for a keyword that would load something
    else; MissingExtra where a back end of the class is not installed.
    """
    if model_class not in CLASSES:
        raise NotLoadable(
            f"{model_class!r} is not a class that can be loaded",
            hint=f"use one of {', '.join(CLASSES)}",
        )
    _refuse_elsewhere(kwargs)
    backend = kwargs.get("backend", "torch")
    if backend != "torch" and importlib.util.find_spec("optimum") is None:
        raise MissingExtra(
            f"the backend {backend!r} requires the package optimum",
            hint=f"install sentence-transformers[{backend}]",
        )
    _check_device(kwargs.get("device"))
    with quiet(), running_code(folder.absolute()) as has_code:
        kwargs |= {"local_files_only": True, "trust_remote_code": has_code}
        _refuse_other_structure(folder, kwargs)
        if any(
            True for pattern in ("", "*/") for _ in folder.glob(f"{pattern}adapter_config.json")
        ):
            refuse_unfit_peft()
        import sentence_transformers

        made = getattr(sentence_transformers, model_class, None)
        if made is None:
            installed = sentence_transformers.__version__
            raise MissingExtra(
                f"sentence-transformers {installed} has no {model_class}",
                hint="install a newer version",
            )
        try:
            # A large vocabulary makes a million values that live on.
            with uncollected():
                model = made(str(folder.absolute()), **kwargs)
        except RegistryError:
            raise
        except Exception as error:  # the libraries raise whatever they like, and each means the same: it cannot be loaded
            cause = _cause(folder, error)
            message = first_line(cause).replace(f"{folder.absolute()}", "the model")
            raise NotLoadable(
                f"{model_class} cannot load {folder}: {message}", hint=missing_package(cause)
            ) from error
        if has_code:
            verify_classes(model, folder.absolute())
        return model


def changing_keywords(kwargs: Mapping[str, Any], facts: Facts) -> Iterator[str]:
    """Yield the keywords of a load that make the model another one than its version."""
    settings = facts.settings
    prompts = {
        key.removeprefix("prompt."): text
        for key, text in settings.items()
        if key.startswith("prompt.")
    }
    for key, setting in kwargs.items():
        registered = prompts if key == "prompts" else settings.get(key)
        if (
            key in _NEUTRAL
            or setting in (None, {}, registered)
            or (key, setting) == _DEFAULT_BACKEND
        ):
            continue
        yield f"{key}={setting!r:.80}"


def encode(model: Any, inputs: Iterable[Any]) -> Iterator[Any]:
    """For each input its encoding as JSON values, one by one, so that no input's result depends on its neighbours.

    A dense model gives a list of numbers, a sparse one {token: weight} with the heaviest first, a multi-vector one a list of
    lists, a CrossEncoder a score (a list, if it has several labels) for each pair of texts. Raises Invalid for another input.
    """
    kind = type(model).__name__
    for item in inputs:
        _check_input(kind, item)
        try:
            encoded = _encoded(model, kind, item)
        except (IndexError, RuntimeError) as error:
            refuse_no_row(model, [item], error)
            raise
        yield encoded


def _check_input(kind: str, text_or_pair: Any) -> None:
    """Raise Invalid for what a model of this class cannot encode."""
    if kind == "CrossEncoder":
        if (
            not isinstance(text_or_pair, (list, tuple))
            or len(text_or_pair) != 2
            or not all(isinstance(text, str) for text in text_or_pair)
        ):
            raise Invalid(
                f"a CrossEncoder scores pairs, but {text_or_pair!r} is not a pair",
                hint='give ["question", "answer"]',
            )
    elif not isinstance(text_or_pair, str):
        raise Invalid(f"a {kind} encodes texts, but {text_or_pair!r} is not a text")


def _encoded(model: Any, kind: str, text_or_pair: Any) -> Any:
    """Return the encoding of one input as JSON values."""
    if kind == "CrossEncoder":
        return model.predict([tuple(text_or_pair)], show_progress_bar=False)[0].tolist()
    if kind == "SparseEncoder":
        return _weights(model, text_or_pair)
    if kind == "MultiVectorEncoder":
        return model.encode([text_or_pair], show_progress_bar=False, convert_to_numpy=True)[
            0
        ].tolist()
    return model.encode([text_or_pair], show_progress_bar=False)[0].tolist()


def refuse_unfit_peft() -> None:
    """Raises MissingExtra where transformers wants a newer peft than is installed; it would say so in the middle of a load."""
    from transformers import __version__
    from transformers.integrations.peft import MIN_PEFT_VERSION

    if not _peft_is(MIN_PEFT_VERSION):
        from importlib.metadata import version

        raise MissingExtra(
            f"transformers {__version__} requires peft {MIN_PEFT_VERSION} or newer, "
            f"but peft {version('peft')} is installed",
            hint="update peft, or, if no newer version exists, install an older transformers",
        )


@cache
def _peft_is(wanted: str) -> bool:
    """Whether peft is that version or a newer one; asked once, since looking takes milliseconds and nothing is installed meanwhile."""
    from transformers.utils.peft_utils import check_peft_version

    try:
        check_peft_version(min_version=wanted)
    except ValueError:
        return False
    return True


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send the messages of the model libraries to the logger `registry.libraries`.

    Progress bars are off.
    A panic of a Rust library is raised as NotLoadable.
    """
    from transformers.utils import logging as library

    library.get_logger()  # makes its handler now, else it would be made, and lost again, in here
    loggers = [logging.getLogger(name) for name in _NOISY]
    kept = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    bars = library.is_progress_bar_enabled()
    library.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.showwarning = _log_warning
        for logger in loggers:
            logger.handlers, logger.propagate = [_Forward()], False
        try:
            with refusing_panics():
                yield
        finally:
            for logger, handlers, propagate in kept:
                logger.handlers, logger.propagate = handlers, propagate
            if bars:
                library.enable_progress_bar()


class _Forward(logging.Handler):
    """Passes a library's record on to our logger."""

    def emit(self, record: logging.LogRecord) -> None:
        if _LOG.isEnabledFor(record.levelno):
            _LOG.handle(record)


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    _LOG.warning("%s:%d: %s: %s", filename, lineno, category.__name__, message)


def _check_device(device: object) -> None:
    """Raises Invalid for a name that no device of any machine has."""
    if not isinstance(device, str):
        return
    import torch

    try:
        torch.device(device)
    except RuntimeError:
        raise Invalid(
            f"unknown device: {device!r:.80}", hint="use cpu, cuda, cuda:1 or mps"
        ) from None


def _refuse_other_structure(folder: Path, kwargs: Mapping[str, Any]) -> None:
    """Raise Invalid for a setting that would build other layers than the version's."""
    wishes = {
        key: wish
        for argument in ("config_kwargs", "model_kwargs")
        for key, wish in (kwargs.get(argument) or {}).items()
        if key not in _COMPUTATION and "dropout" not in key
    }
    if kwargs.get("num_labels") is not None:
        wishes["num_labels"] = kwargs["num_labels"]
    if not wishes:
        return
    from transformers import AutoConfig

    adapter = folder / ADAPTER_CONFIG
    if adapter.is_file():
        folder = folder / json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"]
    paths = [folder / "config.json", *sorted(folder.glob("*/config.json"))]
    config_folder = next((path.parent for path in paths if _names_a_type(path)), None)
    if config_folder is None:
        return
    config = AutoConfig.from_pretrained(str(config_folder), local_files_only=True)
    for key, wish in wishes.items():
        if hasattr(config, key) and getattr(config, key) != wish:
            raise Invalid(
                f"{key}={wish!r:.80} would build another model than the version, which has "
                f"{getattr(config, key)!r:.80}",
                hint=f"leave out {key}",
            )


def _names_a_type(path: Path) -> bool:
    """Return whether a file is the configuration of a transformers model."""
    return path.is_file() and "model_type" in json.loads(path.read_text("utf-8"))


def _refuse_elsewhere(kwargs: Mapping[str, Any]) -> None:
    for place in (
        kwargs,
        *(value for key in _NESTED if isinstance(value := kwargs.get(key), Mapping)),
    ):
        if place.get("trust_remote_code"):
            raise ForeignCode(
                "trust_remote_code=True would run code of the model; a version is loaded without it"
            )
        if place.get("local_files_only") is False:
            raise Invalid(
                "local_files_only=False would ask the Hub; a version is loaded from its own files only"
            )
        for key, (reason, hint) in _ELSEWHERE.items():
            if place.get(key):
                raise InvalidReference(
                    f"{key}={place[key]!r:.80} would load something else: {reason}", hint=hint
                )


def _weights(model: Any, text: str) -> dict[str, float]:
    import torch

    vector = (
        model.encode([text], show_progress_bar=False, convert_to_sparse_tensor=False)[0]
        .float()
        .cpu()
    )
    found: list[int] = torch.nonzero(vector).flatten().tolist()
    weights: dict[int, float] = dict(zip(found, vector[found].tolist(), strict=True))
    ordered = sorted(weights, key=lambda id: (-weights[id], id))
    if not any(
        type(module).__name__ in ("SpladePooling", "SparseStaticEmbedding")
        for module in model.modules()
    ):
        return {str(id): weights[id] for id in ordered}
    # a table may be longer than the vocabulary: such a dimension has no token, and its number says so
    names = model.tokenizer.convert_ids_to_tokens(ordered)
    return {
        str(id) if name is None else name: weights[id]
        for id, name in zip(ordered, names, strict=True)
    }


def _cause(folder: Path, error: Exception) -> Exception:
    """Return why a tokenizer cannot be loaded, if AutoProcessor has hidden that."""
    if "Unrecognized processing class" not in str(error):
        return error
    from transformers import AutoTokenizer

    configs = [folder / "tokenizer_config.json", *sorted(folder.glob("*/tokenizer_config.json"))]
    for config in configs:
        if config.is_file():
            try:
                AutoTokenizer.from_pretrained(str(config.parent), local_files_only=True)
            except Exception as hidden:  # as in load
                return hidden
    return error


def missing_package(error: BaseException) -> str | None:
    """Return the command that installs the package that an error names as missing.

    The libraries raise ImportError or state a command or a requirement.
    """
    cause: BaseException | None = error
    while cause is not None:
        dependencies = _DEPENDENCIES.search(str(cause))
        if dependencies is not None:
            return f"pip install {' '.join(dependencies[1].lower().split(', '))}"
        match = _PIP_INSTALL.search(str(cause)) or _REQUIRES.search(str(cause))
        if match is not None:
            return f"pip install {shell_word(match[1])}"
        if isinstance(cause, ImportError) and cause.name:
            module = cause.name.partition(".")[0]
            if importlib.util.find_spec(module) is None:
                return f"pip install {_DISTRIBUTIONS.get(module, module)}"
        cause = cause.__cause__ or cause.__context__
    return None


def first_line(error: BaseException) -> str:
    """The first line of what a library says, or the name of its error where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
