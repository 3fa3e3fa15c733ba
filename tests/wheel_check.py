"""The built wheel works on its own: installed in a fresh environment, away from the checkout, it makes a home and lists it.

    .venv/bin/python tests/wheel_check.py

The libraries it needs are those of the environment that runs this: a path file puts them behind the fresh environment's own,
where `registry` is found only in the wheel. What is built is a copy, so that nothing of the checkout's state comes along.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_BUILT_FROM = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "dist", "build"
)
WHERE = "import registry, importlib.metadata as m; print(registry.__file__, registry.__version__, m.version('st-registry'))"
AS_SOMEBODY_ELSE = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "REGISTRY_HOME", "REGISTRY_CACHE")


def main() -> None:
    """Build, look inside, install, run; ends with the first thing that is wrong."""
    with tempfile.TemporaryDirectory(prefix="st-registry-wheel-") as temporary:
        folder = Path(temporary).resolve()
        wheel = build(folder)
        look_inside(wheel)
        scripts = install(wheel, folder / "fresh")
        use(scripts, folder)
    print(f"wheel check: {wheel.name} passed")


def build(folder: Path) -> Path:
    """The wheel, built from a copy of the checkout by the tools that are installed, so that no network is needed."""
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=NOT_BUILT_FROM, symlinks=True)
    run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(folder / "dist"),
            str(source),
        ],
        folder,
    )
    (wheel,) = (folder / "dist").iterdir()
    return wheel


def look_inside(wheel: Path) -> None:
    """Every file of the package and of the migrations is there, and nothing that is not the package's."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("/licenses/LICENSE")]
    wanted = {f"registry/{path}" for path in files_below(ROOT / "registry")}
    wanted |= {f"registry/_migrations/{path}" for path in files_below(ROOT / "migrations")}
    demand(not wanted - inside, f"the wheel lacks {', '.join(sorted(wanted - inside))}")
    demand(
        not inside - wanted,
        f"the wheel holds {', '.join(sorted(inside - wanted))}, which the checkout does not",
    )
    for name in (
        "registry/py.typed",
        "registry/DESIGN.md",
        "registry/_migrations/env.py",
        "registry/_migrations/script.py.mako",
    ):
        demand(name in inside, f"the wheel lacks {name}")
    demand(
        any(name.startswith("registry/_migrations/versions/0001") for name in inside),
        "the wheel lacks the first migration",
    )
    demand(bool(licences), "the wheel lacks the licence")


def install(wheel: Path, fresh: Path) -> Path:
    """The folder of commands of a new environment that holds the wheel, and borrows the libraries."""
    run([sys.executable, "-m", "venv", "--without-pip", str(fresh)], fresh.parent)
    python = fresh / "bin" / "python"
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            str(wheel),
        ],
        fresh.parent,
    )
    (packages,) = fresh.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def use(scripts: Path, folder: Path) -> None:
    """The installed command makes a home and answers, far from the checkout and with no variable of its maker."""
    elsewhere, home = folder / "elsewhere", folder / "home"
    elsewhere.mkdir()
    place, version, announced = run([str(scripts / "python"), "-c", WHERE], elsewhere).split()
    demand(
        Path(place).is_relative_to(scripts.parent),
        f"registry was imported from {place}, not from the wheel",
    )
    demand(
        version == announced,
        f"registry.__version__ is {version}, the distribution says {announced}",
    )
    run([str(scripts / "registry"), "init", str(home)], elsewhere)
    catalogs = list((home / "catalog").glob("*.db"))
    demand(len(catalogs) == 1, f"after init the home has {len(catalogs)} catalogs")
    listed = run([str(scripts / "registry"), "--home", str(home), "list"], elsewhere)
    demand("Traceback" not in listed, listed)
    run([str(scripts / "python"), "-m", "registry", "--home", str(home), "log"], elsewhere)
    demand(not any(elsewhere.iterdir()), "the commands left files in the working folder")


def files_below(folder: Path) -> set[str]:
    """Paths of what belongs into a wheel, relative to the folder."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def run(command: list[str], folder: Path) -> str:
    """What a command prints; ends this check, with all that the command said, if it fails."""
    environment = {key: value for key, value in os.environ.items() if key not in AS_SOMEBODY_ELSE}
    ran = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    demand(
        ran.returncode == 0,
        f"{' '.join(command)} exited with {ran.returncode}:\n{ran.stdout}{ran.stderr}",
    )
    return ran.stdout


def demand(holds: bool, otherwise: str) -> None:
    """Ends this check with a message unless something holds."""
    if not holds:
        sys.exit(f"wheel check: {otherwise}")


if __name__ == "__main__":
    main()
