"""Structure: whether an adapter's tensors are those that its configuration means on its parent, from headers alone.

Structure can exclude a parent, never choose one: it says nothing about the values of the parent's weights. Kinds of adapters
other than LoRA, AdaLoRA, IA3 and trainable tokens are compared by their modules only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .config import PARTS, AdapterConfig
from .targets import ends, has_token_rows, is_targeted, live_names, rank_of

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""Name of a tensor to its shape."""

_PREFIX = "base_model.model."
_PART = re.compile(
    r"(.+?)\.(lora_A\.weight|lora_B\.weight|lora_B\.bias|lora_embedding_A|lora_embedding_B|"
    r"lora_magnitude_vector(?:\.weight)?|ia3_l|(?:token_adapter\.)?trainable_tokens_delta)"
)
_OTHER_KINDS = re.compile(rf"(.+?)\.(?:{'|'.join(PARTS)})")
_VARIANTS = ("target_parameters", "use_bdlora", "kasa_config", "monteclora_config", "velora_config")
"""Fields of a LoRA that give its tensors other names or shapes; such a one is compared by its modules only, and by the loaded model."""
_RANK_AXIS = {
    "lora_A.weight": 0,
    "lora_B.weight": 1,
    "lora_embedding_A": 0,
    "lora_embedding_B": 1,
    "lora_A": 0,
    "lora_B": 1,
    "lora_E": 0,
}
_INIT_R = 12
"""Of an AdaLoRA whose configuration says none."""


@dataclass(frozen=True)
class Fault:
    """Something that does not fit. kind is table, module, shape, rank, missing or over."""

    kind: str
    name: str
    """Of the tensor in the adapter's file, or of the module."""
    found: object = None
    wanted: object = None


def faults(
    config: AdapterConfig, own: Shapes, parent: Shapes, table: str | None, prefix: str | None = None
) -> list[Fault]:
    """What does not fit between an adapter's tensors and its parent's, by name; none for an adapter that fits.

    Names are as in the files of adapter and transformer; table is the parent's tensor of token rows, prefix its base_prefix. The regular
    expressions of the configuration must have passed check_patterns.
    """
    adapter = _Adapter(config, own)
    base = _Base.seen_by(adapter, parent, table, prefix)
    expected = dict(_expected(adapter, base))
    found = [
        fault
        for key in sorted(adapter.shapes)
        if (fault := _fault(adapter, base, key, expected)) is not None
    ]
    missing = (
        []
        if _is_variant(config)
        else [
            Fault("missing", _PREFIX + key)
            for key in sorted(expected.keys() - adapter.shapes.keys())
        ]
    )
    return found + missing


class _Adapter:
    """An adapter's tensors by their names without the wrapper's prefix: shapes, and (module, part) of each."""

    def __init__(self, config: AdapterConfig, own: Shapes) -> None:
        self.config = config
        self.shapes = {name.removeprefix(_PREFIX): shape for name, shape in own.items()}
        self.parts = {key: _part(key) for key in self.shapes}
        self.stored = {name.removeprefix(_PREFIX): name for name in own}


@dataclass(frozen=True)
class _Base:
    """The parent's modules by the names that the adapter's class gives them: parameter to shape; and its token table."""

    modules: Mapping[str, Mapping[str, Shape]]
    table: str | None
    rows: Shape | None

    @classmethod
    def seen_by(
        cls, adapter: _Adapter, parent: Shapes, table: str | None, prefix: str | None
    ) -> _Base:
        stored: dict[str, dict[str, Shape]] = {}
        for name, shape in parent.items():
            module, _, parameter = name.rpartition(".")
            stored.setdefault(module, {})[parameter] = shape
        live = live_names((module for module, _ in adapter.parts.values()), stored, prefix)
        named = next(
            (
                name
                for name, own in live.items()
                if table is not None and own == table.rpartition(".")[0]
            ),
            None,
        )
        return cls(
            {name: stored[own] for name, own in live.items()},
            named,
            parent.get(table) if table is not None else None,
        )


def ends_with(module: str, name: str) -> bool:
    """Whether modules_to_save means a module, by the library's rule, or one within it."""
    return module.endswith(name) or f".{name}." in f".{module}."


