"""Token ids and encodings of small models, bit for bit, registered and plain.

The encodings are made by processes in which PyTorch and MKL may use only what every
x86-64 processor has, so that the stored vectors hold on each such machine. Elsewhere
the registry is still compared with the plain library, under these settings and under
the machine's own.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import json
import os
import platform
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

import registry
from tests.snapshots.snapshot import assert_same_text
from tests.support.warm import Warm

pytestmark = pytest.mark.slow

MODELS = ("base", "resized", "adapter", "merged", "cross", "splade", "autoencoder")
FIXED_ARITHMETIC = {
    # Kernels of PyTorch without AVX. Changes the vectors.
    "ATEN_CPU_CAPABILITY": "default",
    # Matrix products of MKL that add in one order. Changes the vectors.
    "MKL_CBWR": "COMPATIBLE",
    # Changes nothing today: no float32 layer of these models uses oneDNN.
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""Environment in which encodings have the same bits on every x86-64 machine.

PyTorch reads it when it is imported. MKL_ENABLE_INSTRUCTIONS=SSE4_2 changed nothing.
"""

TEXTS = (
    "",
    " ",
    "\t \n",
    "a",
    "the cat sat on the mat",
    "The Cat Sat On The MAT",
    "the cat  sat\ton\nthe   mat ",
    " leading and trailing ",
    "What is the capital of France?",
    "Paris is the capital of France.",
    "a dog; one card: two hearts!",
    "innovation innovations innovating innovated",
    "unbelievable",
    "zorvaxin",
    "ZORVAXIN",
    "Zorvaxin",
    "zorvaxins",
    "prezorvaxin",
    "(zorvaxin)",
    "the patient takes zorvaxin and cardiomab one day",
    "cardiomab zorvaxin heartmat",
    "zorvaxinzorvaxin",
    "zor vaxin",
    "Größe-7",
    "größe-7 Größe -7 GRÖSSE-7",
    "heartmat.",
    "[MASK]",
    "the [MASK] sat on the [SEP] mat",
    "[CLS] [PAD] [UNK]",
    "[mask]",
    "<s> </s> <mask>",
    "0123456789",
    "3.14159 1,000,000 12.5 % -7 +7 1e-3",
    "2024-02-29T23:59:59Z",
    "https://example.org/a_b?c=1#d",
    "user@example.org #tag @name",
    "def f(x): return x[0] * 2",
    "naïve café, Zürich, smørrebrød",
    "cafe\u0301 nai\u0308ve Zu\u0308rich",
    "caf\u00e9",
    "STRASSE straße",
    "ﬁne oﬃce ½ ①",
    "fullｗｉｄｔｈ　１２３",
    "Привет, мир",
    "αβγδ και Ωμέγα",
    "你好，世界",
    "日本語のテキスト",
    "한국어 문장",
    "שלום עולם",
    "مرحبا بالعالم",
    "สวัสดีชาวโลก",
    "नमस्ते दुनिया",
    "emoji 😀 and 👩‍🔬 and 🇫🇷",
    "zero\u200bwidth\u00adsoft\ufeffmark",
    "non\u00a0breaking\u2009thin",
    "control \x01\x02\x7f characters",
    "“quotes” ‘single’ – dash — long … end",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaa",
    "the cat " * 60,
    "one day a patient takes one zorvaxin on the mat in paris, the capital of france; "
    "a dog sat on a card and innovation is the heart of the day",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛",
)

PROGRAMS = Path(__file__).parent


@pytest.fixture(scope="module")
def fixed_arithmetic() -> Iterator[Warm]:
    """Yield processes in which PyTorch and MKL use only what every CPU has."""
    modules = ("sentence_transformers", "peft", "transformers.models.bert.modeling_bert")
    warm = Warm({**os.environ, **FIXED_ARITHMETIC}, modules)
    yield warm
    warm.close()


