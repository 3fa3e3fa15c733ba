"""Checks of the tokenizer: its ids have rows, and an adapter has the one of its parent."""

from __future__ import annotations

from registry.core.facts import TOKEN_FLAGS, Token, flags_of, read
from registry.core.text import counted
from registry.errors import InvalidTokens, NotLoadable, ParentMismatch
from registry.model_files.config.parse import read_if_there
from registry.model_files.layout.file_list import join
from registry.model_files.tokenizer import ambiguous_tokens
from registry.model_files.tokenizer.base_vocabulary import lexicon_of
from registry.model_files.tokenizer.equivalence import spoken
from registry.model_files.tokenizer.pipeline import model_type_of
from registry.model_files.tokenizer.token_list import Wanted, lint
from registry.model_files.tokenizer.vocabulary import declared_tokens

from .base import IDENTITY, Candidate, ParentView, Problem, checks
from .helpers import some

CHECKS, check = checks()
_SHOWN = 3


@check("token-ids", "ids are unique", "protects from two tokens that share a row", NotLoadable)
def ids_are_unique(candidate: Candidate) -> Problem | None:
    """No id stands twice in the token list."""
    tokens = candidate.inspection.tokens
    if len({token[0] for token in tokens}) == len(tokens):
        return None
    ids: dict[int, str] = {}
    for token in tokens:
        if token.id in ids:
            return Problem(
                f"the id {token.id} belongs to two tokens, {ids[token.id]!r} and {token.content!r}"
            )
        ids[token.id] = token.content
    return None


@check(
    "token-rows",
    "ids have rows",
    "protects from an index error at the first text that holds a new token",
    NotLoadable,
)
def ids_have_rows(candidate: Candidate) -> Problem | None:
    """Every ordinary token, and every token that the parent lacks, has a row."""
    missing = _without_rows(candidate)
    inherited = set(candidate.parent.tokens) if candidate.parent is not None and missing else None
    added = [
        token
        for token in missing
        if not token.special or (inherited is not None and token not in inherited)
    ]
    if not added:
        return None
    last = missing[-1]
    return Problem(
        f"{counted(len(missing), 'token has', 'tokens have')} no row: {last.content!r} has the id "
        f"{last.id}, but the embedding table has {candidate.inspection.facts.rows} rows",
        f"call resize_token_embeddings({last.id + 1}) before saving, "
        "or use registry resize on the original model",
    )


@check(
    "special-token-rows",
    "special tokens have rows",
    "warns of special tokens, mostly of images and sounds, that no text can contain",
    None,
)
def special_tokens_have_rows(candidate: Candidate) -> Problem | None:
    """Every special token has a row; text models of multimodal families lack some."""
    missing = _without_rows(candidate)
    if not missing:
        return None
    return Problem(
        f"{counted(len(missing), 'special token has', 'special tokens have')} no embedding row: "
        f"{some([token.content for token in missing])} (the highest id is {missing[-1].id}, the "
        f"table has {candidate.inspection.facts.rows} rows), so a text that contains one cannot be "
        "encoded",
        "append the missing rows with registry resize",
    )


@check(
    "declared-tokens",
    "declared special tokens are part of the vocabulary",
    "warns of special tokens that the library adds while it loads, without embedding rows",
    None,
)
def declared_tokens_are_in_the_vocabulary(candidate: Candidate) -> Problem | None:
    """Every special token that the tokenizer configuration names is a token."""
    folder = candidate.layout.tokenizer
    contents = {token.content for token in candidate.inspection.tokens}
    absent = [text for text in declared_tokens(candidate.files, folder) if text not in contents]
    if not absent:
        return None
    return Problem(
        f"{join(folder, 'tokenizer_config.json')} declares "
        f"{counted(len(absent), 'special token', 'special tokens')} without a row: {some(absent)} "
        "(the library adds what the vocabulary lacks)",
        "load the model, save it with save_pretrained, and append the rows with registry resize",
    )


