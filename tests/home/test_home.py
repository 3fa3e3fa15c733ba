"""The home: one journal, a catalog that follows it, and deaths at every step."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest

import registry
from registry.core import entry as _entry
from registry.core.digest import canonical, digest_of
from registry.core.settings import from_environment
from registry.errors import (
    BrokenChain,
    CatalogDiverged,
    HomeNotFound,
    NewerFormat,
    StoreUnavailable,
    VersionNotFound,
)
from registry.home.home import Home
from registry.store.local import LocalBackend
from tests.support import plain
from tests.support.failing import Died, FailingBackend
from tests.support.refusals import raises
from tests.support.warm import Warm


def fold(home: Home) -> dict[str, object]:
    with home.reading():
        pass
    return home.dump()


def test_a_named_home_that_is_not_there_is_refused_with_the_command(tmp_path):
    with raises(HomeNotFound, f"registry init {tmp_path / 'typo'}"):
        registry.open(tmp_path / "typo")

    assert not (tmp_path / "typo").exists()


def test_the_default_home_makes_itself(tmp_path, monkeypatch):
    monkeypatch.delenv("REGISTRY_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    assert registry.open().list() == ()
    assert (tmp_path / "st-registry" / "journal").is_dir()


def test_making_a_home_twice_leaves_it_as_it_is(tmp_path):
    first = registry.init(tmp_path / "home")
    head = first.log()

    assert registry.init(tmp_path / "home").log() == head


def test_a_home_is_not_made_among_other_files(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")

    with raises(StoreUnavailable, f"'{tmp_path}'", "'thesis.txt'"):
        registry.init(tmp_path)


def test_a_folder_that_was_only_looked_into_by_a_desktop_is_empty(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".DS_Store").write_bytes(b"Bud1")

    assert registry.init(tmp_path / "home").list() == ()


def test_a_home_is_for_its_owner_alone(tmp_path):
    registry.init(tmp_path / "home")

    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


def test_the_catalog_deleted_is_rebuilt_row_for_row(tmp_path):
    home = a_full_home(tmp_path)
    before = fold(home)
    home.close()
    shutil.rmtree(home.root / "catalog")

    assert fold(Home.open(home.settings)) == before


@pytest.mark.slow
@pytest.mark.parametrize("catalog", ["lost", "behind"])
def test_a_gap_in_the_journal_is_no_end_of_it_nothing_is_written_into_it_and_nothing_freed(
    tmp_path, catalog
):
    home = a_full_home(tmp_path)
    if catalog == "behind":
        later = sorted((home.root / "journal").iterdir())[3:]
        for entry in later:
            entry.rename(tmp_path / entry.name)
        shutil.rmtree(home.root / "catalog")
        assert len(registry.open(home.root).log()) == 3
        for entry in later:
            (tmp_path / entry.name).rename(entry)
    home.close()
    gap = home.root / "journal" / f"{4:020}.json"
    gap.rename(tmp_path / "gap")
    if catalog == "lost":
        shutil.rmtree(home.root / "catalog")
    before = sorted(home.root.rglob("blobs/*/*/*"))

    with registry.open(home.root) as damaged:
        for act in (
            lambda: damaged.collect(older_than=0),
            lambda: damaged.annotate("minilm@1", {"k": "v"}),
        ):
            commands = ("registry repair --from HOME", "registry audit")
            with raises(BrokenChain, f"'{home.root}'", "entry 4", " 7", *commands):
                act()

    assert sorted(home.root.rglob("blobs/*/*/*")) == before
    assert not gap.exists()
    (tmp_path / "gap").rename(gap)
    assert len(registry.open(home.root).log()) == 7


def test_a_catalog_of_another_journal_is_refused(tmp_path):
    one, two = a_full_home(tmp_path / "one"), registry.init(tmp_path / "two" / "home").home
    one.close()
    two.close()
    shutil.rmtree(two.root / "catalog")
    shutil.copytree(one.root / "catalog", two.root / "catalog")

    commands = ("registry audit", "registry repair", "registry repair --accept-journal")
    with raises(CatalogDiverged, "entry 7", *commands):
        Home.open(two.settings).commit(lambda connection: None)


def test_an_entry_of_a_newer_kind_is_refused_and_nothing_written(tmp_path):
    home = registry.init(tmp_path / "home").home
    first = home.journal.read(1)
    value = {
        "format": 1,
        "number": 2,
        "id": "x" * 32,
        "time": _entry.now(),
        "by": "me",
        "kind": "Sign",
        "body": {},
        "previous": first.digest,
    }
    (home.root / "journal" / f"{2:020}.json").write_bytes(
        canonical({**value, "digest": digest_of(canonical(value))})
    )
    before = sorted(home.root.rglob("*"))

    with raises(NewerFormat, "entry 2", "'Sign'"):
        home.commit(lambda connection: _entry.Init("1" * 32))

    assert [path for path in sorted(home.root.rglob("*")) if "journal" in path.parts] == [
        path for path in before if "journal" in path.parts
    ]


@pytest.mark.slow
def test_sixteen_processes_register_at_once_on_a_cold_home(tmp_path):
    folders = [plain.base(tmp_path / f"model-{number}", seed=number) for number in range(16)]
    code = "import registry, sys; print(registry.init(sys.argv[1]).add(sys.argv[2], 'shared', measure=False).version.number)"
    with contextlib.closing(
        Warm(
            os.environ,
            (
                "registry.operations.registration.add",
                "registry.catalog.queries",
                "registry.model_files.checks",
            ),
        )
    ) as warm:
        running = [warm.start(tmp_path / "home", folder, code=code) for folder in folders]
        ended = [process.wait(120.0) for process in running]

    home = registry.open(tmp_path / "home")
    assert [process.code for process in ended] == [0] * 16, ended
    assert sorted(int(process.out) for process in ended) == list(range(1, 17))
    assert [version.number for version in home.list("shared")] == list(range(16, 0, -1))
    assert len(home.log()) == 17


# Deaths: each writing command dies at its n-th call of the back end, for all n. The registry must work then, and the same
# command, repeated, must succeed.


def a_full_home(place: Path) -> Home:
    made = registry.init(place / "home")
    base = plain.base(place / "base")
    resized = plain.base(place / "resized", added=("zorvaxin",))
    adapter = plain.adapter(place / "adapter", resized, added=("zorvaxin",))
    made.add(base, "minilm", measure=False)
    made.add(resized, "resized", parent="minilm@1", measure=False)
    made.add(adapter, "medical", alias="prod", measure=False)
    made.add(plain.base(place / "second", seed=5), "minilm", measure=False)
    made.annotate("minilm@2", {"owner": "anna"})
    return made.home


COMMANDS = {
    "add": lambda reg, place: reg.add(place / "third", "third", alias="new", measure=False),
    "alias": lambda reg, place: reg.alias("minilm@2", "stage"),
    "annotate": lambda reg, place: reg.annotate("minilm@1", {"k": "v"}),
    "yank": lambda reg, place: reg.yank("minilm@2", reason="wrong"),
    "delete": lambda reg, place: deleted(reg),
    "collect": lambda reg, place: reg.collect(older_than=0),
    "checkout": lambda reg, place: reg.checkout("medical@1"),
}


def deleted(reg: registry.Registry) -> None:
    with contextlib.suppress(VersionNotFound):  # it died after the entry was written
        reg.delete("minilm@2")
    assert [version.number for version in reg.list("minilm")] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_a_death_while_a_home_is_made_leaves_a_place_where_it_can_be_made(tmp_path, after):
    deaths = 0
    for call in range(1, 100):
        place = tmp_path / f"home-{call}"
        settings = from_environment(place)
        try:
            Home.create(
                settings, FailingBackend(LocalBackend(place), call, "die", after=after)
            ).close()
        except Died:
            deaths += 1
            assert registry.init(place).list() == ()
        else:
            break
    assert deaths > 2


@pytest.mark.slow
def test_a_death_after_any_step_of_a_resize_leaves_a_registry_that_works(tmp_path):
    home = a_full_home(tmp_path)
    home.close()

    assert (
        deaths(
            home, tmp_path, True, lambda reg: reg.resize("minilm@1", "grown", ["zorvin"]), step=3
        )
        > 2
    )


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("command", "after"),
    [
        *((command, False) for command in COMMANDS),
        *(
            (command, True) for command in COMMANDS if command != "checkout"
        ),  # which changes nothing in the store
    ],
)
def test_a_death_at_any_call_leaves_a_registry_that_works(tmp_path, command, after):
    home = a_full_home(tmp_path)
    plain.base(tmp_path / "third", seed=11)
    home.blobs.add(b"nobody needs this")
    home.close()

    count = deaths(
        home,
        tmp_path,
        after,
        lambda reg: COMMANDS[command](reg, tmp_path),
        step=2 if command in ("add", "checkout") else 1,
    )

    assert count > 0 or (
        command == "checkout" and after
    )  # a checkout changes nothing in the store, so there is no death after a change


def deaths(home: Home, folder: Path, after: bool, run, *, step: int = 1) -> int:
    """How often a command died, once at each of its calls, each time in another copy of the home, which works again each time.

    An ordinary run takes every step-th call; EVERY_BYTE=1 takes all.
    """
    count = 0
    for call in range(1, 1000, 1 if "EVERY_BYTE" in os.environ else step):
        place = Path(shutil.copytree(home.root, folder / f"home-{call}", symlinks=True))
        if survives(place, call, after, run):
            break
        count += 1
        works_again(place, run, rebuilt=call % 5 == 1)
        shutil.rmtree(place)
    return count


def survives(place: Path, call: int, after: bool, run) -> bool:
    reg = registry.Registry(place)
    reg._home = Home(reg.settings, FailingBackend(LocalBackend(place), call, "die", after=after))
    try:
        run(reg)
    except Died:
        return False
    finally:
        reg.close()
    return True


def works_again(place: Path, run, *, rebuilt: bool = True) -> None:
    reg = registry.open(place)
    assert {model.name for model in reg.list()} >= {"minilm", "resized", "medical"}
    assert reg.show("medical@1").version.parents[0].reference == "resized@1"
    run(reg)
    assert all(
        reg.home.blobs.verify(file.digest)
        for name in ("minilm@1", "resized@1", "medical@1")
        for file in reg.show(name).files
    )
    before = fold(reg.home)
    reg.close()
    if rebuilt:
        shutil.rmtree(place / "catalog")
        assert fold(Home.open(from_environment(place))) == before
