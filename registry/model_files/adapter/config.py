"""Adapters: what adapter_config.json says, and its form in the registry and in a checkout.

In the registry the configuration is canonical JSON: the base is the parent's manifest digest, `revision` is null, what the
library keeps as sets is sorted; real numbers stay numbers. In a checkout it names the place where the base lies, because the
loaders know nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.core.digest import Digest, real
from registry.core.facts import Adapter, Files
from registry.errors import NotLoadable
from registry.model_files.config.parse import parse, read_object
from registry.model_files.config.types import ADAPTER, ADAPTER_OF, refuse_misfits

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PARTS = (
    "lora_",
    "ia3_",
    "trainable_tokens_",
    "ada_",
    "adamss_",
    "beft_",
    "boft_",
    "bone_",
    "c3a_",
    "deft_",
    "delora_",
    "fourierft_",
    "glora_",
    "gralora_",
    "hada_",
    "hira_",
    "hra_",
    "lily_",
    "ln_tuning_",
    "lokr_",
    "miss_",
    "oft_",
    "osf_",
    "peanut_",
    "psoft_",
    "randlora_",
    "road_",
    "shira_",
    "supertuning_",
    "waveft_",
)
"""How the names of an adapter's own parts begin, of every kind that loaders put into a model. Source: peft 0.21, PEFT_TYPE_TO_PREFIX_MAPPING."""
OWN_TENSOR = re.compile(rf"\.(?:{'|'.join(PARTS)}|modules_to_save\.)")
"""In the name of a tensor that is an adapter's and not its base's."""
WRAPPERS = re.compile(r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""Names that torch.compile, FSDP and activation checkpointing insert, at any depth."""
LEARN_A_PROMPT = (
    "PROMPT_TUNING",
    "MULTITASK_PROMPT_TUNING",
    "P_TUNING",
    "PREFIX_TUNING",
    "CPT",
    "ADAPTION_PROMPT",
    "CARTRIDGE",
)
SHARE_TENSORS = (
    "VERA",
    "PVERA",
    "XLORA",
    "FROD",
    "POLY",
    "SHADOW",
    "TINYLORA",
    "UNILORA",
    "VBLORA",
)
"""Kinds whose tensors lie outside of the modules that they change, or that need more than texts. Source: peft 0.21, inject_adapter_in_model."""
KINDS = (
    "LORA",
    "IA3",
    "TRAINABLE_TOKENS",
    "ADALORA",
    "ADAMSS",
    "ADAPTION_PROMPT",
    "BEFT",
    "BOFT",
    "C3A",
    "CARTRIDGE",
    "CPT",
    "DEFT",
    "DELORA",
    "FOURIERFT",
    "FROD",
    "GLORA",
    "GRALORA",
    "HIRA",
    "HRA",
    "LILY",
    "LN_TUNING",
    "LOHA",
    "LOKR",
    "MISS",
    "MULTITASK_PROMPT_TUNING",
    "OFT",
    "OSF",
    "PEANUT",
    "POLY",
    "PREFIX_TUNING",
    "PROMPT_TUNING",
    "PSOFT",
    "PVERA",
    "P_TUNING",
    "RANDLORA",
    "ROAD",
    "SHADOW",
    "SHIRA",
    "SUPERTUNING",
    "TINYLORA",
    "UNILORA",
    "VBLORA",
    "VERA",
    "WAVEFT",
    "XLORA",
)
"""Every kind there is. Source: peft 0.21, utils/peft_types.py, PeftType."""
ENTRIES_LIMIT = 25_000
"""Entries of a list or an object of the configuration, as many as tensors."""
TOKENS_LIMIT = 1_000_000
"""Ids of trained tokens; the largest vocabularies have 262,000."""
PATTERN_LIMIT = 100_000
"""Characters of a text, such as a pattern of module names."""
_TOKEN_IDS = ("token_indices", "trainable_token_indices")
_PLACE = ("base_model_name_or_path", "revision")
_SETS = ("target_modules", "exclude_modules")

LEAVES_THE_BASE = (True, False, None, "gaussian", "eva", "orthogonal")
"""Ways to begin an adapter after which its base is what it was; a new one counts as one that changes it until somebody looked.
Source: peft 0.21, tuners/lora/layer.py, update_layer."""


@dataclass(frozen=True)
class AdapterConfig:
    """An adapter_config.json. base and revision are as written there: a path, a Hub id, or in the registry a digest."""

    type: str
    base: str | None
    revision: str | None
    rank: int | None
    alpha: int | float | None
    targets: tuple[str, ...] | str
    """Names that modules end with; a text is a regular expression, or `all-linear`."""
    modules_to_save: tuple[str, ...]
    trainable_tokens: Mapping[str, tuple[int, ...]]
    """Module to token ids; the module is "" where the configuration leaves it to the library, the input embeddings."""
    dora: bool
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The whole object."""

    def says(self, name: str) -> bool:
        """Whether a setting that may be absent is there; an empty object is one that the library fills with its defaults."""
        return self.fields.get(name) not in (None, False, [], "")

    @property
    def facts(self) -> Adapter:
        """What of it belongs into the facts of a version."""
        targets = (self.targets,) if isinstance(self.targets, str) else self.targets
        ids = sorted({index for indices in self.trainable_tokens.values() for index in indices})
        return Adapter(
            self.type,
            self.rank,
            None if self.alpha is None else real(self.alpha),
            tuple(sorted(targets)),
            self.modules_to_save,
            tuple(ids),
            self.dora,
        )


def read_config(files: Files, folder: str = "") -> AdapterConfig:
    """The configuration of the adapter in a folder of a model. Raises NotLoadable if it is not one."""
    path = f"{folder}/{CONFIG}" if folder else CONFIG
    if path not in files.paths():
        raise NotLoadable(f"there is no adapter: {path} is missing")
    return config_of(read_object(files, path), path)


def config_of(value: Mapping[str, Any], path: str = CONFIG) -> AdapterConfig:
    """The same from its value. Raises NotLoadable naming the field that has the wrong form."""
    kind = value.get("peft_type")
    if not isinstance(kind, str):
        raise NotLoadable(f"{path} has no peft_type, so no loader knows what kind of adapter it is")
    _refuse_long(value, path)
    refuse_misfits(value, {**ADAPTER, **ADAPTER_OF.get(kind, {})}, path)
    tokens = (
        value.get("token_indices")
        if kind == "TRAINABLE_TOKENS"
        else value.get("trainable_token_indices")
    )
    targets = value.get("target_modules")
    return AdapterConfig(
        kind,
        value.get("base_model_name_or_path"),
        value.get("revision"),
        value.get("r"),
        value.get("lora_alpha"),
        targets if isinstance(targets, str) else tuple(targets or ()),
        tuple(value.get("modules_to_save") or ()),
        _groups(tokens),
        value.get("use_dora") is True,
        value,
    )


def _refuse_long(settings: Mapping[str, Any], path: str) -> None:
    """Raise NotLoadable for a list or an object longer than any adapter needs."""
    for name, entries in settings.items():
        if isinstance(entries, str):
            limit, unit = PATTERN_LIMIT, "characters"
        elif isinstance(entries, (list, dict)):
            limit, unit = TOKENS_LIMIT if name in _TOKEN_IDS else ENTRIES_LIMIT, "entries"
        else:
            continue
        if len(entries) > limit:
            raise NotLoadable(f"{path} has {name} of {len(entries)} {unit} (at most {limit})")


def is_part(name: str) -> bool:
    """Whether a tensor of this name is a part of an adapter, and not one of the base's that it trained whole."""
    return any(f".{part}" in name for part in PARTS)


def module_of(name: str) -> str:
    """The module that a tensor of an adapter is for, by the name that it has there."""
    own = OWN_TENSOR.search(name)
    module = (
        name[: own.start()].removesuffix(".token_adapter")
        if own is not None
        else name.rpartition(".")[0]
    )
    return module.removesuffix(".base_layer")


def location_free_config(content: bytes, parent: Digest | None) -> bytes:
    """The canonical bytes, the base named by the parent's manifest; without a parent it is null. Raises NotLoadable."""
    value = _object(content)
    value["base_model_name_or_path"] = parent
    if "revision" in value:
        value["revision"] = None
    refuse_misfits(value, {name: ADAPTER[name] for name in _SETS}, CONFIG)
    for name in _SETS:
        if isinstance(value.get(name), list):
            value[name] = sorted(set(value[name]))
    try:
        return json.dumps(
            value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
        ).encode("utf-8")
    except ValueError as error:
        field = next(
            (f"the {name} {item!r:.80}" for name, item in value.items() if not _has_a_form(item)),
            error,
        )
        raise NotLoadable(
            f"{CONFIG} has no canonical form: {field} is not a number in JSON",
            hint="replace it with the intended number",
        ) from None


def _has_a_form(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def location_of(content: bytes) -> dict[str, Any]:
    """Where the configuration says that its base lies: base_model_name_or_path and revision, as far as it has them."""
    value = _object(content)
    return {name: value[name] for name in _PLACE if value.get(name) is not None}


def render_config(content: bytes, base_path: str, revision: str | None = None) -> bytes:
    """The configuration for where its base is called base_path: a folder in a checkout, a repository and its commit in a push."""
    value = _object(content)
    value["base_model_name_or_path"] = base_path
    if revision is not None or "revision" in value:
        value["revision"] = revision
    return json.dumps(value, indent=2, sort_keys=True).encode("ascii")


def _object(content: bytes) -> dict[str, Any]:
    value = parse(content, CONFIG)
    if not isinstance(value, dict):
        raise NotLoadable(f"{CONFIG} is no JSON object")
    return value


def _groups(value: Any) -> dict[str, tuple[int, ...]]:
    groups: Mapping[str, Sequence[int]] = (
        value if isinstance(value, dict) else {} if value is None else {"": value}
    )
    return {name: tuple(ids) for name, ids in groups.items()}
