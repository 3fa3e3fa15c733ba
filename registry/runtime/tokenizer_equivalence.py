"""Decide with the installed library whether two tokenizers give equal ids.

Both are built as Sentence Transformers builds them from a whole folder: AutoTokenizer
with the arguments of sentence_bert_config.json, then its rule for `do_lower_case`. The
canonical forms of the two backends are compared. No code of a model runs, and torch is
not imported here.

Source: sentence-transformers 6, base/modules/transformer.py, Transformer.__init__.
"""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from registry.core.facts import Files
from registry.errors import NotLoadable
from registry.model_files.folder import Folder
from registry.model_files.layout.file_list import sentence_settings
from registry.model_files.layout.layout import Layout
from registry.model_files.tokenizer.canonical_form import canonical_backend, differing
from registry.model_files.tokenizer.equivalence import Decision, differences
from registry.model_files.tokenizer.panics import refusing_panics
from registry.model_files.tokenizer.prefix_tokens import legacy_prefixes, tokens_to_register
from registry.model_files.tokenizer.vocabulary import SPECIAL_NAMES, TOKENIZER
from registry.util.gc_pause import uncollected

from .loading import first_line, quiet

_LIBRARIES = ("transformers", "tokenizers", "sentence-transformers")
_WEIGHTS = (".safetensors", ".bin", ".pt", ".h5", ".onnx", ".msgpack", ".gguf")
_LEFT_OUT = ("adapter_config.json", "README.md")
_NOT_HANDED_ON = ("trust_remote_code", "token", "revision", "cache_dir", "subfolder")
_TEXTS = 5_000
"""Texts and pairs that are compared before a difference is reported without one."""


@dataclass(frozen=True)
class LoadedTokenizer:
    """A tokenizer as Sentence Transformers uses it."""

    backend: Any
    """The `tokenizers.Tokenizer`; its truncation and padding are switched off."""
    form: Mapping[str, Any]
    """Its canonical form, with what the library decides outside the backend."""


def is_available() -> bool:
    """Return whether the library that decides is installed."""
    return importlib.util.find_spec("transformers") is not None


def decide(candidate: tuple[Files, Layout], parent: tuple[Files, Layout]) -> Decision:
    """Return whether the tokenizers of two folders are equivalent, as the library
    builds them.

    A tokenizer that cannot be built is equivalent to none.
    """
    versions = {name: metadata.version(name) for name in _LIBRARIES if _is_installed(name)}
    try:
        with uncollected():
            first, second = (load_tokenizer(*side) for side in (candidate, parent))
    except NotLoadable as error:
        message = str(error)
        return Decision(False, lambda: message, (), versions)
    return compare(first, second, versions)


def compare(
    first: LoadedTokenizer, second: LoadedTokenizer, versions: Mapping[str, str]
) -> Decision:
    """Return the decision on two loaded tokenizers."""
    components = differing(first.form, second.form)
    if not components:
        return Decision(True, libraries=versions)

    def explain() -> str:
        components_text = differences(components, first.form, second.form)
        with refusing_panics():
            text = shortest_difference(first.backend, second.backend)
        if text is None:
            return f"{components_text}; no text with different ids found among {_TEXTS}"
        ids, expected = (side.backend.encode(*_arguments(text)).ids for side in (first, second))
        return (
            f"{components_text}; {text!r} has the ids {_ids_text(ids)}, there {_ids_text(expected)}"
        )

    return Decision(False, explain, components, versions)