@check(
    "metaspace",
    "its settings of blanks agree",
    "protects from a tokenizer of an older library that today's library cannot load",
    NotLoadable,
)
def metaspace_settings_agree(candidate: Candidate) -> Problem | None:
    """No Metaspace has add_prefix_space false without prepend_scheme "never"."""
    scheme = candidate.inspection.metaspace
    if scheme is None:
        return None
    path = join(candidate.layout.tokenizer, "tokenizer.json")
    return Problem(
        f"{path} has a Metaspace with add_prefix_space false and prepend_scheme "
        f"{scheme}, which today's tokenizers library refuses",
        'set prepend_scheme to "never" in its pre_tokenizer and decoder',
    )


@check(
    "tokenizer-panic",
    "the tokenizers library can read tokenizer.json",
    "protects from files at which the library panics or ends the process",
    NotLoadable,
)
def library_can_read_the_tokenizer(candidate: Candidate) -> Problem | None:
    """Nothing in tokenizer.json is a known cause of a panic."""
    inspection = candidate.inspection
    cause = inspection.panic
    if cause is None:
        empty = ambiguous_tokens.empty_token_in(inspection.tokens, inspection.normalizer)
        if empty is None:
            return None
        return Problem(
            f"the added token {empty.content!r} (id {empty.id}) is empty after normalisation, at "
            "which the tokenizers library panics",
            'set "normalized": false in tokenizer.json and tokenizer_config.json for it',
        )
    path = join(candidate.layout.tokenizer, "tokenizer.json")
    return Problem(f"the tokenizers library cannot read {path}: {cause}", "download it again")


@check(
    ambiguous_tokens.CHECK,
    "added tokens differ after normalisation",
    "protects from a tokenizer that chooses between two ids at random at each load",
    NotLoadable,
)
def added_tokens_differ(candidate: Candidate) -> Problem | None:
    """No two normalised added tokens are equal after normalisation."""
    inspection = candidate.inspection
    groups = ambiguous_tokens.equal_tokens_in(inspection.tokens, inspection.normalizer)
    if not groups:
        return None
    return Problem(ambiguous_tokens.describe_equal(groups), ambiguous_tokens.HINT)


@check(
    "vocab-size",
    "config.json counts the rows",
    "protects from a size mismatch at load",
    NotLoadable,
)
def config_counts_the_rows(candidate: Candidate) -> Problem | None:
    """vocab_size is the number of rows that the loader will make."""
    layout, rows = candidate.layout, candidate.inspection.facts.rows
    path = join(layout.transformer, "config.json")
    size = read_if_there(candidate.files, path, set(layout.belongs)).get("vocab_size")
    if layout.is_adapter or rows is None or type(size) is not int or size == rows:
        return None
    return Problem(
        f"{path} has vocab_size {size}, but the embedding table has {rows} rows",
        "save the model again with save_pretrained",
    )


@check(
    "adapter-tokenizer",
    "an adapter has its parent's tokenizer",
    "protects from tokens that silently find the rows of others",
    ParentMismatch,
    net=IDENTITY,
)
def adapter_has_its_parents_tokenizer(candidate: Candidate) -> Problem | None:
    """Equivalent tokenizers: equal ids for every text. Equal pipelines show it, else
    the library decides."""
    parent, facts = candidate.parent, candidate.inspection.facts
    if parent is None or not candidate.layout.is_adapter:
        return None
    has_tokens = facts.vocabulary.digest == parent.facts.vocabulary.digest
    if not has_tokens and not (candidate.decide and _has_other_flags_only(candidate, parent)):
        common = len(parent.tokens)
        more = candidate.inspection.tokens[common:]
        if more and tuple(candidate.inspection.tokens[:common]) == tuple(parent.tokens):
            return Problem(
                f"the adapter's tokenizer has {counted(len(more), 'token')} that "
                f"{parent.reference} lacks (first: {more[0].content!r}): "
                "it was trained on a resized base",
                "pass that base with --parent (if it was resized in memory and never saved, "
                "its rows are lost: resize again and train again)",
            )
        return _other_tokens(candidate, parent)
    base_type = model_type_of(parent.files, parent.layout)
    pipeline = candidate.inspection.pipeline.on_base(base_type)
    if pipeline.digest == (parent.facts.pipeline or parent.pipeline.digest):
        return None
    components = pipeline.differing(parent.pipeline)
    if not components:
        return None
    if candidate.decide is None:
        return Problem(
            f"the tokens are those of {parent.reference}, but tokenizer.json and "
            "tokenizer_config.json do not show that the tokenizers are equivalent: "
            f"{spoken(components, pipeline, parent.pipeline)} "
            "(transformers decides that, and it was not asked)",
            f"install transformers and leave out --no-measure, or {_TAKE_PARENTS}",
        )
    decision = candidate.decide(candidate, parent)
    if decision.is_equivalent:
        return None
    if not has_tokens:
        return _other_tokens(candidate, parent)
    return Problem(
        f"the tokens are those of {parent.reference}, but the tokenizers are not equivalent: "
        f"{decision.explain()} (tokenizer.json, tokenizer_config.json and "
        f"special_tokens_map.json: {spoken(components, pipeline, parent.pipeline)})",
        _TAKE_PARENTS,
    )


