"""Asking: what a loaded model says of itself, compared with what was registered and with the bytes it came from.

A loader that misses weights, or a tokenizer that lost its tokens, says so in a log at most. Here it is found in a few
milliseconds: lengths, tokens and flags, adapters, modules, and the first and last numbers of parameters against the files.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.core.facts import Facts, Token, flags_of
from registry.errors import Invalid
from registry.model_files.config.defaults import similarity
from registry.model_files.tokenizer.ambiguous_tokens import equal_tokens_of
from registry.model_files.weights.safetensors import TORCH

from .converted_tensors import Conversion, conversions
from .tensor_matching import (
    ADAPTER_WEIGHTS,
    Stored,
    StoredTensors,
    is_folded,
    parameters,
    same_numbers,
    stored_tensors,
)

_SAMPLE = 12
"""Parameters whose numbers are compared; the names and shapes of all are."""
_TOKENS = 64
"""Added tokens asked for; beyond that the first and the last ones."""


def rows(model: Any) -> int | None:
    """The rows of the loaded model's token table; None where it has none."""
    table = _table(model)
    return None if table is None else int(table.shape[0])


def without_rows(model: Any, ids: Iterable[int]) -> list[str]:
    """Return the tokens among `ids` that have no row in the model's token table."""
    backend, count = _backend(model), rows(model)
    if backend is None or count is None:
        return []
    return [backend.id_to_token(id) or str(id) for id in dict.fromkeys(ids) if id >= count]


def equal_added_tokens(model: Any) -> tuple[tuple[Token, ...], ...]:
    """Return the groups of added tokens that the loaded tokenizer cannot tell apart."""
    backend = _backend(model)
    return () if backend is None else equal_tokens_of(backend)


def no_row(text: str, tokens: Sequence[str]) -> Invalid:
    """Return the error of a text with tokens that have no embedding row."""
    return Invalid(
        f"the text {text!r:.60} contains the token {tokens[0]!r}, which has no embedding row",
        hint="omit the token, or append its row to the base with registry resize",
    )


def refuse_no_row(model: Any, inputs: Iterable[Any], cause: BaseException) -> None:
    """Raise Invalid for the first text or pair with a token that has no embedding row."""
    for text_or_pair in inputs:
        pair = (text_or_pair,) if isinstance(text_or_pair, str) else tuple(text_or_pair)
        features = model.preprocess([pair if len(pair) > 1 else pair[0]])
        lacking = without_rows(model, features["input_ids"].flatten().tolist())
        if lacking:
            raise no_row(pair[-1], lacking) from cause


def ask(
    model: Any,
    facts: Facts,
    *,
    folder: Path,
    adapter: bool = False,
    kwargs: Mapping[str, Any] | None = None,
) -> list[str]:
    """What is wrong with a loaded model, a line each; an empty list where nothing is.

    facts are the version's, folder is what was loaded; an adapter's configuration there names where its parent's files lie.
    kwargs are the keywords that the user gave: a dtype asked for is no fault, and what was quantised, spread over devices or
    exported to another back end has no numbers to compare.
    """
    return [
        said
        for _, problems in questions(model, facts, folder=folder, adapter=adapter, kwargs=kwargs)
        for said in problems
    ]