def _part(key: str) -> tuple[str, str]:
    """(module, part): what kind of tensor of which module."""
    found = _PART.fullmatch(key) or _OTHER_KINDS.match(key)
    if found is not None:
        return found[1].removesuffix(".base_layer"), key[len(found[1]) + 1 :]
    module, _, parameter = key.rpartition(".")
    return module.removesuffix(".base_layer"), parameter


def _expected(adapter: _Adapter, base: _Base) -> Iterator[tuple[str, Shape]]:
    """(name, shape) of the tensors that a loader would otherwise make up."""
    config, alike = adapter.config, {_unnumbered(module) for module, _ in adapter.parts.values()}
    for module, parameters in base.modules.items():
        weight = parameters.get("weight", ())
        if any(ends_with(module, name) for name in config.modules_to_save):
            yield from ((f"{module}.{parameter}", shape) for parameter, shape in parameters.items())
        elif (
            len(weight) < 2
            or config.type not in _MADE
            or config.says("use_bdlora")
            or not is_targeted(config, module)
        ):
            continue
        elif (
            isinstance(config.targets, tuple)
            or config.targets.lower() != "all-linear"
            or _unnumbered(module) in alike
        ):
            yield from _MADE[config.type](adapter, module, weight)
            if "bias" in parameters and config.fields.get("bias") in ("all", "lora_only"):
                wrapped = f"{module}.base_layer.bias"
                yield wrapped if wrapped in adapter.shapes else f"{module}.bias", parameters["bias"]
    for name, ids in config.trainable_tokens.items():
        yield from _trained_tokens(adapter, base, name, len(ids))


