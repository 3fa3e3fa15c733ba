"""Asking: what a loaded model says of itself, compared with what was registered and with the bytes it came from.

A loader that misses weights, or a tokenizer that lost its tokens, says so in a log at most. Here it is found in a few
milliseconds: lengths, tokens and flags, adapters, modules, and the first and last numbers of parameters against the files.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..facts import Facts, Token

_SAMPLE = 12
"""Parameters whose numbers are compared; the names and shapes of all are."""
_NUMBERS = 32
"""Numbers compared at either end of a parameter."""
_TOKENS = 64
"""Added tokens asked for; beyond that the first and the last ones."""
_WRAPPERS = frozenset({"base_layer", "original_module", "token_adapter"})
_ADAPTERS_OWN = ("lora_", "ia3_", "trainable_tokens_delta", "oft_", "vera_", "hada_", "boft_")
_TORCH = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class _Stored:
    """A tensor as it lies in a weights file."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def rows(model: Any) -> int | None:
    """The rows of the loaded model's token table; None where it has none."""
    table = _table(model)
    return None if table is None else int(table.shape[0])


def ask(model: Any, facts: Facts, *, folder: Path, adapter: bool = False,
        kwargs: Mapping[str, Any] | None = None) -> list[str]:
    """What is wrong with a loaded model, a line each; an empty list where nothing is.

    facts are the version's, folder is what was loaded; an adapter's configuration there names where its parent's files lie.
    kwargs are the keywords that the user gave: a dtype asked for is no fault, and what was quantised, spread over devices or
    exported to another back end has no numbers to compare.
    """
    asked = kwargs or {}
    # walked once: for a model with an adapter this is most of the time
    named = list(model.named_modules())
    problems = [*_tokens(model, facts), *_modules(model, facts), *_adapters(model, named, adapter=adapter)]
    if facts.rows is not None and (found := rows(model)) is not None and found != facts.rows:
        problems.append(f"the token table has {found} rows, registered were {facts.rows}")
    options, settings = asked.get("model_kwargs") or {}, asked.get("config_kwargs") or {}
    if asked.get("backend", "torch") == "torch" and not {"quantization_config", "device_map", "tp_plan"} & set(options):
        wishes = [place[key] for place in (options, settings) for key in ("dtype", "torch_dtype") if place.get(key) is not None]
        problems += _parameters(named, folder, _base(folder) if adapter else None, wishes[0] if wishes else None)
    return problems


def _base(folder: Path) -> Path | None:
    """Where the parent of the adapter in a checkout lies."""
    config = folder / "adapter_config.json"
    if not config.is_file():
        return None
    named = json.loads(config.read_text("utf-8")).get("base_model_name_or_path")
    return folder / named if named else None