_TAKE_PARENTS = "use the tokenizer of the parent with --tokenizer parent"


def _other_tokens(candidate: Candidate, parent: ParentView) -> Problem:
    return Problem(
        f"the tokens are not those of {parent.reference}: {_difference(candidate, parent)}",
        "pass the base that it was trained on with --parent",
    )


def _has_other_flags_only(candidate: Candidate, parent: ParentView) -> bool:
    """Whether two different token lists have the same contents under the same ids."""
    own, expected = candidate.inspection.tokens, parent.tokens
    return len(own) == len(expected) and all(
        first[:2] == second[:2] for first, second in zip(own, expected, strict=True)
    )


@check(
    "added-tokens",
    "its new tokens are found in texts, and only where they are meant",
    "tells of added tokens that no text reaches, that swallow blanks, or that stand inside ordinary words",
    None,
)
def new_tokens_are_found(candidate: Candidate) -> Problem | None:
    """What `registry resize` would refuse or warn of is told of tokens that were added elsewhere."""
    parent = candidate.parent
    if parent is None or candidate.layout.is_adapter or candidate.linted:
        return None
    if candidate.inspection.facts.vocabulary.digest == parent.facts.vocabulary.digest:
        return None
    known = {token.id for token in parent.tokens}
    new = tuple(
        Wanted(token.content, *flags_of(token))
        for token in candidate.inspection.tokens
        if token.id not in known
    )
    path = join(parent.layout.tokenizer, "tokenizer.json")
    lexicon = lexicon_of(read(parent.files, path)) if new and path in parent.files.paths() else None
    if lexicon is None:
        return None
    try:
        said = lint(new, lexicon, needs_pieces=False, literal=True).warnings
    except InvalidTokens as error:
        message = str(error).partition(": ")[2]
        return Problem(f"refused by registry resize too: {message}", error.hint)
    more = f"; and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return Problem("; ".join(said[:_SHOWN]) + more) if said else None


def _difference(candidate: Candidate, parent: ParentView) -> str:
    """The first difference of two token lists that differ."""
    own, other = (
        {token.id: token for token in tokens}
        for tokens in (candidate.inspection.tokens, parent.tokens)
    )
    first = min(index for index in own.keys() | other.keys() if own.get(index) != other.get(index))
    count = sum(own.get(index) != other.get(index) for index in own.keys() | other.keys())
    return (
        f"id {first} is {_said(own.get(first), other.get(first))}, there it is {_said(other.get(first), own.get(first))} "
        f"({counted(count, 'differs', 'differ')})"
    )


def _said(token: Token | None, other: Token | None) -> str:
    if token is None:
        return "no token"
    same = other is not None and other.content == token.content
    flags = [name for name in TOKEN_FLAGS if same and getattr(token, name) != getattr(other, name)]
    return repr(token.content) + "".join(f" with {name}={getattr(token, name)}" for name in flags)


def _without_rows(candidate: Candidate) -> list[Token]:
    """Return the tokens whose id is beyond the embedding table, by id."""
    rows, tokens = candidate.inspection.facts.rows, candidate.inspection.tokens
    if rows is None or not tokens or tokens[-1].id < rows:
        return []
    return [token for token in tokens if token.id >= rows]
