"""Random weights and the files around them, in the layout of published repositories."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.zoo.tokenizer_files import Json, write_json

ENCODER = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
"""Sizes of an encoder under the names that most configurations use."""
DECODER = {**ENCODER, "num_key_value_heads": 2, "head_dim": 8}
WIDTH = 32


def model_of(class_name: str, config_name: str, *, std: float = 0.2, **settings: Any) -> Any:
    """Return a transformers model with random weights, the same at each call."""
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, class_name)(getattr(transformers, config_name)(**settings))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_norm = "norm" in name.lower() and name.endswith("weight")
            parameter.normal_(mean=1.0 if is_norm else 0.0, std=std)
    return model.eval()


def write_model(
    folder: Path,
    model: Any,
    *,
    files: str = "S",
    dtype: str = "float32",
    positions: str | None = None,
    rename: Callable[[str], str | None] = str,
    shards: int = 1,
    config: Mapping[str, Any] | None = None,
    without: Sequence[str] = (),
    other_backends: bool = False,
) -> None:
    """Write config.json and the weights of a model as an older library did.

    `files` holds S for safetensors and B for a pickle. `rename` returns the published
    name of a tensor, or None for one that the repository does not store. `positions` is
    the name of a stored position_ids buffer. `config` is added to config.json and
    `without` names what it did not contain.
    """
    import torch
    from safetensors.torch import load_file, save_file

    model = model.to(getattr(torch, dtype))
    staging = folder / "staging"
    model.save_pretrained(staging)
    stored = load_file(staging / "model.safetensors")
    settings = json.loads((staging / "config.json").read_text("utf-8"))
    shutil.rmtree(staging)
    tensors = {
        published: tensor
        for name, tensor in stored.items()
        if (published := rename(name)) is not None
    }
    if positions:
        length = settings["max_position_embeddings"]
        tensors[positions] = torch.arange(length).unsqueeze(0)
    settings = {key: value for key, value in settings.items() if key not in without}
    settings["torch_dtype"] = settings.pop("dtype", dtype)
    settings |= {"_name_or_path": "/models/checkpoint-1000", "transformers_version": "4.37.2"}
    write_json(folder / "config.json", {**settings, **(config or {})}, indent=2)
    if "S" in files and shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    elif "S" in files:
        _write_shards(folder, tensors, shards)
    if "B" in files:
        torch.save(tensors, folder / "pytorch_model.bin")
    if other_backends:
        for name in ("onnx/model.onnx", "openvino/openvino_model.bin", "rust_model.ot"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"not read by the torch backend")


def _write_shards(folder: Path, tensors: Mapping[str, Any], shards: int) -> None:
    from safetensors.torch import save_file

    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(tensor.nbytes for tensor in tensors.values())
    write_json(
        folder / "model.safetensors.index.json",
        {"metadata": {"total_size": total}, "weight_map": weight_map},
    )


def without_prefix(prefix: str) -> Callable[[str], str | None]:
    """Return a rename that removes a prefix and drops tensors without it."""
    return lambda name: name.removeprefix(prefix) if name.startswith(prefix) else None


def old_layer_norm(name: str) -> str:
    """Return the TensorFlow name of a layer norm: gamma and beta."""
    return re.sub(r"LayerNorm\.weight$", "LayerNorm.gamma", name).replace(
        "LayerNorm.bias", "LayerNorm.beta"
    )


def drop(*patterns: str) -> Callable[[str], str | None]:
    """Return a rename that leaves out tensors whose name contains a pattern."""
    return lambda name: None if any(pattern in name for pattern in patterns) else name


def dense_module(
    folder: Path,
    in_features: int,
    out_features: int,
    *,
    files: str = "S",
    has_bias: bool = True,
    activation: str = "torch.nn.modules.activation.Tanh",
    dtype: str = "float32",
    seed: int = 1,
) -> None:
    """Write a Dense module in its folder."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)
    tensors = {"linear.weight": torch.randn(out_features, in_features, generator=generator) * 0.2}
    if has_bias:
        tensors["linear.bias"] = torch.randn(out_features, generator=generator) * 0.2
    tensors = {name: tensor.to(getattr(torch, dtype)) for name, tensor in tensors.items()}
    if "S" in files:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    if "B" in files:
        torch.save(tensors, folder / "pytorch_model.bin")
    write_json(
        folder / "config.json",
        {
            "in_features": in_features,
            "out_features": out_features,
            "bias": has_bias,
            "activation_function": activation,
        },
    )


def sentence_files(
    folder: Path,
    pooling: str | None = "mean",
    *,
    normalize: bool = True,
    length: int | None = 128,
    lowercase: bool = False,
    dense: Sequence[Mapping[str, Any]] = (),
    prompts: Mapping[str, str] | None = None,
    similarity: str | None = None,
    transformer: str = "",
    versions: tuple[str, str] | None = ("2.0.0", "4.6.1"),
    length_file: bool = True,
    extra_modules: Sequence[tuple[str, str]] = (),
    transformer_type: str = "sentence_transformers.models.Transformer",
) -> None:
    """Write modules.json and the files of the modules.

    `versions` are those in config_sentence_transformers.json; None leaves it out.
    """
    modules: list[Json] = []

    def add(path: str, kind: str) -> None:
        index = len(modules)
        modules.append({"idx": index, "name": str(index), "path": path, "type": kind})

    add(transformer, transformer_type)
    if pooling is not None:
        path = f"{len(modules)}_Pooling"
        add(path, "sentence_transformers.models.Pooling")
        modes = {
            "pooling_mode_cls_token": "cls",
            "pooling_mode_mean_tokens": "mean",
            "pooling_mode_max_tokens": "max",
            "pooling_mode_mean_sqrt_len_tokens": "sqrt",
        }
        if versions is not None and versions[0] >= "2.3":
            modes |= {
                "pooling_mode_weightedmean_tokens": "weightedmean",
                "pooling_mode_lasttoken": "last",
            }
        config: Json = {"word_embedding_dimension": WIDTH}
        config |= {key: mode == pooling for key, mode in modes.items()}
        if versions is not None and versions[0] >= "2.4":
            config["include_prompt"] = True
        write_json(folder / path / "config.json", config)
    for settings in dense:
        path = f"{len(modules)}_Dense"
        add(path, "sentence_transformers.models.Dense")
        dense_module(folder / path, **settings)
    if normalize:
        add(f"{len(modules)}_Normalize", "sentence_transformers.models.Normalize")
    for path, kind in extra_modules:
        add(path, kind)
    write_json(folder / "modules.json", modules, indent=2)
    if versions is not None:
        names = ("sentence_transformers", "transformers", "pytorch")
        settings: Json = {"__version__": dict(zip(names, (*versions, "1.9.0"), strict=True))}
        if versions[0] >= "2.4":
            settings |= {"prompts": dict(prompts or {}), "default_prompt_name": None}
        if versions[0] >= "3":
            settings["similarity_fn_name"] = similarity
        write_json(folder / "config_sentence_transformers.json", settings, indent=2)
    if length_file:
        write_json(
            folder / transformer / "sentence_bert_config.json",
            {"max_seq_length": length, "do_lower_case": lowercase},
        )