def form_of(tokenizer: Any) -> dict[str, Any]:
    """Return the canonical form of a tokenizer in memory. Raises NotLoadable without a
    backend."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "to_str"):
        raise NotLoadable(f"{type(tokenizer).__name__} has no backend of the tokenizers library")
    form = canonical_backend(json.loads(backend.to_str()))
    if backend is tokenizer:
        return form
    names = getattr(tokenizer, "model_input_names", None) or ()
    form["token_type_ids"] = "token_type_ids" in names
    form["split_special_tokens"] = bool(getattr(tokenizer, "split_special_tokens", False))
    for name in SPECIAL_NAMES:
        token = getattr(tokenizer, name, None)
        form[name] = None if token is None else str(token)
    return form


def load_tokenizer(files: Files, layout: Layout) -> LoadedTokenizer:
    """Build the tokenizer of a folder as Sentence Transformers does. Raises
    NotLoadable."""
    with tempfile.TemporaryDirectory(prefix="registry-tokenizer-") as name:
        folder = Path(name)
        _lay_out(files, layout, folder)
        try:
            with refusing_panics():
                tokenizer = (_of_a_transformer if layout.adds_tokens else _static)(folder)
                _register_prefixes(tokenizer, legacy_prefixes(files, layout))
                form = form_of(tokenizer)
        except NotLoadable:
            raise
        except Exception as error:  # the libraries raise any class for files they cannot read
            raise NotLoadable(f"the tokenizer cannot be loaded: {first_line(error)}") from error
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    backend.no_truncation()
    backend.no_padding()
    return LoadedTokenizer(backend, form)


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name.replace("-", "_")) is not None


def _lay_out(files: Files, layout: Layout, folder: Path) -> None:
    """Copy the files of transformer and tokenizer, weights left out, into one
    folder."""
    for source in dict.fromkeys((layout.transformer, layout.tokenizer)):
        prefix = f"{source}/" if source else ""
        for path in files.paths():
            name = path.removeprefix(prefix)
            if (
                not path.startswith(prefix)
                or "/" in name
                or name in _LEFT_OUT
                or name.endswith(_WEIGHTS)
            ):
                continue
            with files.open(path) as stream, (folder / name).open("wb") as out:
                shutil.copyfileobj(stream, out)


def _static(folder: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / TOKENIZER))


def _of_a_transformer(folder: Path) -> Any:
    with quiet():
        from transformers import AutoTokenizer

        files = Folder(folder)
        settings = sentence_settings(files, "", set(files.paths()))
        arguments = dict(settings.get("tokenizer_args") or {})
        arguments |= settings.get("processor_kwargs") or {}
        for key in _NOT_HANDED_ON:
            arguments.pop(key, None)
        if settings.get("tokenizer_name_or_path"):
            raise NotLoadable(
                "the tokenizer is that of another folder: "
                f"{settings['tokenizer_name_or_path']!r:.80} (tokenizer_name_or_path)"
            )
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, **arguments
        )
        if settings.get("do_lower_case") and tokenizer.is_fast:
            _lowercase(tokenizer.backend_tokenizer)
    return tokenizer


def _register_prefixes(tokenizer: Any, prefixes: Sequence[str]) -> None:
    """Register prefix tokens as MultiVectorEncoder does."""
    if not prefixes:
        return
    from tokenizers import AddedToken

    tokens = tokens_to_register(
        prefixes, tokenizer.get_vocab(), lambda content: tokenizer.tokenize(content) == [content]
    )
    if tokens:
        registered = [AddedToken(content, normalized=False, special=True) for content in tokens]
        tokenizer.add_special_tokens({"additional_special_tokens": registered})


def _lowercase(backend: Any) -> None:
    """Put Lowercase before the normalizer, unless it has one at its first level."""
    from tokenizers.normalizers import Lowercase, Sequence as Normalizers

    normalizer: Any = backend.normalizer
    parts: list[Any] = (
        list(iter(normalizer))
        if isinstance(normalizer, Normalizers)
        else [normalizer]
        if normalizer is not None
        else []
    )
    if not any(isinstance(part, Lowercase) for part in parts):
        backend.normalizer = Normalizers([Lowercase(), *parts])


def shortest_difference(first: Any, second: Any) -> Any | None:
    """Return a short text or pair with different ids, None if none was found."""
    texts = list(_texts(first))
    for group in (
        [text for text in texts if isinstance(text, str)],
        [text for text in texts if not isinstance(text, str)],
    ):
        ids = [[_ids(text) for text in backend.encode_batch(group)] for backend in (first, second)]
        unequal = [text for text, before, after in zip(group, *ids, strict=True) if before != after]
        if unequal:
            return _shrunk(min(unequal, key=lambda text: len("".join(text))), first, second)
    return None


def _ids(encoding: Any) -> tuple[list[int], list[int]]:
    return encoding.ids, encoding.type_ids


def _arguments(text: Any) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def _shrunk(text: Any, first: Any, second: Any) -> Any:
    """Remove characters as long as the ids differ."""
    if not isinstance(text, str):
        return text
    index = 0
    while index < len(text):
        shorter = text[:index] + text[index + 1 :]
        if _ids(first.encode(shorter)) != _ids(second.encode(shorter)):
            text = shorter
        else:
            index += 1
    return text


def _texts(backend: Any) -> Iterator[Any]:
    """Yield fixed characters, tokens alone and joined, and pairs."""
    yield from _FIXED
    ids = sorted(backend.get_vocab(with_added_tokens=True).values())
    chosen = random.Random(0)
    some = ids if len(ids) <= 1_200 else [*ids[-100:], *chosen.sample(ids, 1_100)]
    words = [backend.decode([id], skip_special_tokens=False) for id in some]
    words = [word for word in words if word]
    yield from words
    yield from (f"{word.swapcase()} {word}" for word in words)
    singles = _TEXTS - len(_FIXED) - 2 * len(words) - _PAIRS
    alphabet = [*words, *_FIXED]
    for _ in range(max(singles, 0)):
        parts = chosen.choices(alphabet, k=chosen.randint(2, 5))
        yield chosen.choice(("", " ", "  ")).join(parts)
    for _ in range(_PAIRS):
        yield chosen.choice(alphabet), chosen.choice(alphabet)


_PAIRS = 300
_FIXED: Sequence[str] = (
    *("", " ", "  ", "a", "A", "ab", "aB", " a", "a ", "  a", "a  b", "a\tb", "a\nb", "a\r\nb"),
    *("\u00e9", "e\u0301", "\u00c9", "\u0130", "I", "\u00df", "\u1e9e", "\u03a3\u03c3\u03c2"),
    *("\u4e2d", "\u4e2d\u6587", "a\u4e2d", "\u3042\u30a2", "\uac00", "\u1112\u1161\u11ab"),
    *("\ufb01", "\u212b", "\u2126", "\uff21\uff22", "\u00bd", "\u2460", "\u2122", "\u00b2"),
    *("\u200b", "\u200d", "\u00ad", "\ufeff", "\x00", "\x07", "\x7f", "\ufffd", "\u00a0"),
    *("\u2581", "a\u2581b", "\u0120", "#", "##a", "@@", "</w>", "_", "-", "a-b", "a'b", "don't"),
    *("1", "12", "123", "1234", "1.5", "a1", "1a", ".", "...", "!?", "(a)", '"', "a.b", "$5"),
    *("\U0001f600", "\U0001f468\u200d\U0001f469", "\u0915\u094d", "\u0e01\u0e34", "\u0645\u0631"),
    *("[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "<s>", "</s>", "<mask>", "<unk>", "<pad>"),
    *("a[MASK]b", "a <mask> b", " <mask>", "[MASK] ", "<|endoftext|>", "hello world", "Hello"),
)


def _ids_text(ids: Sequence[int]) -> str:
    return str(list(ids)) if len(ids) <= 12 else f"{str(list(ids[:12]))[:-1]}, …]"
