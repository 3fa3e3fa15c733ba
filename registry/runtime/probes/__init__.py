"""Probes: fixed texts with their token ids and float32 encodings, recorded once and compared at a load.

Token ids are exact and tell a tokenizer fault from a weight fault. Encodings are made text by text, in float32, on one thread,
and compared within a tolerance: another processor or library adds in another order. Probes never replace digests: a row that
no probe uses can change unseen. Nothing of the model is changed: it computes in float32 for the moment, whatever it is stored in.
"""

from .compare import FAIL, WARN, Difference, compare, few, largest, measure, other_ids, unmeasured
from .probe import Given, Probe, Probes, dense, parse
from .record import (
    TEXTS,
    again,
    dtype_of,
    encoding,
    environment,
    environment_name,
    ids_of,
    probe,
    record,
    still,
)

__all__ = [
    "FAIL",
    "TEXTS",
    "WARN",
    "Difference",
    "Given",
    "Probe",
    "Probes",
    "again",
    "compare",
    "dense",
    "dtype_of",
    "encoding",
    "environment",
    "environment_name",
    "few",
    "ids_of",
    "largest",
    "measure",
    "other_ids",
    "parse",
    "probe",
    "record",
    "still",
    "unmeasured",
]
