"""training: what is registered while a trainer trains: the base before the first step, checkpoints if they are wanted, the result.

The callback of `integrations` calls this; it knows no trainer. Nothing here changes what training computes: random numbers, modes and
gradients are left as they were.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from registry.core import reference as _reference
from registry.core.progress import silent
from registry.core.version import Version
from registry.errors import DigestMismatch, NoEffect, NotLoadable
from registry.home.home import Home
from registry.operations.loading.checkout import transformer_folder
from registry.results.registration import Said, Saved

from .save import SaveOptions, save, save_base


class Training:
    """One training, from its begin to its end."""

    def __init__(self, home: Home, name: str, *, base_name: str | None, alias: str | None) -> None:
        self.home, self.name, self.base_name, self.alias = (
            home,
            _reference.check_name(name),
            base_name,
            alias,
        )
        if alias is not None:
            _reference.check_alias(alias)
        if base_name is not None:
            _reference.check_name(base_name)

    def begin(self, model: Any) -> Version | None:
        """Register the base if it was never saved, and name its checkout as the adapters' base; the base, None without an adapter.

        From then on every checkpoint that the library writes is small and can be loaded. Raises NotLoadable for what could not be
        kept at the end, before any time is spent on it.
        """
        from registry.runtime import active_adapters, introspect as _live

        live = _live.take_apart(model)
        _live.refuse_what_cannot_be_kept(live)
        active_adapters.acting(model)
        if not live.adapters:
            return None
        options = SaveOptions(message=f"the base of {self.name}, before its training")
        base = save_base(
            self.home,
            model,
            self.base_name or f"{self.name}-base",
            options=options,
            progress=silent,
        )
        place = transformer_folder(self.home, base)
        for config in (live.configs or {}).values():
            config.base_model_name_or_path, config.revision = place, None
        return base

    def checkpoint(self, model: Any, said: Said) -> Saved | None:
        """Register the model as it is at a step; such a version is never `latest`.

        None is returned for a checkpoint that was taken before anything was trained.
        """
        try:
            return self._save(model, said, "checkpoint", checkpoint=True)
        except NoEffect as error:
            self.home.warn(f"step {said.step} is not registered: {error}")
            return None

    def end(self, model: Any, said: Said, best: Path | None) -> Saved:
        """Register the result: what is in memory, or the best checkpoint, which is put in where the library failed to.

        Raises DigestMismatch where the best cannot be brought back; then nothing is registered, and the checkpoint is still there.
        """
        if best is None:
            return self._save(model, said, "last")
        mended = bring_back(model, best)
        return self._save(model, said, "best", mended=mended)

    def _save(
        self, model: Any, said: Said, kept: str, *, checkpoint: bool = False, mended: bool = False
    ) -> Saved:
        training = {
            **said.source,
            "step": said.step,
            "kept": kept,
            **({"reloaded": "registry"} if mended else {}),
        }
        options = SaveOptions(
            base_name=self.base_name,
            alias=None if checkpoint else self.alias,
            run=said.run,
            metrics=said.metrics,
            source={"training": training},
            checkpoint=checkpoint,
            message=f"step {said.step} of a training" if checkpoint else None,
        )
        return save(self.home, model, self.name, options=options, progress=silent)


def bring_back(model: Any, checkpoint: Path) -> bool:
    """Make a model the one that a checkpoint holds; whether there was anything to do. Raises DigestMismatch if it cannot be done."""
    from registry.runtime import restore_best as best

    try:
        found = best.pairs(model, checkpoint)
        if all(pair.same for pair in found):
            return False
        best.put_in(found)
        different = [pair.name for pair in best.pairs(model, checkpoint) if not pair.same]
    except NotLoadable as error:
        raise DigestMismatch(
            f"the best checkpoint, {checkpoint.name}, cannot be restored: {error} (memory "
            "contains the last step), nothing was registered",
            hint=error.hint,
        ) from error
    if different:
        raise DigestMismatch(
            f"the best checkpoint, {checkpoint.name}, cannot be restored: {different[0]!r} still "
            "differs in memory, nothing was registered"
        )
    return True
