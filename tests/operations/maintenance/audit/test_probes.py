"""audit --probes: the heads are loaded, and what encodes otherwise than it was recorded is a finding."""

from __future__ import annotations

from dataclasses import replace

from registry.core.entry import Probes
from registry.runtime import probes as _probes
from tests.operations.maintenance.audit.damage import names


def test_heads_that_encode_as_recorded_have_no_findings_and_others_have(copied):
    model = copied.load("minilm@1", device="cpu")
    right = _probes.record(model)
    first = right.probes[0]
    wrong = replace(
        right,
        probes=(replace(first, values="0000803f" * (len(first.values) // 8)), *right.probes[1:]),
    )
    digests = [copied.home.blobs.add(item.to_bytes()) for item in (right, wrong)]

    copied.home.commit(lambda connection: Probes("minilm", 1, digests[0]))
    assert names(copied, probes=True) == []
    copied.home.commit(lambda connection: Probes("minilm", 1, digests[1]))
    (finding,) = copied.audit(probes=True).findings

    assert (finding.name, finding.versions) == ("probes-differ", ("minilm@1",))