@pytest.fixture(scope="module")
def folder(fixed_arithmetic: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a registry of all models, and a checkout of each."""
    folder = tmp_path_factory.mktemp("vectors")
    code = (PROGRAMS / "register_models.py").read_text("utf-8")
    ran = fixed_arithmetic.run(folder, *MODELS[4:], code=code, timeout=300.0)
    assert ran.code == 0, ran.err
    with registry.open(folder / "home") as reg:
        for model in MODELS:
            reg.checkout(f"{model}@1", folder / "checkouts" / model)
    return folder


Encodings = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def encodings(folder: Path, fixed_arithmetic: Warm, processes_with_torch: Warm) -> Encodings:
    """Return what encode_texts.py wrote, by (arithmetic, source of the models)."""
    code = (PROGRAMS / "encode_texts.py").read_text("utf-8")
    texts = folder / "texts.json"
    texts.write_text(json.dumps(TEXTS), "utf-8")
    results = {}
    processes = (("fixed", fixed_arithmetic, "1,8"), ("native", processes_with_torch, "8"))
    for arithmetic, warm, batch_sizes in processes:
        for source in ("registry", "plain"):
            output = folder / f"{arithmetic}-{source}.json"
            ran = warm.run(source, folder, batch_sizes, texts, output, code=code, timeout=300.0)
            assert ran.code == 0, ran.err
            results[arithmetic, source] = json.loads(output.read_text("utf-8"))
    return results


def test_there_are_61_different_texts() -> None:
    assert len(TEXTS) == len(set(TEXTS)) == 61


@pytest.mark.parametrize("model", MODELS)
def test_token_ids_are_those_of_the_snapshot(model: str, encodings: Encodings) -> None:
    rows = [
        " ".join(map(str, [f"{index}:", *ids]))
        for index, ids in enumerate(encodings["fixed", "registry"]["models"][model]["ids"])
    ]

    assert_same_text(f"vectors/{model}.ids.txt", "\n".join(rows) + "\n")


@pytest.mark.parametrize("model", MODELS)
def test_vectors_are_those_of_the_snapshot(model: str, encodings: Encodings) -> None:
    if reason := reason_to_skip(model, encodings):
        pytest.skip(reason)
    vectors = encodings["fixed", "registry"]["models"][model]["vectors"]
    rows = [
        f"{index}: {hashlib.sha256(content).hexdigest()} {beginning(content)}"
        for index, content in enumerate(map(bytes.fromhex, vectors["1"]))
    ]
    in_batches = hashlib.sha256(bytes.fromhex("".join(vectors["8"]))).hexdigest()
    rows.append(f"in batches of 8: {in_batches}")

    assert_same_text(f"vectors/{model}.vectors.txt", "\n".join(rows) + "\n")


@pytest.mark.parametrize("arithmetic", ["fixed", "native"])
@pytest.mark.parametrize("model", MODELS)
def test_the_registry_and_the_plain_library_give_the_same_bits(
    arithmetic: str, model: str, encodings: Encodings
) -> None:
    registered, plain = (
        encodings[arithmetic, source]["models"][model] for source in ("registry", "plain")
    )

    assert len(registered["ids"]) == len(registered["vectors"]["8"]) == 61
    assert all(registered["vectors"]["8"])
    assert registered == plain


def test_the_fixed_arithmetic_reached_pytorch(encodings: Encodings) -> None:
    assert encodings["fixed", "registry"]["capability"] == "DEFAULT"
    assert encodings["fixed", "plain"]["capability"] == "DEFAULT"


def test_the_models_differ_except_adapter_and_merged(encodings: Encodings) -> None:
    base, resized, adapter, merged = (vectors_of(model, encodings) for model in MODELS[:4])
    added, ordinary = TEXTS.index("zorvaxin"), TEXTS.index("the cat sat on the mat")

    assert numpy.array_equal(base[ordinary], resized[ordinary])
    assert not numpy.allclose(base[added], resized[added], atol=1e-3)
    assert not numpy.allclose(resized[ordinary], adapter[ordinary], atol=1e-3)
    assert numpy.allclose(adapter, merged, atol=1e-5)


# Helpers


def vectors_of(model: str, encodings: Encodings) -> Any:
    """Return float32 encodings of the registered model, shape (texts, dimensions)."""
    vectors = encodings["fixed", "registry"]["models"][model]["vectors"]["1"]
    return numpy.stack([numpy.frombuffer(bytes.fromhex(vector), "<f4") for vector in vectors])


def beginning(content: bytes) -> str:
    """Return the first four numbers of an encoding, of a sparse one those not 0."""
    numbers = numpy.frombuffer(content, "<f4")
    if numpy.count_nonzero(numbers) == len(numbers):
        return " ".join(str(number) for number in numbers[:4])
    return " ".join(f"[{index}]={numbers[index]}" for index in numpy.flatnonzero(numbers)[:4])


def reason_to_skip(model: str, encodings: Encodings) -> str | None:
    """Return why this machine cannot make the stored vectors, or None if it can."""
    only_plain = "VECTORS NOT COMPARED WITH THE SNAPSHOT, only with the plain library:"
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return f"{only_plain} the stored ones are of x86-64, this is {platform.machine()}"
    if not encodings["fixed", "registry"]["mkl"]:
        return f"{only_plain} the stored ones are of a PyTorch with MKL, this one has none"
    for name in ("expf", "log1pf") if model == "splade" else ("expf",):
        if C_LIBRARY[name] != digest_of_c_function(name):
            return (
                f"{only_plain} {name} of this C library ({platform.libc_ver()}) rounds differently"
            )
    return None


C_LIBRARY = {
    "expf": "886a7d1eaa17ad602ac5b62d6b1c82be55fa5ad634dde3611ea5fa9ce3effc65",
    "log1pf": "97bcbcf5b236dcb39e8cb31799fabfc64708fcaf05cc9f1a1cf83f03d8f5db7d",
}
"""Digests of the functions of the C library with which the stored vectors were made.

PyTorch without AVX calls them, expf for softmax and log1pf for SPLADE. The vectors
change if either is changed by one unit in the last place.
"""


def digest_of_c_function(name: str) -> str:
    """Return the SHA-256 of the results of a float function of the C library."""
    function: Callable[[float], float] = getattr(ctypes.CDLL(ctypes.util.find_library("m")), name)
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float  # type: ignore[attr-defined]
    first = -8191 if name == "expf" else 0
    values = (function(number / 1024 + number / 10_000_019) for number in range(first, 8192))
    return hashlib.sha256(b"".join(struct.pack("<f", value) for value in values)).hexdigest()
