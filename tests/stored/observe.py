"""Observations of a registry by its commands, as JSON values without local paths.

`make.py` recorded them with version 0.1.0, and the tests compare the present version
with the records. So what these functions return for version 0.1.0 must not change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.warm import Ran

Run = Callable[..., Ran]
"""Run one command of `registry` on the observed registry."""

TEXTS = (
    "the patient takes zorvaxin twice a day",
    "Quelora and BRONTAZIDE, 20 mg.",
    "heart failure",
    "zorvaxinquelora",
    "na\u00efve caf\u00e9 <dose>",
    "",
    "x" * 24,
    "metifenol osperidal \u03b2-blocker",
)
"""Texts to encode: new tokens, capitals, accents, unknown characters."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CATALOG_FINDING = re.compile(r"catalog-|schema-|index-")


def observe_catalog(run: Run) -> dict[str, Any]:
    """Return the JSON of list, show, log and resolve for each model and version."""
    models = json_of(run, "list")
    versions = {model["name"]: json_of(run, "list", model["name"]) for model in models}
    entries = json_of(run, "log")
    middle = len(entries) // 2
    references = [version["reference"] for name in versions for version in versions[name]]
    return {
        "list": models,
        "versions": versions,
        "log": entries,
        "list_at_middle": [middle, json_of(run, "list", "--at", middle)],
        "show": {reference: json_of(run, "show", reference) for reference in references},
        "resolve": {text: json_of(run, "resolve", text) for text in _selectors(models, versions)},
    }


def _selectors(
    models: Sequence[Mapping[str, Any]], versions: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    """Return references of every form: bare, pinned, by alias, digest and parent."""
    texts = []
    for model in models:
        name, newest = model["name"], versions[model["name"]][0]
        texts += [f"{name}@{alias}" for alias in model["aliases"]]
        texts += [name] if model["latest"] is not None else []
        texts += [newest["pinned"], f"{name}@{newest['digest'][:19]}"]
        texts += [f"{newest['reference']}^"] if newest["parents"] else []
    return texts


def json_of(run: Run, *arguments: object) -> Any:
    """Return the JSON that a command prints; it must succeed."""
    completed = run(*arguments, "--json")
    assert completed.code == 0, f"{arguments} exited with {completed.code}: {completed.err}"
    return completed.json


def observe_audit(run: Run, *options: object) -> dict[str, Any]:
    """Return exit code and findings of `audit --full`, without prose and paths."""
    completed = run("audit", "--full", *options, "--json")
    report = completed.json
    findings = [
        {
            "name": finding["name"],
            "versions": sorted(finding["versions"]),
            "digests": []
            if _CATALOG_FINDING.match(finding["name"])
            else sorted(set(_DIGEST.findall(finding["what"]))),
        }
        for finding in report["findings"]
    ]
    return {
        "code": completed.code,
        "findings": sorted(findings, key=repr),
        "head": report["head"],
        **{key: report[key] for key in ("entries", "blobs", "size", "hashed")},
    }


def observe_repair(run: Run, *sources: Path) -> dict[str, Any]:
    """Return exit code and report of `repair`, without prose and without paths."""
    options = [word for source in sources for word in ("--from", source)]
    completed = run("repair", *options, "--json")
    report = completed.json
    repaired = [
        {"digests": _DIGEST.findall(blob["what"]), "source": _source_label(blob["source"], sources)}
        for blob in report["mended"]
    ]
    lost = [
        {"digests": _DIGEST.findall(blob["what"]), "versions": sorted(blob["versions"])}
        for blob in report["lost"]
    ]
    return {
        "code": completed.code,
        "mended": sorted(repaired, key=repr),
        "lost": sorted(lost, key=repr),
        "forgotten": report["forgotten"],
        **{key: report[key] for key in ("entries", "blobs", "size")},
    }


def _source_label(text: str, sources: Sequence[Path]) -> str:
    """Return the last part of a source's path, or the version whose files were used."""
    if text in map(str, sources):
        return Path(text).name
    references = re.findall(r"\S+@\d+", text)
    return references[0] if references else "the registry itself"


def observe_encodings(model: Any) -> dict[str, Any]:
    """Return the token ids of the texts, and their vectors rounded."""
    vectors = encode(model).tolist()
    rounded = [[round(number, 6) + 0.0 for number in _flat(vector)] for vector in vectors]
    return {"ids": token_ids(model), "vectors": rounded}


def token_ids(model: Any) -> list[list[int]]:
    """Return the token ids of each text by the tokenizer of a loaded model."""
    return [list(ids) for ids in model.tokenizer(list(TEXTS))["input_ids"]]


def encode(model: Any) -> Any:
    """Encode the texts by a model's own library call; return a NumPy array."""
    if hasattr(model, "predict"):
        return model.predict([(TEXTS[0], text) for text in TEXTS])
    encoded = model.encode(list(TEXTS), convert_to_tensor=True)
    return (encoded.to_dense() if encoded.is_sparse else encoded).numpy()


def _flat(vector: Any) -> list[float]:
    """Return a vector as a list; the score of a CrossEncoder is a single number."""
    return vector if isinstance(vector, list) else [vector]


def observe_status(run: Run) -> list[dict[str, Any]]:
    """Return the state of each published version."""
    return [
        {key: state[key] for key in ("reference", "repository", "commit", "state")}
        for state in json_of(run, "status")
    ]


def observe_pull(run: Run, repository: str) -> dict[str, str]:
    """Pull into an empty registry; return each version's digest by reference."""
    options = ["--as", "pulled"] if repository == "alice/plain" else []
    json_of(run, "pull", f"hf://{repository}", *options)
    models = [model["name"] for model in json_of(run, "list")]
    return {
        version["reference"]: version["digest"]
        for name in models
        for version in json_of(run, "list", name)
    }