def _lora(adapter: _Adapter, module: str, weight: Shape) -> Iterator[tuple[str, Shape]]:
    fields, rank = adapter.config.fields, rank_of(adapter.config, module) or 0
    if f"{module}.lora_embedding_A" in adapter.shapes:
        yield f"{module}.lora_embedding_A", (rank, weight[0])
        yield f"{module}.lora_embedding_B", (weight[1], rank)
        output = weight[1]
    else:
        output, width = (
            (weight[1], weight[0]) if fields.get("fan_in_fan_out") else (weight[0], weight[1])
        )
        groups = _conv_groups(adapter.shapes.get(f"{module}.lora_A.weight", ()), weight, rank)
        yield f"{module}.lora_A.weight", (rank, width * groups, *weight[2:])
        yield f"{module}.lora_B.weight", (output, rank // groups, *(1 for _ in weight[2:]))
    if adapter.config.dora:
        bare = f"{module}.lora_magnitude_vector"
        shape = (output,) if len(weight) == 2 else (1, output, *(1 for _ in weight[2:]))
        yield bare if bare in adapter.shapes else f"{bare}.weight", shape
    if fields.get("lora_bias"):
        yield f"{module}.lora_B.bias", (output,)


def _conv_groups(first: Shape, weight: Shape, rank: int) -> int:
    """Return the groups of a convolution, as the shape of its lora_A implies them.

    The weight of a convolution has (out, in / groups, kernel); its lora_A has no groups
    and reads all inputs, its lora_B has the groups (peft, `lora/layer.py`, `_ConvNd`).
    The files do not store the number of groups, so a number that cannot be one is 1.
    """
    if len(weight) < 3 or len(first) != len(weight) or not weight[1]:
        return 1
    groups, remainder = divmod(first[1], weight[1])
    is_possible = groups > 1 and not remainder and not weight[0] % groups and not rank % groups
    return groups if is_possible else 1


def _ia3(adapter: _Adapter, module: str, weight: Shape) -> Iterator[tuple[str, Shape]]:
    fields = adapter.config.fields
    output, width = (
        (weight[1], weight[0]) if fields.get("fan_in_fan_out") else (weight[0], weight[1])
    )
    forward = ends(module, fields.get("feedforward_modules") or ())
    yield f"{module}.ia3_l", (1, width) if forward else (output, 1)


def _adalora(adapter: _Adapter, module: str, weight: Shape) -> Iterator[tuple[str, Shape]]:
    """Loaders make room for all of init_r and never read rank_pattern, by which peft itself may have cut the parts that it saved."""
    fields = adapter.config.fields
    output, width = (
        (weight[1], weight[0]) if fields.get("fan_in_fan_out") else (weight[0], weight[1])
    )
    rank = fields.get("init_r", _INIT_R)
    yield from (
        (f"{module}.lora_A", (rank, width)),
        (f"{module}.lora_B", (output, rank)),
        (f"{module}.lora_E", (rank, 1)),
    )


_MADE = {"LORA": _lora, "ADALORA": _adalora, "IA3": _ia3}
"""Kinds whose tensors are known one by one."""


def _trained_tokens(
    adapter: _Adapter, base: _Base, name: str, count: int
) -> Iterator[tuple[str, Shape]]:
    """The rows of one group of trainable tokens; without a name, or where tables are tied, they lie at the token table."""
    part = (
        "trainable_tokens_delta"
        if adapter.config.type == "TRAINABLE_TOKENS"
        else "token_adapter.trainable_tokens_delta"
    )
    named = [module for module in base.modules if name and has_token_rows(module, name)] or (
        [base.table] if base.table else []
    )
    stored = [
        module
        for module, own in adapter.parts.values()
        if own == part and (module in named or not name)
    ]
    for module in stored or named[:1]:
        width = base.modules.get(module, {}).get("weight", base.rows or (0, 0))[1]
        yield f"{module}.{part}", (count, width)


def _fault(adapter: _Adapter, base: _Base, key: str, expected: Shapes) -> Fault | None:
    module, part = adapter.parts[key]
    shape, name = adapter.shapes[key], adapter.stored[key]
    known = base.modules.get(module)
    if _is_table(base, module, part, shape) and shape != base.rows:
        return Fault("table", name, shape[0], base.rows[0] if base.rows else None)
    if known is None:
        return None if _may_be_new(adapter, base, module, part, shape) else Fault("module", module)
    if key in expected:
        return _misfit(name, part, shape, expected[key])
    if (
        part in known
    ):  # a tensor of the parent's own: a token table, or a bias trained along with the rest
        if known[part] != shape:
            return Fault("shape", name, shape, known[part])
        trained = part == "bias" and adapter.config.fields.get("bias") not in (None, "none")
        return None if trained or _is_table(base, module, part, shape) else Fault("over", name)
    other_kind = adapter.config.type not in (*_MADE, "TRAINABLE_TOKENS") or _is_variant(
        adapter.config
    )
    meant = not adapter.config.targets or is_targeted(adapter.config, module)
    return None if other_kind and meant else Fault("over", name)


def _is_variant(config: AdapterConfig) -> bool:
    return any(config.says(name) for name in _VARIANTS)


def _misfit(name: str, part: str, shape: Shape, wanted: Shape) -> Fault | None:
    if shape == wanted:
        return None
    axis = _RANK_AXIS.get(part)
    if (
        axis is not None
        and len(shape) == len(wanted)
        and shape[:axis] + shape[axis + 1 :] == wanted[:axis] + wanted[axis + 1 :]
    ):
        return Fault("rank", name, shape[axis], wanted[axis])
    return Fault("shape", name, shape, wanted)


def _is_table(base: _Base, module: str, part: str, shape: Shape) -> bool:
    """A whole table with a row for each token: the input embeddings, or an output that is tied to them."""
    if part != "weight" or base.rows is None or len(shape) != 2 or shape[1] != base.rows[1]:
        return False
    return (
        module == base.table
        or base.modules.get(module, {}).get("weight") == base.rows
        or (module not in base.modules and _is_output(module))
    )


def _may_be_new(adapter: _Adapter, base: _Base, module: str, part: str, shape: Shape) -> bool:
    """A module that the parent's file need not have: a head saved with the adapter, or an output tied to the token table."""
    if any(ends_with(module, name) for name in adapter.config.modules_to_save) or _is_table(
        base, module, part, shape
    ):
        return True
    if base.rows is None or not _is_output(module):
        return False
    wanted = {"lora_A.weight": (1, base.rows[1]), "lora_B.weight": (0, base.rows[0])}
    axis, length = wanted.get(part, (0, -1))
    return (len(shape) == 2 and shape[axis] == length) or (
        part == "bias" and shape == base.rows[:1]
    )


def _is_output(module: str) -> bool:
    """Whether a module is by its name the output over the tokens, which a file leaves out where it is tied to the input."""
    return (
        module.rpartition(".")[2] in ("decoder", "lm_head", "embed_out")
        and _unnumbered(module) == module
    )


def _unnumbered(module: str) -> str:
    return re.sub(r"\d+", "#", module)
