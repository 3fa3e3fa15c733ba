"""Checks of what a folder's configurations say of the model itself, whatever its parent says: names and numbers that no library takes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from registry.errors import NotLoadable
from registry.model_files.config.defaults import todays
from registry.model_files.config.parse import read_if_there
from registry.model_files.layout.file_list import join
from registry.model_files.layout.modules import TRANSFORMERS

from .base import Candidate, ParentView, Problem, checks
from .helpers import some

CHECKS, check = checks()
_WIDTHS = ("hidden_size", "d_model", "dim", "n_embd")
"""Fields of config.json, by architecture, for how many numbers a token's vector has."""
_SENTENCE = "config_sentence_transformers.json"
_PROMPTS = ("query", "document")
"""Prompts that a model has, empty ones, though no file names them. Source: sentence_transformers 6.2, _default_prompts."""
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
"""Source: sentence_transformers 6.2, util/similarity.py, SimilarityFunction."""


@check(
    "dimension",
    "its dimension is that of its transformer",
    "protects from a model that says another dimension than its encodings have, as a vector store would ask it",
    NotLoadable,
)
def dimension_is_that_of_its_transformer(candidate: Candidate) -> Problem | None:
    """A Pooling right behind a transformer is told as many dimensions as that makes."""
    modules = candidate.layout.modules
    width = _width(candidate)
    for before, module in itertools.pairwise(modules):
        if module.type != "Pooling" or before.type not in TRANSFORMERS or width is None:
            continue
        path = module.at("config.json")
        config = read_if_there(candidate.files, path, set(candidate.files.paths()))
        told = todays(config).get("embedding_dimension")
        if told is not None and told != width[0]:
            field = next(
                key for key in ("embedding_dimension", "word_embedding_dimension") if key in config
            )
            return Problem(
                f"{path} has the {field} {told!r:.80}, but the dimension of the transformer is "
                f"{width[0]} ({width[1]}), so the model would report a wrong dimension",
                f"set {field} to {width[0]}",
            )
    return None


@check(
    "prompt-name",
    "its default prompt is there",
    "protects from a model that no library loads",
    NotLoadable,
)
def default_prompt_is_there(candidate: Candidate) -> Problem | None:
    """default_prompt_name names one of the prompts."""
    config = _sentence(candidate)
    name, prompts = config.get("default_prompt_name"), config.get("prompts")
    there = [
        *(prompts if isinstance(prompts, Mapping) else ()),
        *(_PROMPTS if candidate.layout.model_class != "CrossEncoder" else ()),
    ]
    if name is None or name in there:
        return None
    shown = f"it has {some(sorted(set(there)))}" if there else "it has none"
    return Problem(
        f"{_SENTENCE} has the default_prompt_name {name!r:.80}, "
        f"but no prompt of that name ({shown})",
        "set it to the name of a prompt, or to null",
    )


@check(
    "similarity",
    "its similarity is one that is known",
    "protects from another similarity than was meant: a loader takes its own without a word",
    NotLoadable,
    judgement=True,
)
def similarity_is_known(candidate: Candidate) -> Problem | None:
    """similarity_fn_name is one of the library's; other libraries that make multi-vector models have names of their own."""
    name = _sentence(candidate).get("similarity_fn_name")
    if (
        name is None
        or name in SIMILARITIES
        or candidate.layout.model_class not in ("SentenceTransformer", "SparseEncoder")
    ):
        return None
    return Problem(
        f"{_SENTENCE} has the similarity_fn_name {name!r:.80}, which no library supports "
        "(a loader silently uses its default)",
        f"use one of {', '.join(SIMILARITIES)}, or set it to null",
    )


def _sentence(candidate: Candidate) -> Mapping[str, Any]:
    return read_if_there(candidate.files, _SENTENCE, set(candidate.files.paths()))


def _width(candidate: Candidate) -> tuple[int, str] | None:
    """(how many numbers a token's vector has, where that is said); an adapter has it from its base. None where nothing says it."""
    view: Candidate | ParentView | None = (
        candidate.parent if candidate.layout.is_adapter else candidate
    )
    if view is None:
        return None
    config = read_if_there(
        view.files, join(view.layout.transformer, "config.json"), set(view.files.paths())
    )
    inner = config.get("text_config")
    whose = f" of {view.reference}" if isinstance(view, ParentView) else ""
    for said in (config, inner if isinstance(inner, Mapping) else {}):
        field = next((key for key in _WIDTHS if type(said.get(key)) is int), None)
        if field is not None:
            return said[field], f"{field} in config.json{whose}"
    return None
