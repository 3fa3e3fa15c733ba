"""Convert the files of a model that are pickles or sources of a tokenizer."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.core.digest import digest_of_stream
from registry.core.facts import Files
from registry.core.provenance import FORMAT
from registry.errors import MissingExtra
from registry.model_files.folder import Folder
from registry.model_files.layout.convertible import Convertible

from . import child

LIBRARIES = ("torch", "transformers", "sentence-transformers", "tokenizers", "sentencepiece")
_TORCH = (2, 6)
"""From 2.6 on torch.load(weights_only=True) runs nothing in any format
(CVE-2025-32434)."""
_WEIGHTS, _LIBRARY = (
    "registry.runtime.convert.pickle_worker",
    "registry.runtime.convert.library_worker",
)


@dataclass(frozen=True)
class Converted:
    """The files that were written, and the record of the ones that they replace."""

    folder: Folder
    record: dict[str, Any]
    """`source.converted` of the version."""


def convert(
    files: Files,
    plan: Convertible,
    work: Path,
    *,
    model_class: str | None,
    belongs: Sequence[str],
    earlier: Mapping[str, Sequence[Path]],
) -> Converted:
    """Write safetensors and tokenizer.json for everything in `plan` below `work`.

    Every tensor is compared with the pickle's. With a model class the converted model
    is loaded and compared with the original one, as the plain library loads it;
    `belongs` are the files that this needs. `earlier` has, by folder, tokenizer.json
    files of earlier conversions of the same sources: an equivalent one is reused.
    Raises UnsafeFile, NotLoadable, MissingExtra.
    """
    written, original = work / "written", work / "original"
    for folder in (written, original):
        folder.mkdir(parents=True)
    _lay_out(files, [*belongs, *plan.originals], original)
    for part in plan.weights:
        target = written / part.target
        target.parent.mkdir(parents=True, exist_ok=True)
        request = {
            "pickles": [str((original / path).resolve()) for path in part.pickles],
            "labels": list(part.pickles),
            "target": str(target),
        }
        child.run(_WEIGHTS, request, work, repr(part.pickles[0]))
    used = ["torch"] if plan.weights else []
    if plan.tokenizers or (model_class is not None and not plan.is_adapter):
        used += ["transformers", "sentence-transformers", "tokenizers"]
        used += ["sentencepiece"] * any(source.needs_sentencepiece for source in plan.tokenizers)
        _with_library(files, plan, work, model_class=model_class, belongs=belongs, earlier=earlier)
    record = {
        "format": FORMAT,
        "files": [_described(files, path) for path in plan.originals],
        "libraries": {name: importlib.metadata.version(name) for name in used},
    }
    return Converted(Folder(written), record)


def require_libraries(plan: Convertible) -> None:
    """Raise MissingExtra, with the command to type, for a package that is not
    installed."""
    if importlib.util.find_spec("torch") is None:
        raise MissingExtra(
            "the package torch is required to convert a model", hint="pip install torch"
        )
    version = importlib.metadata.version("torch")
    numbers = tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())
    if plan.weights and numbers < _TORCH:
        raise MissingExtra(
            f"torch {version} cannot read pickles safely (2.6 or newer is required)",
            hint="pip install --upgrade torch",
        )
    missing = [
        package
        for package, module in (("sentencepiece", "sentencepiece"), ("protobuf", "google.protobuf"))
        if any(source.needs_sentencepiece for source in plan.tokenizers) and not _has(module)
    ]
    if missing:
        source = next(source for source in plan.tokenizers if source.needs_sentencepiece)
        raise MissingExtra(
            f"{source.originals[0]!r} is a SentencePiece model, "
            f"which requires the package {missing[0]}",
            hint="pip install sentencepiece protobuf",
        )


def _has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _with_library(
    files: Files,
    plan: Convertible,
    work: Path,
    *,
    model_class: str | None,
    belongs: Sequence[str],
    earlier: Mapping[str, Sequence[Path]],
) -> None:
    converted = work / "converted"
    _lay_out(files, [path for path in belongs if path not in plan.originals], converted)
    for part in plan.weights:
        target = converted / part.target
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(work / "written" / part.target)
    request = {
        "original": str(work / "original"),
        "converted": str(converted),
        "tokenizers": [source.folder for source in plan.tokenizers],
        "earlier": {folder: [str(path) for path in paths] for folder, paths in earlier.items()},
        "model_class": None if plan.is_adapter else model_class,
    }
    subject = plan.originals[0]
    child.run(_LIBRARY, request, work, repr(subject))
    for source in plan.tokenizers:
        target = work / "written" / source.target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(converted / source.target, target)


def _lay_out(files: Files, paths: Sequence[str], target: Path) -> None:
    """Put files below `target`: links to large ones, copies of small ones."""
    for path in dict.fromkeys(paths):
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        source_path: Path | None = getattr(files, "place", lambda path: None)(path)
        if source_path is not None and files.size(path) > 1 << 20:
            file.symlink_to(source_path.resolve())
        else:
            with files.open(path) as source, file.open("xb") as out:
                shutil.copyfileobj(source, out)


def _described(files: Files, path: str) -> dict[str, Any]:
    with files.open(path) as stream:
        digest, size = digest_of_stream(stream.read)
    return {"path": path, "size": size, "digest": str(digest)}