def _tokens(model: Any, facts: Facts) -> Iterator[str]:
    backend = _backend(model)
    if backend is None:
        return
    size = backend.get_vocab_size(True)
    if size != facts.vocabulary.size:
        yield f"the tokenizer has {size} tokens, registered were {facts.vocabulary.size}"
    added = facts.vocabulary.added
    known = backend.get_added_tokens_decoder()
    for token in added if len(added) <= _TOKENS else (*added[:_TOKENS // 2], *added[-_TOKENS // 2:]):
        live = known.get(token.id)
        if live is None:
            # a token may also be part of the model's own vocabulary, where it has no flags
            if backend.token_to_id(token.content) != token.id or any(_flags(token)):
                yield f"token {token.id} is {backend.id_to_token(token.id)!r}, registered was {token.content!r} with its flags"
        elif live.content != token.content or _flags(live) != _flags(token):
            yield f"token {token.id} is {live!r}, registered was {token!r}"


def _flags(token: Any | Token) -> tuple[bool, ...]:
    return (token.special, token.lstrip, token.rstrip, token.single_word, token.normalized)


def _modules(model: Any, facts: Facts) -> Iterator[str]:
    live = tuple(type(module).__name__ for module in model)
    expected = tuple("Router" if name == "Asym" else name for name in facts.modules)  # its name before sentence-transformers 5
    # late-interaction models of other libraries are completed while they are loaded
    if expected and live[:len(expected)] != expected:
        yield f"the modules are {', '.join(live)}, registered were {', '.join(facts.modules)}"


def _adapters(model: Any, named: Sequence[tuple[str, Any]], *, adapter: bool) -> Iterator[str]:
    transformer = model.transformers_model
    loaded = bool(getattr(transformer, "_hf_peft_config_loaded", False))
    if not adapter:
        if loaded:
            yield f"adapters are loaded ({', '.join(transformer.peft_config)}), registered was a model without"
        return
    if not loaded:
        yield "no adapter is loaded"
        return
    active = transformer.active_adapters()
    if len(transformer.peft_config) != 1 or list(active) != list(transformer.peft_config):
        yield f"the adapters are {', '.join(transformer.peft_config)}, active are {', '.join(active) or 'none'}; it should be one"
    for name, module in named:
        # asked of the class first: for a module, an attribute that it lacks is slow to find missing
        switch = getattr(type(module), "disable_adapters", None)
        if isinstance(switch, property) and (module.disable_adapters or getattr(module, "merged", False)):
            yield f"the adapter is switched off or merged in {name}"
            return


def _parameters(named: Sequence[tuple[str, Any]], folder: Path, base: Path | None, wish: Any) -> Iterator[str]:
    """Problems of the parameters: each must come from a tensor of the files, and a sample must have its numbers."""
    stored = _stored(folder)
    adapters = _Files([tensor for tensor in stored if tensor.path.name == "adapter_model.safetensors"])
    own = _Files([tensor for tensor in stored if tensor.path.name != "adapter_model.safetensors"])
    parents = _Files(_stored(base)) if base is not None else own
    tensors: dict[int, tuple[str, Any]] = {}
    for place, module in named:
        for name, tensor in module._parameters.items():
            if tensor is not None and tensor.device.type != "meta":
                tensors.setdefault(id(tensor), (f"{place}.{name}", tensor))
    live = [(*_plain(name), tensor, ".original_module." in name) for name, tensor in tensors.values()]
    step = max(1, len(live) // _SAMPLE)
    for index, (name, is_adapters, tensor, is_replaced) in enumerate(live):
        files = adapters if is_adapters else own
        found = files.named(name, tensor)
        if not found and files is own and parents is not own:
            files, found = parents, parents.named(name, tensor)
        if not is_adapters and name.endswith(".bias"):  # an adapter may carry biases of its base, which it trained in place
            found = [*found, *adapters.exactly(name, tensor)]
        if len(found) == 1 and index % step:
            continue
        match = next((item for item in found or files.shaped(tensor) if _same(tensor, item)), None)
        if match is not None:
            if not is_adapters and (problem := _coarser(name, tensor, match, wish)):
                yield problem
                return
        elif found:
            yield f"parameter {name} is not what lies in {found[0].path.name}"
        elif not is_replaced and ("pooler." not in name or any("pooler." in item.name for item in files.all)):
            # some classes have a pooler that nothing reads, and make one up; an encoder has no head for the adapter's to replace
            yield f"parameter {name} comes from no file: it was made up while loading"


def _coarser(name: str, tensor: Any, stored: _Stored, wish: Any) -> str | None:
    """A problem where a parameter has fewer bits than its file and neither the user nor the configuration asked for that."""
    import torch
    if stored.dtype not in _TORCH or wish not in (None, "auto"):
        return None
    if torch.finfo(tensor.dtype).bits >= torch.finfo(getattr(torch, _TORCH[stored.dtype])).bits:
        return None
    path = stored.path.parent / "config.json"
    config = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    live = str(tensor.dtype).removeprefix("torch.")
    if live in (config.get("dtype"), config.get("torch_dtype")):
        return None
    return f"parameter {name} is {live} in memory and {stored.dtype} in {stored.path.name}, and nobody asked for that"


class _Files:
    """The stored tensors by name, by the end of their names, and by shape."""

    def __init__(self, stored: Sequence[_Stored]) -> None:
        self.all = stored
        self._by_name: dict[str, list[_Stored]] = {}
        self._by_end: dict[str, list[tuple[str, _Stored]]] = {}
        for tensor in stored:
            name = modern_name(tensor.name)
            self._by_name.setdefault(name, []).append(tensor)
            self._by_end.setdefault(_end(name), []).append((name, tensor))

    def named(self, name: str, tensor: Any) -> list[_Stored]:
        """Those of this name and shape; a prefix such as `bert.` on either side is no difference."""
        shape = tuple(tensor.shape)
        return self.exactly(name, tensor) or [stored for full, stored in self._by_end.get(_end(name), ())
                         if stored.shape == shape and (full.endswith("." + name) or name.endswith("." + full))]

    def exactly(self, name: str, tensor: Any) -> list[_Stored]:
        """Those of this very name and shape."""
        return [stored for stored in self._by_name.get(name, ()) if stored.shape == tuple(tensor.shape)]

    def shaped(self, tensor: Any) -> list[_Stored]:
        """Those of this shape, whatever their name."""
        return [stored for stored in self.all if stored.shape == tuple(tensor.shape)]


def modern_name(name: str) -> str:
    """A stored name as today's libraries have it in memory, prefixes apart."""
    if name.endswith(".gamma"):
        return name[:-5] + "weight"
    if name.endswith(".beta"):
        return name[:-4] + "bias"
    return name.removeprefix("base_model.model.").replace(".token_adapter.", ".").replace(".base_layer.", ".")


def _plain(name: str) -> tuple[str, bool]:
    """(the name without what the libraries put around it, whether it is the adapter's own)."""
    kept: list[str] = []
    own = skip = False
    for part in name.split("."):
        if skip:
            skip = False  # the adapter's name
        elif part == "modules_to_save":
            own = skip = True
        elif part.startswith(_ADAPTERS_OWN):
            own = skip = True
            kept.append(part)
        elif part not in _WRAPPERS:
            kept.append(part)
    # the place in the list of modules, and the attribute that holds the transformer
    first = 1 if kept[0].isdigit() else 0
    if len(kept) > first + 1 and kept[first] in ("model", "auto_model"):
        first += 1
    return ".".join(kept[first:]), own


def _end(name: str) -> str:
    return ".".join(name.split(".")[-2:])


def _same(tensor: Any, stored: _Stored) -> bool:
    """Whether both ends of a parameter have the stored numbers, cast as the loader casts."""
    import torch
    dtype = getattr(torch, _TORCH.get(stored.dtype, ""), None)
    if dtype is None or not tensor.is_floating_point():
        return True
    flat = tensor.detach().reshape(-1) if tensor.is_contiguous() else tensor.detach().flatten()
    count = min(_NUMBERS, flat.numel())
    width = torch.empty((), dtype=dtype).element_size()
    with stored.path.open("rb") as stream:
        stream.seek(stored.begin)
        head = stream.read(count * width)
        stream.seek(stored.end - count * width)
        tail = stream.read(count * width)
    for content, live in ((head, flat[:count]), (tail, flat[flat.numel() - count:])):
        expected = torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.empty(0, dtype=dtype)
        if not torch.equal(expected.to(live.dtype), live.cpu()):
            return False
    return True


def _stored(folder: Path) -> list[_Stored]:
    """All tensors of a checkout's weights files; its .registry folder holds other versions."""
    found: list[_Stored] = []
    paths = [path for pattern in ("*.safetensors", "*/*.safetensors", "*/*/*.safetensors") for path in folder.glob(pattern)
             if not path.relative_to(folder).as_posix().startswith(".registry/")]
    for path in sorted(paths):
        with path.open("rb") as stream:
            length = struct.unpack("<Q", stream.read(8))[0]
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        found += [_Stored(path, name, entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0],
                          8 + length + entry["data_offsets"][1]) for name, entry in header.items()]
    return found


def _table(model: Any) -> Any:
    for module in model.modules():
        if type(module).__name__ == "StaticEmbedding":
            return module.embedding.weight
        if type(module).__name__ == "SparseStaticEmbedding":
            return module.weight
        if hasattr(module, "get_input_embeddings") and (embeddings := module.get_input_embeddings()) is not None:
            return getattr(embeddings, "weight", None)
    return None


def _backend(model: Any) -> Any:
    """The fast tokenizer under a model, or None."""
    tokenizer = getattr(model[0], "tokenizer", None)
    if hasattr(tokenizer, "get_added_tokens_decoder"):
        return tokenizer
    return getattr(tokenizer, "backend_tokenizer", None)
