"""The operations that each family goes through, and what became of each of them.

An outcome is `passed`, `not reached` (an earlier step was refused), `not applicable`,
a refusal such as `ParentMismatch adapter-tokenizer` (class and check id), `library:
NAME` where plain sentence-transformers or PEFT raises, or a fault: `differs by X`,
`crash: ...`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import registry
from registry.errors import RegistryError
from tests.support import lively, refusals
from tests.zoo import families
from tests.zoo.corpus import NEW_WORDS, OLD_TEXTS, TEXTS
from tests.zoo.family import Family

PASSED, NOT_REACHED, NOT_APPLICABLE = "passed", "not reached", "not applicable"
FAULTS = ("differs by", "crash:")
ADAPTER_STEPS = (
    "train",
    "plain reload",
    "add adapter",
    "load adapter",
    "adapter checkout",
    "merge",
    "diff",
    "check",
)
STEPS = (
    "plain",
    "add",
    "load",
    "checkout",
    "resize",
    "old texts",
    "resized checkout",
    *ADAPTER_STEPS,
    *(f"token rows: {step}" for step in ADAPTER_STEPS),
    "save base",
    "save adapter",
    "add re-saved",
)
"""The steps, in the order in which they run."""


class _LibraryError(Exception):
    """An error of plain sentence-transformers or PEFT."""


class _FaultError(Exception):
    """A model that exists and is not the expected one."""


def refusal(error: RegistryError) -> str:
    """Return the class of an error and the checks that it names."""
    checks = refusals.CHECK.findall(refusals.text_of(error))
    return " ".join([type(error).__name__, *dict.fromkeys(checks)])


def plain(folder: Path, member: Family) -> Any:
    """Load a folder with plain sentence-transformers."""
    try:
        return lively.loaded(folder, member.model_class)
    except Exception as error:
        raise _LibraryError(type(error).__name__) from error


def train(model: Any, member: Family, *, token_rows: bool = False) -> None:
    """Add a LoRA adapter to a model and train it for three steps."""
    import torch
    from peft import LoraConfig

    from registry.runtime.loading import quiet

    settings: dict[str, Any] = {}
    if token_rows:
        table = model.transformers_model.get_input_embeddings()
        name = next(
            name for name, module in model.transformers_model.named_modules() if module is table
        )
        ids = model.tokenizer.convert_tokens_to_ids(list(NEW_WORDS))
        settings["trainable_token_indices"] = {name.rpartition(".")[2]: ids}
    config = LoraConfig(r=4, lora_alpha=8, target_modules=list(member.targets), **settings)
    torch.manual_seed(7)
    try:
        with quiet():
            model.add_adapter(config)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        kind = getattr(torch.optim, member.trained_with)
        optimizer = kind(trained, lr=1e-2)
        inputs: list[Any] = list(TEXTS)
        if member.model_class == "CrossEncoder":
            inputs = [(text, OLD_TEXTS[0]) for text in TEXTS]
        model.train()
        for _ in range(3):
            output = _differentiable(model(dict(model.preprocess(inputs))))
            direction = torch.linspace(-1.0, 1.0, output.shape[-1] + 1)[1:]
            loss = (output.float() * direction).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
    except Exception as error:
        raise _LibraryError(f"{type(error).__name__}") from error


def _differentiable(output: Any) -> Any:
    names = ("sentence_embedding", "scores", "token_embeddings")
    return next(output[name] for name in names if name in output)


def _frozen(model: Any) -> Any:
    """Return a model whose parameters require no gradients, as after loading.

    torch multiplies in another order with parameters that require gradients, which
    Longformer and LED show in the last bit.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def _aligned(model: Any) -> Any:
    """Move the weights of a model into memory that torch allocates.

    The last bit of a float32 result depends on the alignment of the weights. A file
    mapped into memory has its own, so plain sentence-transformers may fail to reproduce
    a model in memory from its own files.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    return model


def add_words(model: Any) -> None:
    """Add the words to a model in memory, as users do without this package."""
    from registry.runtime.loading import quiet

    model.tokenizer.add_tokens(list(NEW_WORDS))
    with quiet():
        model.transformers_model.resize_token_embeddings(len(model.tokenizer))


def story_of(name: str, work: Path) -> Story:
    """Return the story of a name that `families.build` knows, in a new folder."""
    member, is_resaved = families.split_name(name)
    folder = families.build(name, work / "model")
    return Story(member, folder, work, is_published=not is_resaved)


def require_equal(actual: list[Any], expected: list[Any]) -> None:
    """Raise unless two results of `lively.encodings` are equal bit for bit."""
    if actual != expected:
        raise _FaultError(f"differs by {lively.distance(actual, expected):.3g}")


@dataclass
class Story:
    """One family on its way through a registry of its own."""

    member: Family
    folder: Path
    """The model, as published or re-saved. It is only read."""
    work: Path
    is_published: bool = True
    """A published form is also re-saved, and trained a second time with token rows."""
    outcomes: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    """What a refused step reported, for a reader; it is not compared."""
    respelled: list[str] = field(default_factory=list)
    """The parts of tokenizer.json that a re-save by today's library changes."""

    def __post_init__(self) -> None:
        self.registry = registry.init(self.work / "home")

    def step(self, name: str, action: Callable[[], None], *needs: str) -> None:
        """Run one step, if the steps that it needs passed, and keep its outcome."""
        if any(self.outcomes[need] != PASSED for need in needs):
            self.outcomes[name] = NOT_REACHED
            return
        self.outcomes[name] = PASSED
        try:
            action()
        except RegistryError as error:
            self.outcomes[name] = refusal(error)
            self.messages[name] = refusals.text_of(error)
        except _LibraryError as error:
            self.outcomes[name] = f"library: {error}"
            self.messages[name] = f"{error.__cause__}"
        except _FaultError as error:
            self.outcomes[name] = str(error)
        except Exception as error:
            self.outcomes[name] = f"crash: {type(error).__name__}: {error}"

    def encodings(self, model: Any, texts: tuple[str, ...] = TEXTS) -> list[Any]:
        """Return the encodings of a model, for texts or for pairs with them."""
        return lively.encodings(model, texts)

    def run(self) -> dict[str, str]:
        """Run all steps and return their outcomes."""
        self._base()
        adapts = bool(self.member.targets)
        if adapts:
            self._adapter("", token_rows=False)
            if self.is_published:
                self._adapter("token rows: ", token_rows=True)
            self.step("save base", lambda: self._save(trained=False), "load")
            self.step("save adapter", lambda: self._save(trained=True), "save base")
        if self.is_published:
            self.step("add re-saved", self._add_resaved, "plain")
        self.registry.close()
        return {step: self.outcomes.get(step, NOT_APPLICABLE) for step in STEPS}

    def _base(self) -> None:
        self.step("plain", self._load_plainly_twice)
        self.step("add", self._add)
        self.step("load", lambda: self._equals_plain(self.registry.load("m@1")), "add", "plain")
        self.step("checkout", lambda: self._equals_plain(self._checkout("m@1")), "add", "plain")
        self.step("resize", self._resize, "add")
        self.step("old texts", self._old_texts, "resize", "plain")
        self.step("resized checkout", self._resized_checkout, "resize")

    def _load_plainly_twice(self) -> None:
        self.expected = self.encodings(plain(self.folder, self.member))
        self._reload(self.folder, self.expected)

    def _add(self) -> None:
        hint = self.member.model_class if self.member.has_class_hint else None
        self.registry.add(self.folder, "m", model_class=hint)

    def _equals_plain(self, model: Any) -> None:
        require_equal(self.encodings(model), self.expected)

    def _checkout(self, reference: str) -> Any:
        return plain(self.registry.checkout(reference).folder, self.member)

    def _resize(self) -> None:
        self.registry.resize("m@1", "big", list(NEW_WORDS))

    def _old_texts(self) -> None:
        count = len(OLD_TEXTS)
        actual = self.encodings(self.registry.load("big@1"), OLD_TEXTS)
        if self.member.model_class == "SparseEncoder":
            actual = [
                {token: weight for token, weight in vector.items() if token not in NEW_WORDS}
                for vector in actual
            ]
        require_equal(actual, self.expected[:count])

    def _resized_checkout(self) -> None:
        self.resized = self._checkout("big@1")
        require_equal(self.encodings(self.resized), self.encodings(self.registry.load("big@1")))

    def _adapter(self, prefix: str, *, token_rows: bool) -> None:
        kind = "rows" if token_rows else "lora"
        folder, reference = self.work / kind, f"{kind}@1"
        live: list[Any] = []

        def train_on_checkout() -> None:
            model = self._checkout("big@1")
            train(model, self.member, token_rows=token_rows)
            live.extend(self.encodings(_frozen(model)))
            lively.save(model, folder)

        def add() -> None:
            added = self.registry.add(folder, kind)
            if (added.evidence, added.parent) != ("witnessed", "big@1"):
                raise _FaultError(f"differs by parent {added.parent} ({added.evidence})")

        def diff() -> None:
            if self.registry.diff("big@1", reference).advice is None:
                raise _FaultError("differs by no advice")

        def check() -> None:
            failed = [o.check for o in self.registry.check(reference).outcomes if o.failed]
            if failed:
                raise _FaultError(f"differs by failed checks {failed}")

        def equal(model: Any) -> None:
            require_equal(self.encodings(model), live)

        steps = dict(zip(ADAPTER_STEPS, (f"{prefix}{step}" for step in ADAPTER_STEPS), strict=True))
        trained, added = steps["train"], steps["add adapter"]
        self.step(trained, train_on_checkout, "resized checkout")
        if self.member.reloads_adapter:
            reload = steps["plain reload"]
            self.step(reload, lambda: self._reload(folder, live), trained)
        self.step(added, add, trained)
        self.step(steps["load adapter"], lambda: equal(self.registry.load(reference)), added)
        self.step(steps["adapter checkout"], lambda: equal(self._checkout(reference)), added)
        merged = f"{kind}-merged"
        self.step(steps["merge"], lambda: self._merge(reference, merged), added)
        self.step(steps["diff"], diff, added)
        self.step(steps["check"], check, added)

    def _reload(self, folder: Path, expected: list[Any]) -> None:
        """Raise where the plain library does not load what it saved itself."""
        if self.encodings(plain(folder, self.member)) != expected:
            raise _LibraryError("reload differs")

    def _merge(self, reference: str, name: str) -> None:
        self.registry.merge(reference, name)

    def _save(self, *, trained: bool) -> None:
        model = self.registry.load("m@1")
        try:
            add_words(model)
        except Exception as error:
            raise _LibraryError(type(error).__name__) from error
        if trained:
            train(model, self.member)
        name, base = ("saved-adapter", "saved") if trained else ("saved", None)
        self.registry.save(model, name, base_name=base)
        saved = _aligned(self.registry.load(f"{name}@1"))
        require_equal(self.encodings(saved), self.encodings(_aligned(_frozen(model))))

    def _add_resaved(self) -> None:
        model = plain(self.folder, self.member)
        try:
            folder = lively.save(model, self.work / "resaved")
        except Exception as error:
            raise _LibraryError(type(error).__name__) from error
        self.respelled = respelled(self.folder, folder)
        self._reload(folder, self.expected)
        self.registry.add(folder, "resaved")
        self._equals_plain(self.registry.load("resaved@1"))


def respelled(before: Path, after: Path) -> list[str]:
    """Return the parts of tokenizer.json in which two folders differ."""
    names = sorted(path.relative_to(before) for path in before.rglob("tokenizer.json"))
    changed: set[str] = set()
    for name in names:
        if not (after / name).exists():
            return ["moved"]
        documents = [json.loads((folder / name).read_text("utf-8")) for folder in (before, after)]
        changed |= {key for key in documents[0] if documents[0][key] != documents[1].get(key)}
    return sorted(changed - {"truncation", "padding"})