def questions(
    model: Any,
    facts: Facts,
    *,
    folder: Path,
    adapter: bool = False,
    kwargs: Mapping[str, Any] | None = None,
) -> list[tuple[str, list[str]]]:
    """What a loaded model was asked, and the problems of each answer: (id of the check, a line each); see ask."""
    asked = kwargs or {}
    # walked once: for a model with an adapter this is most of the time
    named = list(model.named_modules())
    found = [
        ("loaded-tokens", list(_tokens(model, facts))),
        ("loaded-modules", list(_modules(model, facts))),
        ("loaded-adapter", list(_adapters(model, named, adapter=adapter))),
        ("loaded-rows", list(_rows(model, facts))),
        ("loaded-settings", list(_settings(model, facts, asked))),
    ]
    options, settings = asked.get("model_kwargs") or {}, asked.get("config_kwargs") or {}
    if asked.get("backend", "torch") == "torch" and not {
        "quantization_config",
        "device_map",
        "tp_plan",
    } & set(options):
        wishes = [
            place[key]
            for place in (options, settings)
            for key in ("dtype", "torch_dtype")
            if place.get(key) is not None
        ]
        found.append(
            (
                "loaded-parameters",
                list(
                    _parameters(
                        named,
                        folder,
                        _base(folder) if adapter else None,
                        wishes[0] if wishes else None,
                        _cast_modules(model),
                    )
                ),
            )
        )
    return found


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
    size, registered = backend.get_vocab_size(True), facts.vocabulary.size
    known = backend.get_added_tokens_decoder()
    if size != registered:
        extra = [token.content for id, token in sorted(known.items()) if id >= registered]
        names = f" (added while loading: {', '.join(map(repr, extra[:3]))})" if extra else ""
        yield f"the tokenizer has {size} tokens, registered were {registered}{names}"
    added = facts.vocabulary.added
    for token in (
        added if len(added) <= _TOKENS else (*added[: _TOKENS // 2], *added[-_TOKENS // 2 :])
    ):
        live = known.get(token.id)
        if live is None:
            # a token may also be part of the model's own vocabulary, where it has no flags
            if backend.token_to_id(token.content) != token.id or any(flags_of(token)):
                yield f"token {token.id} is {backend.id_to_token(token.id)!r}, registered was {token.content!r} with its flags"
        elif live.content != token.content or flags_of(live) != flags_of(token):
            yield f"token {token.id} is {live!r}, registered was {token!r}"


def _modules(model: Any, facts: Facts) -> Iterator[str]:
    expected = [
        "Router" if name == "Asym" else name for name in facts.modules
    ]  # its name before sentence-transformers 5
    live: list[str] = []
    for module in model:
        live.append(type(module).__name__)
        parts = sorted(_parts_of(module))
        expected[len(live) : len(live) + len(parts)] = sorted(
            expected[len(live) : len(live) + len(parts)]
        )  # a file may have them in any order
        live += parts
    # late-interaction models of other libraries are completed while they are loaded
    if expected and live[: len(expected)] != expected:
        yield f"the modules are {', '.join(live)}, registered were {', '.join(facts.modules)}"


def _parts_of(module: Any) -> list[str]:
    """Classes of the modules within a Router, each once, also of one that several routes lead through."""
    routes = (
        getattr(module, "sub_modules", {}).values() if type(module).__name__ == "Router" else ()
    )
    return [
        type(part).__name__
        for part in {id(part): part for route in routes for part in route}.values()
    ]


def _rows(model: Any, facts: Facts) -> Iterator[str]:
    if facts.rows is not None and (found := rows(model)) is not None and found != facts.rows:
        yield f"the token table has {found} rows, registered were {facts.rows}"


def _settings(model: Any, facts: Facts, asked: Mapping[str, Any]) -> Iterator[str]:
    """What is put in front of texts, and how encodings are compared; what the user asked for is no fault."""
    live = getattr(model, "prompts", None) or {}
    for key, text in facts.settings.items():
        name = key.removeprefix("prompt.")
        if name == key or "prompts" in asked:
            continue
        prompt = live.get(name)
        # a prefix of PyLate's is loaded as the beginning of the prompt
        has_prefix = facts.model_class == "MultiVectorEncoder" and str(prompt).endswith(text)
        if prompt != text and not has_prefix:
            yield f"the prompt {name!r} is {prompt!r}, registered was {text!r}"
    named = similarity(facts.settings.get("similarity_fn_name"), facts.model_class)
    found = getattr(model, "similarity_fn_name", named)
    if (
        named is not None
        and "similarity_fn_name" not in asked
        and str(getattr(found, "value", found)) != named
    ):
        yield f"the similarity is {found!r}, registered was {named!r}"


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
    active = _active(named)
    if len(transformer.peft_config) != 1 or list(active) != list(transformer.peft_config):
        yield f"the adapters are {', '.join(transformer.peft_config)}, active are {', '.join(active) or 'none'}; it should be one"
    for name, module in named:
        # asked of the class first: for a module, an attribute that it lacks is slow to find missing
        switch = getattr(type(module), "disable_adapters", None)
        if isinstance(switch, property) and (
            module.disable_adapters or getattr(module, "merged", False)
        ):
            yield f"the adapter is switched off or merged in {name}"
            return


def _active(named: Sequence[tuple[str, Any]]) -> Sequence[str]:
    """The adapters that act in the first layer that has any, as the library tells it; its own way reads peft's metadata each time."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return next(
        (module.active_adapters for _, module in named if isinstance(module, BaseTunerLayer)), []
    )


def _parameters(
    named: Sequence[tuple[str, Any]],
    folder: Path,
    base: Path | None,
    wish: Any,
    cast: Collection[int],
) -> Iterator[str]:
    """Yield problems: each parameter must come from a tensor of the files.

    A sample must have its numbers. `cast` are ids of tensors that the library casts.
    """
    stored = stored_tensors(folder)
    adapters = StoredTensors([tensor for tensor in stored if tensor.path.name == ADAPTER_WEIGHTS])
    own = StoredTensors([tensor for tensor in stored if tensor.path.name != ADAPTER_WEIGHTS])
    parents = StoredTensors(stored_tensors(base)) if base is not None else own
    live = parameters(named)
    step = max(1, len(live) // _SAMPLE)
    converted: dict[int, Conversion] | None = None
    for index, (name, is_adapters, tensor, is_replaced) in enumerate(live):
        files = adapters if is_adapters else own
        found = files.named(name, tensor)
        if not found and files is own and parents is not own:
            files, found = parents, parents.named(name, tensor)
        if is_replaced and not found:
            # the head that an adapter brings replaces one that a headless base lacks
            continue
        if not is_adapters and name.endswith(
            ".bias"
        ):  # an adapter may carry biases of its base, which it trained in place
            found = [*found, *adapters.exactly(name, tensor)]
        if len(found) == 1 and index % step:
            continue
        if not found and not is_adapters and not is_replaced:
            if converted is None:
                converted = conversions(named, (parents if base is not None else own).all)
            conversion = converted.get(id(tensor))
            if conversion is not None:
                if index % step == 0 and not conversion.gives(tensor):
                    yield f"parameter {name} differs from {conversion.source.path.name}"
                elif problem := _coarser(name, tensor, conversion.source, wish):
                    yield problem
                    return
                continue
        match = next(
            (item for item in found or files.shaped(tensor) if same_numbers(tensor, item)), None
        )
        if match is not None:
            if not is_adapters and id(tensor) not in cast:
                problem = _coarser(name, tensor, match, wish)
                if problem is not None:
                    yield problem
                    return
        elif is_folded(tensor, files):
            continue
        elif found:
            yield f"parameter {name} is not what lies in {found[0].path.name}"
        elif "pooler." not in name or any("pooler." in item.name for item in files.all):
            # some classes have a pooler that nothing reads, and make one up
            yield f"parameter {name} comes from no file: it was made up while loading"


def _cast_modules(model: Any) -> set[int]:
    """Return the ids of parameters that loading casts to the dtype of the first module.

    Source: sentence_transformers 6.2, base/model.py, BaseModel.__init__.
    """
    first, *following = model.children()
    reference = next(first.parameters(), None)
    return {
        id(parameter)
        for module in following
        for parameter in module.parameters()
        if reference is not None and parameter.dtype == reference.dtype
    }


def _coarser(name: str, tensor: Any, stored: Stored, wish: Any) -> str | None:
    """A problem where a parameter has fewer bits than its file and neither the user nor the configuration asked for that."""
    import torch

    if stored.dtype not in TORCH or wish not in (None, "auto"):
        return None
    if torch.finfo(tensor.dtype).bits >= torch.finfo(getattr(torch, TORCH[stored.dtype])).bits:
        return None
    path = stored.path.parent / "config.json"
    config = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    live = str(tensor.dtype).removeprefix("torch.")
    if live in (config.get("dtype"), config.get("torch_dtype")):
        return None
    return f"parameter {name} is {live} in memory and {stored.dtype} in {stored.path.name}, and nobody asked for that"


def input_embeddings(module: Any) -> Any:
    """Return the token embeddings of a transformers model, or None if it has none.

    CANINE, for example, hashes characters and does not implement the function.
    """
    try:
        return module.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None


def _table(model: Any) -> Any:
    for module in model.modules():
        if type(module).__name__ == "StaticEmbedding":
            return module.embedding.weight
        if type(module).__name__ == "SparseStaticEmbedding":
            return module.weight
        if (embeddings := input_embeddings(module)) is not None:
            return getattr(embeddings, "weight", None)
    return None


def _backend(model: Any) -> Any:
    """The fast tokenizer under a model, or None."""
    tokenizer = getattr(model[0], "tokenizer", None)
    if hasattr(tokenizer, "get_added_tokens_decoder"):
        return tokenizer
    return getattr(tokenizer, "backend_tokenizer", None)
