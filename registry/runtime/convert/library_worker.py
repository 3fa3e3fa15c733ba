"""Write tokenizer.json with the library, and compare the converted model with the
original.

Runs in a child process: the original is loaded by the plain library, which reads the
pickles and the SentencePiece files.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from registry.runtime.convert import sandbox
from registry.runtime.convert.worker import Failure, serve

_SECONDS = 600
_MORE_TEXTS = (
    "Hello  two  blanks",
    " leading and trailing ",
    "ﬁne ① ｆｕｌｌ width",
    "İstanbul ŒUVRE ß ǅ",
    "e\u0301 vs é, n\u0303",
    "line\nbreak\ttab",
    "don't can't we'll",
    "1234567890 3.14",
    "<s> </s> <unk> <pad> <mask>",
    "日本語のテキスト 한국어",
)


def work(request: Mapping[str, Any]) -> dict[str, Any]:
    """Convert tokenizers, then compare both folders. Raises Failure."""
    original, converted = Path(request["original"]), Path(request["converted"])
    import sentence_transformers  # noqa: F401  -- imported before the limits are set
    import torch

    torch.set_num_threads(1)
    size = sum(path.stat().st_size for path in original.rglob("*") if path.is_file())
    sandbox.limit(
        memory=6 * size + 4096 * sandbox.MEBIBYTE,
        seconds=_SECONDS + 60 * (size >> 30),
        file_size=4 * size + 256 * sandbox.MEBIBYTE,
    )
    sandbox.forbid_outside()
    reused = [
        folder
        for folder in request["tokenizers"]
        if _convert_tokenizer(original / folder, converted / folder, _earlier(request, folder))
    ]
    compared = 0
    if request["model_class"] is not None:
        compared = _compare_models(original, converted, str(request["model_class"]))
    return {"reused": reused, "compared": compared}


def _earlier(request: Mapping[str, Any], folder: str) -> list[Path]:
    return [Path(path) for path in request["earlier"].get(folder, ())]


def _convert_tokenizer(original: Path, converted: Path, earlier: Sequence[Path]) -> bool:
    """Write tokenizer.json; return whether an earlier, equivalent one was taken."""
    before = _tokenizer(original)
    backend = getattr(before, "backend_tokenizer", None)
    if backend is None:
        raise Failure(
            f"the tokenizer class {type(before).__name__} has no tokenizer.json "
            "(it is not built on the library tokenizers)"
        )
    target = converted / "tokenizer.json"
    expected = _ids(before)
    for path in earlier:
        shutil.copyfile(path, target)
        if _ids(_tokenizer(converted)) == expected:
            return True
    backend.no_truncation()
    backend.no_padding()
    target.unlink(missing_ok=True)
    backend.save(str(target), pretty=True)
    actual = _ids(_tokenizer(converted))
    for text, ids in expected.items():
        if actual[text] != ids:
            raise Failure(
                f"the written tokenizer.json gives other ids than {type(before).__name__} "
                f"for {text!r:.60}: {actual[text]!r:.80}, expected {ids!r:.80}"
            )
    return False


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    from registry.runtime.loading import missing_package

    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the library raises whatever it likes
        lines = str(error).strip().splitlines()
        raise Failure(
            f"the library cannot load the tokenizer: {lines[0] if lines else type(error).__name__}",
            missing_package(error),
            is_unsafe=False,
        ) from None


def _ids(tokenizer: Any) -> dict[Any, Any]:
    """Token ids and types of texts, of pairs, and of every entry of the vocabulary."""
    from registry.runtime.probes import TEXTS

    texts = [*TEXTS, *_MORE_TEXTS]
    ids: dict[Any, Any] = {text: _encoded(tokenizer, text) for text in texts}
    for pair in pairwise(texts[2:9]):
        ids[pair] = _encoded(tokenizer, *pair)
    ids["the vocabulary"] = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    return ids


def _encoded(tokenizer: Any, *texts: str) -> tuple[Any, ...]:
    encoding = tokenizer(*texts)
    return tuple(encoding["input_ids"]), tuple(encoding.get("token_type_ids", ()))


def _compare_models(original: Path, converted: Path, model_class: str) -> int:
    """Load both folders; compare parameters and buffers to the bit, then encodings."""
    import torch

    from registry.errors import RegistryError
    from registry.runtime import loading, probes

    loaded = []
    for folder in (original, converted):
        torch.manual_seed(0)  # weights that no file has are drawn
        try:
            loaded.append(loading.load(folder, model_class, device="cpu"))
        except RegistryError as error:
            message = str(error).replace(str(folder), "the model")
            raise Failure(message, error.hint, is_unsafe=False) from None
    before, after = (_values(model) for model in loaded)
    if list(before) != list(after):
        name = sorted(set(before) ^ set(after))[0]
        raise Failure(f"only one of original and converted model has the tensor {name!r}")
    for name, tensor in before.items():
        if not _same_bits(torch, tensor, after[name]):
            raise Failure(
                f"the converted model has other numbers than the plain library's: {name!r}"
            )
    recordings: list[Any] = []
    for model in loaded:
        try:
            recordings.append(probes.record(model))
        except RegistryError as error:  # measured again when the model is registered
            recordings.append(str(error))
    if isinstance(recordings[0], str) or isinstance(recordings[1], str):
        if recordings[0] != recordings[1]:
            raise Failure("the converted model does not encode as the plain library's model does")
        return len(before)
    if [probe.ids for probe in recordings[0].probes] != [
        probe.ids for probe in recordings[1].probes
    ]:
        raise Failure("the converted model has other token ids than the plain library's model")
    difference = probes.largest(recordings[0], recordings[1])
    if difference is not None and difference.amount > difference.tolerance:
        raise Failure(f"the converted model encodes differently from the plain one: {difference}")
    return len(before)


def _values(model: Any) -> dict[str, Any]:
    tensors = [*model.named_parameters(remove_duplicate=False)]
    tensors += [*model.named_buffers(remove_duplicate=False)]
    return {name: tensor.detach() for name, tensor in sorted(tensors, key=lambda pair: pair[0])}


def _same_bits(torch: Any, left: Any, right: Any) -> bool:
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    if not left.numel():
        return True
    first, second = (side.contiguous().reshape(-1).view(torch.uint8) for side in (left, right))
    return bool(torch.equal(first, second))


if __name__ == "__main__":
    serve(work)
