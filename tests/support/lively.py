"""Live models as users make them with plain sentence-transformers and peft: adapted, saved, loaded, encoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEXTS = ("the cat sat on the mat", "a dog and zorvaxin", "quelora is innovation")
PAIRS = tuple((text, "the capital of france") for text in TEXTS)
_TRAINED = (
    "lora_A",
    "lora_B",
    "lora_embedding",
    "ia3_l",
    "trainable_tokens_delta",
    "modules_to_save",
    "magnitude_vector",
)


def loaded(folder: Path, model_class: str, **keywords: Any) -> Any:
    """What plain sentence-transformers makes of a folder."""
    import sentence_transformers

    from registry.runtime.loading import quiet

    with quiet():
        return getattr(sentence_transformers, model_class)(
            str(folder), device="cpu", local_files_only=True, **keywords
        )


def encodings(model: Any, texts: tuple[str, ...] = TEXTS) -> list[Any]:
    """What a model makes of the texts, or of pairs with them."""
    from registry.runtime import loading

    pairs = [[text, PAIRS[0][1]] for text in texts]
    return list(
        loading.encode(model, pairs if type(model).__name__ == "CrossEncoder" else list(texts))
    )


def distance(one: Any, other: Any) -> float:
    """The largest difference of two results of `encodings`; sparse ones by token."""
    if isinstance(one, dict):
        return max(
            (abs(one.get(key, 0.0) - other.get(key, 0.0)) for key in one.keys() | other.keys()),
            default=0.0,
        )
    if isinstance(one, list):
        assert len(one) == len(other)
        return max((distance(*pair) for pair in zip(one, other, strict=True)), default=0.0)
    return abs(one - other)


def adapted(
    folder: Path, model_class: str, config: Any, *, name: str | None = None, scale: float = 0.3
) -> Any:
    """The model of a folder with an adapter that does something, as after a training."""
    from registry.runtime.loading import quiet

    model = loaded(folder, model_class)
    with quiet():
        model.add_adapter(config, name) if name else model.add_adapter(config)
    train(model, scale)
    return model


def train(model: Any, scale: float = 0.3) -> None:
    """Change whatever is trainable in an adapter, always in the same way."""
    import torch

    drawn = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter.requires_grad and any(part in parameter_name for part in _TRAINED):
                parameter.add_(
                    (torch.randn(parameter.shape, generator=drawn) * scale).to(parameter.dtype)
                )
    model.eval()


def save(model: Any, out: Path) -> Path:
    """Save as users do."""
    from registry.model_files.weights.grow import tables
    from registry.model_files.weights.rewrite import rewrite
    from registry.runtime.loading import quiet

    with quiet():
        model.save_pretrained(str(out))
    weights = out / "adapter_model.safetensors"
    magnitudes = (
        {
            name: f"{name}.weight"
            for name in tables(weights)
            if name.endswith(".lora_magnitude_vector")
        }
        if weights.exists()
        else {}
    )
    if magnitudes:  # as the library saves DoRA nothing loads it
        rewrite(weights, out / "renamed", renamed=magnitudes)
        (out / "renamed").replace(weights)
    return out


def save_adapter(
    folder: Path, model_class: str, config: Any, out: Path, *, scale: float = 0.3
) -> list[Any]:
    """Put an adapter on the model of a folder and save it; what the live model encodes."""
    model = adapted(folder, model_class, config, scale=scale)
    before = encodings(model)
    save(model, out)
    return before


def with_dense(folder: Path) -> Path:
    """A SentenceTransformer with a Dense module behind its pooling."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    from tests.support import small

    plain = small.transformer_folder(folder.with_name(folder.name + "-plain"), small.word_piece())
    torch.manual_seed(1)
    modules = [Transformer(str(plain)), Pooling(16), Dense(16, 8), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder))
    return folder
