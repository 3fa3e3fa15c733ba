"""pull: what comes, under which name and number, and what is refused."""

from __future__ import annotations

import re

from registry.core.digest import Digest, digest_of
from tests.cli.errors import is_one_error, missing
from tests.support import plain
from tests.support.hub.lines import ADDED, wait_for

LINE = ("--to", "org/medical", "--parents-to", "org")


def add(place, folder, name, **options):
    with place.registry as reg:
        return reg.add(folder, name, **options, measure=False).version


def test_a_number_stays_and_gaps_are_fine(here, there, hub, tmp_path):
    for seed in (2, 3):
        add(
            here,
            plain.adapter(tmp_path / f"s{seed}", "unsaid", seed=seed, added=ADDED),
            "medical",
            parent="minilm-medical@1",
        )
    here.ok("push", "medical@3", *LINE)

    there.ok("pull", "hf://org/medical")

    assert set(there.digests()) == {"minilm@1", "minilm-medical@1", "medical@3"}
    assert add(there, tmp_path / "s2", "medical", parent="minilm-medical@1").number == 4


def test_what_a_version_is_said_to_be_comes_with_it(pushed, there):
    there.ok("pull", "hf://org/medical")

    with there.registry as reg, pushed.registry as original:
        version, before = reg.resolve("medical@1"), original.resolve("medical@1")
        base = reg.resolve("minilm@1")
    assert (version.message, base.message) == ("first training", "the base")
    assert [(parent.reference, parent.evidence) for parent in version.parents] == [
        ("minilm-medical@1", "path")
    ]
    assert (version.source["how"], version.source["published"]["by"]) == ("pull", before.created_by)
    assert version.source["published"]["date"] == before.created_at


def test_pulling_again_writes_nothing_and_fetches_only_what_tells_so(pushed, there, hub):
    there.ok("pull", "hf://org/medical")
    entries, before = there.log(), len(hub.requests)

    again = there.ok("pull", "hf://org/medical")

    assert again["already"] and there.log() == entries
    assert len(hub.requests) - before <= 5


def test_of_an_adapter_whose_base_is_here_only_its_own_bytes_come(pushed, there, hub):
    there.ok("pull", "hf://org/minilm-medical")
    before = hub.downloaded

    done = there.ok("pull", "hf://org/medical")

    assert [(item["reference"], item["what"]) for item in done["received"]] == [
        ("minilm@1", "already"),
        ("minilm-medical@1", "already"),
        ("medical@1", "registered"),
    ]
    assert hub.downloaded - before == len(hub.files("org/medical")["adapter_model.safetensors"])


def test_exactly_the_files_of_the_manifests_come_each_at_its_commit(pushed, there, hub):
    commits = {name: hub.head(f"org/{name}") for name in ("minilm", "minilm-medical")}
    for name in commits:
        hub.commit(f"org/{name}", {"photo.png": b"mine", "config.json": b"{}"})
    commits["medical"] = hub.commit("org/medical", {"photo.png": b"mine"})

    there.ok("pull", "hf://org/medical")

    with there.registry as reg:
        wanted = {
            f"/org/{name}/resolve/{commit}/{file.path}"
            for name, commit in commits.items()
            for file in reg.show(f"{name}@1").files
        }
    asked = {
        request.path.replace("/.registry/originals", "")
        for request in hub.asked("GET ^/org/.*/resolve/")
    }
    assert asked <= wanted | {f"/org/medical/resolve/{commits['medical']}/.registry/line.json"}
    assert {path.split("/")[4] for path in asked} == set(commits.values())


def test_parents_that_are_here_under_another_name_are_not_fetched(
    pushed, there, hub, line_template
):
    add(there, line_template / "training" / "base", "my/base")

    there.ok("pull", "hf://org/medical")

    assert set(there.digests()) == {"my/base@1", "minilm-medical@1", "medical@1"}


def test_another_model_at_the_number_is_refused_with_the_flags_to_type(pushed, there, tmp_path):
    add(there, plain.base(tmp_path / "mine", seed=9), "medical")

    refused = there.run("pull", "hf://org/medical")
    there.ok("pull", "hf://org/medical", "--renumber", "--from-any")

    assert refused.code == 4
    assert missing(refused.err, "medical@1", "--renumber", "--as NAME") == []
    assert there.digests()["medical@2"] == pushed.digests()["medical@1"]


