"""Large files: sent and fetched both ways, taken up where a killed process left them, and counted in bytes."""

from __future__ import annotations

import pytest

from tests.cli.errors import is_one_error, missing
from tests.support import plain
from tests.support.hub.lines import wait_for

pytestmark = pytest.mark.slow

STORY = """
import sys
import registry
seen = {}
def progress(what, done, total):
    seen.setdefault(what, []).append((done, total))
with registry.open(sys.argv[1]) as reg:
    COMMAND
for what, told in seen.items():
    if what.startswith(("hf://", "all")):
        assert [done for done, _ in told] == sorted(done for done, _ in told), told
        print(what, told[-1][0], told[-1][1])
"""


LIMITED = """
import resource, signal, sys
from registry.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, 1 << 19))
sys.exit(main(["pull", "hf://org/large"]))
"""


@pytest.fixture
def large(there, tmp_path):
    """large@1, of 2 MB, in an otherwise empty home."""
    folder = plain.base(
        tmp_path / "large", words=[*plain.WORDS, *(f"word{number}" for number in range(40_000))]
    )
    with there.registry as reg:
        reg.add(folder, "large", measure=False)
    return there


@pytest.mark.parametrize("mode", ["lfs", "xet"])
def test_a_line_goes_there_and_back_by_lfs_and_by_xet(large, hub, request, tmp_path, mode):
    warm = request.getfixturevalue(mode)
    back = large.empty(tmp_path / "back")

    pushed = warm.run("push", "large@1", "--to", "org/large", REGISTRY_HOME=str(large.root))
    pulled = warm.run("pull", "hf://org/large", REGISTRY_HOME=str(back.root))

    assert (pushed.code, pulled.code) == (0, 0), pushed.err + pulled.err
    assert back.digests() == large.digests()


@pytest.mark.parametrize("mode", ["lfs", "xet"])
def test_a_large_file_that_the_disk_spoiled_is_not_published(large, hub, request, mode):
    with large.registry as reg:
        blob = reg.home.blobs.path(
            next(
                file.digest
                for file in reg.show("large@1").files
                if file.path == "model.safetensors"
            )
        )
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(content)

    ran = request.getfixturevalue(mode).run(
        "push", "large@1", "--to", "org/large", REGISTRY_HOME=str(large.root)
    )

    assert ran.code == 5
    assert missing(ran.err, "'model.safetensors'", f"sha256:{blob.name}") == []
    assert hub.tags("org/large") == {} and hub.asked("POST /commit/") == []


def test_a_killed_pull_goes_on_where_it_was(large, hub, lfs, tmp_path):
    large.ok("push", "large@1", "--to", "org/large")
    back = large.empty(tmp_path / "back")
    hub.fault("GET /__cdn__/", rate=400_000)
    running = lfs.start("pull", "hf://org/large", REGISTRY_HOME=str(back.root))
    part = wait_for(lambda: alone(list((back.root / "staging").rglob("*.part"))))
    running.kill()
    running.wait()
    have = part.stat().st_size

    back.ok("pull", "hf://org/large")

    assert [
        request.headers["range"]
        for request in hub.asked("GET /__cdn__/")
        if "range" in request.headers
    ] == [f"bytes={have}-"]
    assert back.digests() == large.digests() and not list((back.root / "staging").rglob("*.part"))


def alone(parts):
    """The slow file's, when the others have come and it is well under way."""
    return (
        parts[0]
        if len(parts) == 1 and parts[0].exists() and parts[0].stat().st_size > 300_000
        else None
    )


def test_progress_is_told_in_bytes_for_each_repository_and_for_all(large, hub, lfs, tmp_path):
    back = large.empty(tmp_path / "back")
    with large.registry as reg:
        size = reg.resolve("large@1").size

    pushed = lfs.run(
        large.root,
        code=STORY.replace("COMMAND", 'reg.push("large@1", to="org/large", progress=progress)'),
    )
    pulled = lfs.run(
        back.root, code=STORY.replace("COMMAND", 'reg.pull("hf://org/large", progress=progress)')
    )

    assert pushed.code == pulled.code == 0, pushed.err + pulled.err
    assert pulled.out.splitlines() == [
        f"hf://org/large {size} {size}",
        f"all repositories {size} {size}",
    ]
    done, total = pushed.out.splitlines()[0].split()[1:]
    assert done == total and int(done) > size


def test_a_full_disk_is_one_line_and_the_pull_goes_on_when_there_is_room(large, hub, lfs, tmp_path):
    large.ok("push", "large@1", "--to", "org/large")
    back = large.empty(tmp_path / "back")

    ran = lfs.run(code=LIMITED, REGISTRY_HOME=str(back.root))
    kept = {f"bytes={part.stat().st_size}-" for part in (back.root / "staging").rglob("*.part")}
    back.ok("pull", "hf://org/large")

    assert ran.code == 7 and is_one_error(ran.err), ran.err
    assert missing(ran.err, "hf://org/large", str(back.root / "staging"), "file too large") == []
    assert (
        len(hub.asked("GET /__cdn__/")) == 2
        and hub.asked("GET /__cdn__/")[1].headers["range"] in kept
    )
    assert "bytes=524288-" in kept
