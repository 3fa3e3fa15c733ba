"""Version 0.1.0 of the package, built from its stored source archive.

Tests run it in processes of its own: what it reads, and which newer formats it refuses.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.warm import Ran

SOURCE = Path(__file__).parent.parent / "stored" / "st_registry-0.1.0.tar.xz"
GUARD = Path(__file__).parent / "guard"


@dataclass(frozen=True)
class OldPackage:
    """The unpacked wheel of version 0.1.0, with the libraries of this environment."""

    packages: Path
    """The folder that contains the package `registry`, to be put into PYTHONPATH."""

    def run(
        self, *arguments: object, home: Path, cwd: Path | None = None, **environment: str
    ) -> Ran:
        """Run a command of the old `registry` on a registry."""
        return self.python("-m", "registry", "--home", home, *arguments, cwd=cwd, **environment)

    def python(self, *arguments: object, cwd: Path | None = None, **environment: str) -> Ran:
        """Run Python with the old package first in its path and without the checkout.

        The working directory is not in the path (-P), so that it can be any folder.
        """
        completed = subprocess.run(
            [sys.executable, "-P", *map(str, arguments)],
            cwd=cwd or self.packages,
            env=self.environment() | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(completed.returncode, completed.stdout, completed.stderr)

    def environment(self) -> dict[str, str]:
        """Return an environment whose Python path is the old package and the guard."""
        path = os.pathsep.join([str(self.packages), str(GUARD)])
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")
        }
        return inherited | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def build_old_package(folder: Path) -> OldPackage:
    """Build the wheel of version 0.1.0 in a new folder, offline, and unpack it there.

    Raises RuntimeError with the output of the build if it fails.
    """
    with tarfile.open(SOURCE) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    completed = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(folder / "wheel"),
            str(source),
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode != 0:
        raise RuntimeError(f"the old package does not build:\n{completed.stdout}{completed.stderr}")
    (wheel,) = (folder / "wheel").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "packages")
    return OldPackage(folder / "packages")
