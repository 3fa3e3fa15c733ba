"""A full disk: one line, nothing half, and the same command finishes once there is room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operations.hub.faults.promises import broken_promises, entries, versions
from tests.support.hub_server import HubServer
from tests.support.warm import Warm

DONE, UNAVAILABLE = 0, 7
PAGE = 4096

ON_A_FULL_DISK = """
import ctypes, os, resource, shutil, sys
from pathlib import Path
from registry.cli import main

home, disk, free, *arguments = sys.argv[1:]
user, group = os.getuid(), os.getgid()
ballast = Path(disk, "ballast")

def mount():
    "A small disk that only this process sees."
    libc = ctypes.CDLL(None, use_errno=True)
    def must(result):
        if result:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    must(libc.unshare(0x20000 | (0x10000000 if user else 0)))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    must(libc.mount(b"none", disk.encode(), b"tmpfs", 0, b"size=32m"))

def fill():
    with ballast.open("wb", buffering=0) as out:
        try:
            while out.write(bytes(4096)):
                pass
        except OSError:
            out.truncate(out.tell() - int(free))

Path(disk).mkdir()
try:
    mount()
    limited = None
except (OSError, AttributeError):
    limited = resource.getrlimit(resource.RLIMIT_FSIZE)
at_work = Path(disk, "home")
shutil.copytree(home, at_work, symlinks=True)
os.environ["REGISTRY_HOME"] = str(at_work)
if limited is None:
    fill()
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(free), limited[1]))
first = main(arguments)
if limited is not None:
    resource.setrlimit(resource.RLIMIT_FSIZE, limited)
shutil.copytree(at_work, f"{home}-full", symlinks=True)
ballast.unlink(missing_ok=True)
second = main(arguments)
shutil.copytree(at_work, f"{home}-done", symlinks=True)
print("codes", first, second)
"""
"""The command on a disk with `free` bytes, and once more when there is room. Where no disk may be mounted, files may not grow instead."""


def on_a_full_disk(
    hub: HubServer, warm: Warm, home: Path, free: int, *arguments: str
) -> tuple[int, int]:
    """Both exit codes; promises are checked on what each of the two left in `home`-full and `home`-done."""
    ran = warm.run(home, home.parent / "disk", free, *arguments, code=ON_A_FULL_DISK)
    assert ran.code == 0, ran.err
    assert "Traceback" not in ran.err
    assert [
        *broken_promises(hub, Path(f"{home}-full")),
        *broken_promises(hub, Path(f"{home}-done")),
    ] == []
    _, first, second = ran.out.splitlines()[-1].split()
    return int(first), int(second)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("pages", [0, 1, 2, 4, 8, 16, 24, 32])
def test_a_pull_onto_a_full_disk_is_finished_when_there_is_room(
    published, warm, empty, filled, pages
):
    first, second = on_a_full_disk(published, warm, empty, pages * PAGE, "pull", "hf://org/medical")

    assert (first, second) == (UNAVAILABLE, DONE)
    assert versions(Path(f"{empty}-done")) == versions(filled)


@pytest.mark.parametrize("pages", [0, 1, 2])
def test_a_push_that_cannot_be_recorded_is_recorded_when_there_is_room(hub, warm, home, pages):
    first, second = on_a_full_disk(
        hub, warm, home, pages * PAGE, "push", "minilm@1", "--to", "org/minilm"
    )

    assert (first, second) in {(UNAVAILABLE, DONE), (DONE, DONE)}
    assert len(hub.history("org/minilm")) == 2
    assert [body["commit"] for body in entries(Path(f"{home}-done"), "Publish")] == [
        hub.tags("org/minilm")["v1"]
    ]
