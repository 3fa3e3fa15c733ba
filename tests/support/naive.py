"""The naive flow: tokens added and resized in memory, an adapter on top, the base never saved; and what of a live model may not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from registry.runtime import loading

NEW = ("zorvaxin", "quelora")
TEXTS = ("the cat sat on the mat", "a dog and zorvaxin", "quelora is innovation")


def plain(folder: Any, model_class: str = "SentenceTransformer", **options: Any) -> Any:
    """The model as users load it, without a registry."""
    import sentence_transformers

    with loading.quiet():
        return getattr(sentence_transformers, model_class)(
            str(folder), device="cpu", local_files_only=True, **options
        )


def grow(model: Any, words: Sequence[str] = NEW) -> Any:
    """Tokens with rows of their own, as nobody should do it: in memory only."""
    import torch

    model.tokenizer.add_tokens(list(words))
    with loading.quiet():
        model.transformers_model.resize_token_embeddings(len(model.tokenizer), mean_resizing=False)
    torch.manual_seed(5)
    with torch.no_grad():
        model.transformers_model.get_input_embeddings().weight[-len(words) :].normal_(std=0.5)
    return model


def adapt(model: Any, config: Any, name: str | None = None, seed: int = 3) -> Any:
    """An adapter by the library's own call, its weights no longer those it begins with."""
    with loading.quiet():
        model.add_adapter(config, *([name] if name else []))
    return train(model, seed)


def train(model: Any, seed: int = 3) -> Any:
    """Every trainable number moved a little, as training would."""
    import torch

    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(
                    torch.randn_like(parameter, dtype=torch.float32).to(parameter.dtype) * 0.3
                )
    return model


def encodings(model: Any) -> list[Any]:
    """What the model gives for a few texts, in evaluation mode."""
    model.eval()
    pairs = type(model).__name__ == "CrossEncoder"
    return list(
        loading.encode(model, [[TEXTS[0], text] for text in TEXTS] if pairs else list(TEXTS))
    )


def state(model: Any) -> dict[str, Any]:
    """All of a live model that a save must leave as it was."""
    import torch

    inner = model.transformers_model
    wrappers = {
        name: (module.active_adapter, module.disable_adapters)
        for name, module in model.named_modules()
        if isinstance(getattr(type(module), "disable_adapters", None), property)
    }
    return {
        "parameters": {
            name: (
                id(tensor),
                tensor.requires_grad,
                tensor.dtype,
                tensor.detach().clone().view(torch.uint8).tolist(),
            )
            for name, tensor in model.named_parameters()
        },
        "buffers": {name: id(tensor) for name, tensor in model.named_buffers()},
        "modes": {name: module.training for name, module in model.named_modules()},
        "wrappers": wrappers,
        "adapters": {
            name: config.to_dict()
            for name, config in (getattr(inner, "peft_config", None) or {}).items()
        },
        "configuration": inner.config.to_dict() if inner is not None else None,
        "places": (inner.name_or_path, inner.config._name_or_path) if inner is not None else None,
        "object": {key: value for key, value in vars(model).items() if not key.startswith("_")},
        "card": dict(vars(model.model_card_data)),
        "settings": [module.get_config_dict() for module in model.children()],
        "tokenizer": model.tokenizer.backend_tokenizer.to_str()
        if hasattr(model.tokenizer, "backend_tokenizer")
        else None,
        "random": torch.get_rng_state().tolist(),
    }
