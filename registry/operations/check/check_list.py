"""The list of all checks, those of the door and those that need the loaded model."""

from __future__ import annotations

from registry.operations.registration.measure import EFFECT, SWITCHED
from registry.results.check import NETS, CheckInfo

FILES, MANIFEST, FACTS, LINEAGE, READABLE = "files", "manifest", "facts", "lineage", "readable"
LOADS, ENVIRONMENT, IDS, VECTORS = "loads", "environment", "probe-ids", "probe-vectors"
RESIZED, MERGED, DRIFT, METRIC = "line-resized", "line-merged", "drift", "require"

_WITHOUT_THE_MODEL = (
    (
        MANIFEST,
        "identity",
        "the manifest has its digest",
        "protects from a version that is not what its name says",
        True,
    ),
    (
        LINEAGE,
        "identity",
        "the parent is known by its digest, with evidence",
        "protects from a base that was moved, replaced or built anew under an adapter",
        True,
    ),
    (
        FILES,
        "integrity",
        "each file has its digest",
        "protects from bytes that changed on disk",
        True,
    ),
    (
        FACTS,
        "integrity",
        "the files say what they said at registration",
        "protects from records that do not belong to the files",
        True,
    ),
    (
        READABLE,
        "integrity",
        "the folder is a model that needs no code of its own",
        "protects from pickles, foreign code, links and places outside, and adapters in a Router",
        True,
    ),
)
"""(id, net, what is true where it passes, what it protects from, whether a folder is refused for it)."""
_WITH_THE_MODEL = (
    (
        LOADS,
        "effect",
        "it loads as its users load it",
        "protects from models that no loader can open",
        True,
    ),
    (
        "loaded-tokens",
        "effect",
        "the loaded tokenizer has all tokens, ids and flags",
        "protects from a tokenizer that lost its tokens",
        True,
    ),
    (
        "loaded-modules",
        "effect",
        "the loaded modules are those registered",
        "protects from a Normalize or Pooling that was lost",
        True,
    ),
    (
        "loaded-adapter",
        "effect",
        "one adapter is loaded, active and switched on",
        "protects from a base that poses as its adapter",
        True,
    ),
    (
        "loaded-rows",
        "effect",
        "the loaded token table has its rows",
        "protects from a table that was cut or made longer",
        True,
    ),
    (
        "loaded-settings",
        "effect",
        "prompts and similarity are those registered",
        "protects from another prompt before every text",
        True,
    ),
    (
        "loaded-parameters",
        "effect",
        "each parameter comes from the files, in their precision",
        "protects from layers made up at random, and from a silent cast",
        True,
    ),
    (
        EFFECT,
        "effect",
        "the adapter changes what is encoded",
        "protects from an adapter that changes nothing",
        True,
    ),
    (
        ENVIRONMENT,
        "measurement",
        "libraries and processor are those of the recording",
        "tells why encodings may differ",
        False,
    ),
    (
        IDS,
        "measurement",
        "each text has the recorded token ids",
        "protects from another tokenizer",
        True,
    ),
    (
        VECTORS,
        "measurement",
        "each text has the recorded encoding",
        "protects from other weights, pooling, prompts or lengths",
        True,
    ),
    (
        RESIZED,
        "line",
        "texts without new tokens encode as in the parent, bit for bit",
        "protects from a resize that changed old words",
        True,
    ),
    (
        SWITCHED,
        "line",
        "switched off, the adapter leaves its base, bit for bit",
        "protects from settings around an adapter that are not its base's, and from one that altered its base",
        True,
    ),
    (
        MERGED,
        "line",
        "the merged model encodes as base and adapter",
        "protects from a merge that lost something",
        True,
    ),
    (
        DRIFT,
        "drift",
        "texts encode as in another version, within --max-drift",
        "protects from an index that no longer fits",
        False,
    ),
    (
        METRIC,
        "metric",
        "the version's metrics meet --require",
        "protects from shipping a worse model",
        False,
    ),
)


def listed() -> tuple[CheckInfo, ...]:
    """Every check: its id, its net and what it protects from."""
    from registry.model_files.checks import BY_MODEL, CHECKS

    at_the_door = [
        CheckInfo(
            check.id, check.net, check.name, check.reason, check.error is not None, check.judgement
        )
        for check in CHECKS
    ]
    others = [
        CheckInfo(*row, row[0] in BY_MODEL) for row in (*_WITHOUT_THE_MODEL, *_WITH_THE_MODEL)
    ]
    first = len(_WITHOUT_THE_MODEL)
    return tuple(
        sorted(
            [*others[:first], *at_the_door, *others[first:]],
            key=lambda check: NETS.index(check.net),
        )
    )
