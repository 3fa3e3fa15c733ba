"""RegistryCallback: a training of any of the four trainers becomes a version, with its base, metrics and arguments.

One version for a training by default: the best checkpoint if the trainer was asked to load it at the end, else the last step. "Best"
is compared tensor by tensor with what was saved, since the library's own reload fails with a line in the log. Only the main process
writes; optimizer, scheduler and random-number files stay where the trainer put them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from registry.api.registry import open as open_home
from registry.errors import Invalid
from registry.results.registration import Said

from . import said

if TYPE_CHECKING:
    from registry.api.registry import PathLike, Registry
    from registry.results.registration import Saved

KEEP = ("best", "all")


class Recorder:
    """Follows a training. Pass it to a trainer as `callbacks=[RegistryCallback("medical")]`.

    name is what the result is called; base_name what its base is, `NAME-base` otherwise, if that was never saved. keep is "best", one
    version for a training, or "all", each checkpoint too, and these are never `latest`. alias is pointed at the result. Afterwards
    `saved` says what was registered.
    """

    def __init__(
        self,
        name: str,
        *,
        home: PathLike | None = None,
        keep: Literal["best", "all"] = "best",
        base_name: str | None = None,
        alias: str | None = None,
    ) -> None:
        if keep not in KEEP:
            raise Invalid(f"keep cannot be {keep!r}", hint=f"use one of {', '.join(KEEP)}")
        self.keep = keep
        self.saved: Saved | None = None
        self.checkpoints: list[Saved] = []
        self._registry: Registry = open_home(home)
        self._training = self._registry.training(name, base_name=base_name, alias=alias)
        self._metrics: dict[int, dict[str, float]] = {}
        self._datasets: dict[str, list[str]] = {}

    def on_train_begin(
        self, args: Any, state: Any, control: Any, *, model: Any, **more: Any
    ) -> None:
        """Register a base that was never saved, and make every checkpoint one that loads."""
        self.saved, self.checkpoints, self._metrics = None, [], {}
        if state.is_world_process_zero:
            self._datasets = said.datasets(more)
            self._training.begin(_whole(model))

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        *,
        metrics: dict[str, float] | None = None,
        **more: Any,
    ) -> None:
        """Keep what evaluators found at this step; it comes before the step's checkpoint."""
        self._metrics.setdefault(state.global_step, {}).update(said.metrics(metrics or {}))

    def on_save(self, args: Any, state: Any, control: Any, *, model: Any, **more: Any) -> None:
        """Register the checkpoint that was just saved, where all are kept."""
        if self.keep == "all" and state.is_world_process_zero:
            facts = self._said(args, state, state.global_step)
            checkpoint = self._training.checkpoint(_whole(model), facts)
            if checkpoint is not None:
                self.checkpoints.append(checkpoint)

    def on_train_end(self, args: Any, state: Any, control: Any, *, model: Any, **more: Any) -> None:
        """Register the result. The library has reloaded the best by now, or has failed to and has said so in its log."""
        if not state.is_world_process_zero:
            return
        best = state.best_model_checkpoint if args.load_best_model_at_end else None
        step = state.best_global_step if best else state.global_step
        self.saved = self._training.end(
            _whole(model), self._said(args, state, step), Path(best) if best else None
        )

    def _said(self, args: Any, state: Any, step: int) -> Said:
        known = self._metrics.get(step) or said.logged(state.log_history, step)
        source = {
            "arguments": said.arguments(args),
            "datasets": self._datasets,
            "steps": state.global_step,
        }
        return Said(
            step,
            known,
            {key: value for key, value in source.items() if value not in ({}, None)},
            said.run(),
        )


@cache
def callback_class() -> type[Recorder]:
    """The class as transformers wants it, which is imported with it."""
    from transformers import TrainerCallback

    return type(
        "RegistryCallback",
        (Recorder, TrainerCallback),
        {"__doc__": Recorder.__doc__, "__module__": "registry.integrations"},
    )


def _whole(model: Any) -> Any:
    """The model under torch.compile's wrapper."""
    return getattr(model, "_orig_mod", model)
