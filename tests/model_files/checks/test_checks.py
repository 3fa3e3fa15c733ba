"""The list of checks: each has its name, its reason and its error, and is one of the families of refusal."""

from __future__ import annotations

import re

from registry.errors import Refused
from registry.model_files.checks import CHECKS


def test_every_check_has_a_name_of_its_own_and_a_reason():
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(
        check.reason.startswith(("protects from ", "tells of ", "warns of ")) for check in CHECKS
    )


def test_a_check_refuses_or_warns():
    assert {check.error for check in CHECKS if check.reason.startswith("protects from ")} <= {
        *Refused.__subclasses__()
    }
    assert {
        check.error for check in CHECKS if check.reason.startswith(("tells of ", "warns of "))
    } == {None}


def test_every_check_has_a_stable_id_and_a_net():
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", check.id) for check in CHECKS)
    assert {check.net for check in CHECKS} <= {"identity", "integrity", "structure", "effect"}


def test_identity_and_integrity_are_no_matter_of_judgement():
    assert not [
        check.id for check in CHECKS if check.judgement and check.net in ("identity", "integrity")
    ]
    assert not [check.id for check in CHECKS if check.judgement and check.error is None]


def test_the_real_models_pass(minilm_folder, splade_folder):
    from registry.model_files.checks import Candidate, run_checks
    from registry.model_files.facts import inspect
    from registry.model_files.folder import Folder
    from registry.model_files.layout import layout

    found = [(Folder(minilm_folder), None), (Folder(splade_folder), "SparseEncoder")]

    laid = [(files, layout(files, class_hint=hint)) for files, hint in found]
    assert [
        run_checks(Candidate(files, one, inspect(files, one, root=None))).warnings
        for files, one in laid
    ] == [(), ()]
