"""Real trainings of a few steps, of each of the four trainers, with an evaluator that likes the first checkpoint best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from registry.runtime import loading
from tests.support import naive

PAIRS = {
    "anchor": ["the cat sat", "a dog zorvaxin", "paris is", "innovation of quelora"] * 2,
    "positive": ["on the mat", "a cat", "the capital of france", "is the heart"] * 2,
}


def falling() -> Any:
    """An evaluator whose score falls at each call: the first checkpoint is the best."""
    from sentence_transformers.base.evaluation import BaseEvaluator

    class Falling(BaseEvaluator):
        calls = 0
        primary_metric = "score"

        def __call__(
            self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
        ) -> dict[str, float]:
            self.calls += 1
            return {"score": 1 / self.calls}

    return Falling()


def data(model_class: str) -> Any:
    """A handful of pairs; of a CrossEncoder with labels."""
    from datasets import Dataset

    labels = {"label": [1.0, 0.0] * 4} if model_class == "CrossEncoder" else {}
    return Dataset.from_dict({**PAIRS, **labels})


def loss(model: Any) -> Any:
    """The usual loss of the model's class."""
    kind = type(model).__name__
    if kind == "CrossEncoder":
        from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

        return BinaryCrossEntropyLoss(model)
    if kind == "SparseEncoder":
        from sentence_transformers.sparse_encoder.losses import (
            SparseMultipleNegativesRankingLoss,
            SpladeLoss,
        )

        return SpladeLoss(
            model, SparseMultipleNegativesRankingLoss(model), document_regularizer_weight=1e-3
        )
    if kind == "MultiVectorEncoder":
        from sentence_transformers.multi_vector_encoder.losses import (
            MultiVectorMultipleNegativesRankingLoss,
        )

        return MultiVectorMultipleNegativesRankingLoss(model)
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    return MultipleNegativesRankingLoss(model)


def train(model: Any, out: Path, callbacks: list[Any], **options: Any) -> Any:
    """Four steps, evaluated and saved at every second; the trainer afterwards."""
    import sentence_transformers

    kind = type(model).__name__
    arguments = getattr(sentence_transformers, f"{kind}TrainingArguments")(
        **{
            "output_dir": str(out),
            "max_steps": 4,
            "eval_strategy": "steps",
            "eval_steps": 2,
            "save_steps": 2,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_score",
            "learning_rate": 0.05,
            "per_device_train_batch_size": 4,
            "report_to": "none",
            "use_cpu": True,
            "disable_tqdm": True,
            "logging_strategy": "no",
            "seed": 7,
            **options,
        }
    )
    with loading.quiet():
        trainer = getattr(sentence_transformers, f"{kind}Trainer")(
            model=model,
            args=arguments,
            train_dataset=data(kind),
            loss=loss(model),
            evaluator=falling(),
            callbacks=callbacks,
        )
        trainer.train()
    return trainer


def at_best(out: Path, model_class: str) -> list[Any]:
    """What the first checkpoint encodes to, loaded by the plain library."""
    return naive.encodings(naive.plain(out / "checkpoint-2", model_class))