def test_a_name_that_does_not_come_from_there_is_not_mixed_with_it(here, there, hub, tmp_path):
    add(
        here,
        plain.adapter(tmp_path / "second", "unsaid", seed=2, added=ADDED),
        "medical",
        parent="minilm-medical@1",
    )
    here.ok("push", "medical@2", *LINE)
    add(there, plain.base(tmp_path / "mine", seed=9), "medical")

    refused = there.run("pull", "hf://org/medical")
    there.ok("pull", "hf://org/medical", "--as", "theirs")

    assert refused.code == 4
    assert missing(refused.err, "medical", "hf://org/medical", "--from-any") == []
    assert there.digests()["theirs@2"] == here.digests()["medical@2"]


def test_a_parent_s_name_that_means_something_else_here_is_refused_with_the_flag(
    pushed, there, tmp_path
):
    add(there, plain.base(tmp_path / "mine", seed=9), "minilm")

    refused = there.run("pull", "hf://org/medical")
    there.ok("pull", "hf://org/medical", "--parent-as", "minilm=org-minilm")

    assert refused.code == 4 and "--parent-as minilm=NAME" in refused.err
    assert set(there.digests()) == {"minilm@1", "org-minilm@1", "minilm-medical@1", "medical@1"}


def test_tags_become_aliases_if_that_is_asked_for(here, there, hub):
    here.ok("alias", "medical@1", "prod")
    here.ok("push", "medical@prod", *LINE)

    done = there.ok("pull", "hf://org/medical", "--aliases")

    assert done["aliases"] == ["prod"]
    assert there.ok("resolve", "medical@prod")["number"] == 1


def test_add_takes_a_repository_too(pushed, there):
    done = there.ok("add", "hf://org/medical", "--as", "theirs", "--alias", "prod")

    assert (done["reference"], done["parent"]) == ("theirs@1", "minilm-medical@1")


def test_a_revision_says_which(pushed, there, hub, tmp_path):
    add(
        pushed,
        plain.adapter(tmp_path / "second", "unsaid", seed=2, added=ADDED),
        "medical",
        parent="minilm-medical@1",
    )
    pushed.ok("push", "medical@2")

    assert there.ok("pull", "hf://org/medical@v1")["reference"] == "medical@1"
    assert (
        there.ok("pull", f"hf://org/medical@{hub.head('org/medical')}")["reference"] == "medical@2"
    )


def test_a_flipped_byte_is_never_registered_and_repeating_mends_it(pushed, there, hub):
    hub.fault("GET /__cdn__/", flip=200)

    refused = there.run("pull", "hf://org/minilm")
    there.ok("pull", "hf://org/minilm")

    registered = {digest_of(content) for content in hub.files("org/minilm").values()}
    assert refused.code == 5 and is_one_error(refused.err)
    quoted = {Digest(text) for text in re.findall(r"sha256:[0-9a-f]{64}", refused.err)}
    assert len(quoted) == 2 and len(quoted & registered) == 1


def test_a_broken_transfer_goes_on_where_it_was(pushed, there, hub):
    hub.fault("GET /__cdn__/", cut=3000, times=2)

    there.ok("pull", "hf://org/minilm")

    assert [request.headers.get("range") for request in hub.asked("GET /__cdn__/")][:3] == [
        None,
        "bytes=3000-",
        "bytes=6000-",
    ]


def test_files_of_an_earlier_try_that_were_spoilt_since_are_fetched_anew(pushed, there, hub):
    def whole():
        return [
            path
            for path in (there.root / "staging").rglob("*")
            if path.suffix == "" and path.is_file() and path.stat().st_size
        ]

    hub.fault("GET /__cdn__/", status=403, times=-1, first=lambda: wait_for(whole))
    first = there.run("pull", "hf://org/minilm")
    spoilt = whole()
    for path in spoilt:
        path.chmod(0o600)
        path.write_bytes(bytes(path.stat().st_size))
    hub.faults.clear()

    second = there.run("pull", "hf://org/minilm")

    assert first.code == 7 and spoilt
    assert second.code == 0, second.err
    assert there.digests() == {"minilm@1": pushed.digests()["minilm@1"]} and not list(
        (there.root / "staging").iterdir()
    )


def test_the_token_goes_to_no_other_host_and_stands_nowhere(pushed, there, hub):
    ran = there.run("pull", "hf://org/medical")

    assert hub.asked("GET /__cdn__/") and hub.token not in ran.out + ran.err
    for path in there.root.rglob("*"):
        assert not path.is_file() or hub.token.encode() not in path.read_bytes(), path
