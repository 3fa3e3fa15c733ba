from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from registry.core.settings import from_environment, read_config, write_config
from registry.errors import Invalid
from tests.support.refusals import raises

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def test_the_flag_beats_the_environment_and_the_environment_beats_the_default() -> None:
    environment = {"REGISTRY_HOME": "/from/environment", "XDG_DATA_HOME": "/data"}

    assert from_environment("/from/flag", environment).home == Path("/from/flag")
    assert from_environment(None, environment).home == Path("/from/environment")
    assert from_environment(None, {"XDG_DATA_HOME": "/data"}).home == Path("/data/st-registry")


@pytest.mark.parametrize(
    ("home", "environment", "named"),
    [
        ("/a", {}, True),
        (Path("a"), {}, True),
        (None, {"REGISTRY_HOME": "/a"}, True),
        (None, {"REGISTRY_HOME": ""}, False),
        (None, {}, False),
    ],
)
def test_only_a_home_that_somebody_named_counts_as_named(
    home: str | Path | None, environment: dict[str, str], named: bool
) -> None:
    assert from_environment(home, environment).home_was_named is named


def test_without_any_variable_everything_lies_in_the_users_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))

    settings = from_environment(None, {})

    assert settings.home == tmp_path / ".local" / "share" / "st-registry"
    assert settings.cache == tmp_path / ".cache" / "st-registry"
    assert settings.user is None


def test_on_a_mac_everything_lies_where_macs_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setenv("HOME", str(tmp_path))

    settings = from_environment(None, {})

    assert settings.home == tmp_path / "Library" / "Application Support" / "st-registry"
    assert settings.cache == tmp_path / "Library" / "Caches" / "st-registry"


def test_paths_are_absolute_and_a_tilde_is_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    settings = from_environment("models", {"REGISTRY_CACHE": "~/cache"})

    assert settings.home == tmp_path / "models"
    assert settings.cache == tmp_path / "cache"


def test_a_link_in_the_path_of_a_home_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    assert from_environment(tmp_path / "link", {}).home == tmp_path / "link"


def test_the_cache_and_the_person_come_from_the_environment() -> None:
    settings = from_environment(
        None, {"REGISTRY_CACHE": "/scratch", "REGISTRY_USER": "ada", "XDG_CACHE_HOME": "/cache"}
    )

    assert (settings.cache, settings.user) == (Path("/scratch"), "ada")
    assert from_environment(None, {"XDG_CACHE_HOME": "/cache"}).cache == Path("/cache/st-registry")


def test_a_home_without_settings_has_none(tmp_path: Path) -> None:
    assert read_config(tmp_path) == {}


@given(first=st.dictionaries(TEXT, TEXT), second=st.dictionaries(TEXT, TEXT))
def test_the_last_settings_written_are_the_ones_read(
    tmp_path_factory: pytest.TempPathFactory, first: dict, second: dict
) -> None:
    home = tmp_path_factory.mktemp("home")

    write_config(home, first)
    write_config(home, second)

    assert read_config(home) == second
    assert [path.name for path in (home / "local").iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'"x"', b'{"user.name":1}', b'{"a":null}', b"\xff", b'{"a":"1","a":"2"}'],
)
def test_damaged_settings_are_refused_by_the_name_of_their_file(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "config.json").write_bytes(content)

    with raises(Invalid, str(tmp_path / "local" / "config.json")):
        read_config(tmp_path)
