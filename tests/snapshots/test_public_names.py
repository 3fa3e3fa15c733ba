"""Public names, signatures, result types, errors and import paths do not change."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import re
import subprocess
import sys
import tomllib
import typing
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import registry
import registry.errors
from tests.snapshots.package import ROOT, module_names
from tests.snapshots.snapshot import assert_same_json, assert_same_text
from tests.snapshots.type_text import PACKAGE, TypeWriter, default_text


def public_names(container: Any) -> list[str]:
    return sorted(name for name in vars(container) if not name.startswith("_"))


def test_the_names_of_the_package() -> None:
    listed = sorted(registry.__all__)
    unlisted = set(listed) - set(dir(registry))

    assert unlisted == set()
    assert_same_text("public_names.txt", "".join(f"{name}\n" for name in listed))


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        registry.nonsense  # noqa: B018


def test_the_signatures_of_functions_and_methods() -> None:
    functions = {
        name: value
        for name in registry.__all__
        if inspect.isfunction(value := getattr(registry, name))
    }
    signatures: dict[str, Any] = {
        "functions": {name: signatures_of(function) for name, function in functions.items()},
        "Registry": members_of(registry.Registry),
        "Registry()": signatures_of(registry.Registry.__init__),
        "RegistryCallback": members_of(registry_callback()),
        "RegistryCallback()": signatures_of(registry_callback().__init__),
    }

    assert_same_json("signatures.json", signatures)


def test_the_fields_of_results(tmp_path: Path) -> None:
    classes = reachable_classes([type(registry.Registry(tmp_path).settings)])

    assert_same_json("results.json", {cls.__name__: members_of(cls) for cls in classes})


def test_every_result_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = [cls.__name__ for cls in reachable_classes([])]

    assert sorted(set(names)) == sorted(names)


def test_the_public_attributes_of_an_open_registry(tmp_path: Path) -> None:
    with registry.init(tmp_path / "home") as opened:
        attributes = sorted(name for name in vars(opened) if not name.startswith("_"))

    assert attributes == ["settings"]


def test_the_exception_tree_and_its_exit_codes() -> None:
    def lines(error: type[registry.RegistryError], depth: int = 0) -> Iterator[str]:
        builtin_bases = [
            base.__name__
            for base in error.__bases__
            if not issubclass(base, registry.RegistryError) and base is not Exception
        ]
        more = f" ({', '.join(builtin_bases)})" if builtin_bases else ""
        yield f"{'  ' * depth}{error.__name__} {error.exit_code}{more}\n"
        for child in sorted(error.__subclasses__(), key=lambda child: child.__name__):
            if getattr(registry.errors, child.__name__, None) is child:
                yield from lines(child, depth + 1)

    assert_same_text("errors.txt", "".join(lines(registry.RegistryError)))


def test_every_public_name_of_errors_is_in_the_exception_tree() -> None:
    classes = [value for value in vars(registry.errors).values() if isinstance(value, type)]

    assert registry.errors.RegistryError is registry.RegistryError
    assert [cls for cls in classes if not issubclass(cls, registry.RegistryError)] == []


def test_no_other_module_defines_an_error_of_the_tree() -> None:
    names = {value.__name__ for value in vars(registry.errors).values() if isinstance(value, type)}
    classes = {f"{path.name}: {text}" for path, text in sources() if text.startswith("class ")}
    derived = {text for text in classes if names & set(re.findall(r"\w+", text.partition("(")[2]))}

    assert len(classes) > len(names)
    assert {text for text in derived if not text.startswith("errors.py: ")} == set()


def test_the_command_is_registry_cli_main() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    entry_point = EntryPoint("registry", project["scripts"]["registry"], "console_scripts")
    main = entry_point.load()

    assert project["scripts"] == {"registry": "registry.cli:main"}
    assert TypeWriter(main.__module__).signature(main) == (
        "(arguments: Sequence[str] | None = None) -> int"
    )


def test_the_command_is_still_a_function_after_it_has_run(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    command_line = import_module("registry.cli")

    assert command_line.main(["--version"]) == 0
    assert command_line.main(["--version"]) == 0
    assert capsys.readouterr().out == f"registry {registry.__version__}\n" * 2


def test_the_package_runs_as_a_module() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "registry", "--version"], capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"registry {registry.__version__}\n", "")


def test_the_callback_is_a_callback_of_transformers() -> None:
    callback = registry_callback()

    assert (callback.__module__, callback.__name__) == ("registry.integrations", "RegistryCallback")
    assert "TrainerCallback" in [base.__name__ for base in callback.__mro__]
    assert import_module("registry.integrations").__all__ == ["RegistryCallback"]


def test_the_public_attributes_of_the_callback(tmp_path: Path) -> None:
    registry.init(tmp_path / "home").close()
    callback = registry_callback()("medical", home=tmp_path / "home")

    attributes = sorted(name for name in vars(callback) if not name.startswith("_"))

    assert attributes == ["checkpoints", "keep", "saved"]


def test_the_names_of_the_loggers() -> None:
    names = {name for _, line in sources() for name in re.findall(r"getLogger\(\"(.*?)\"\)", line)}

    assert sorted(names) == ["huggingface_hub", "registry.libraries"]


def test_the_logger_of_the_libraries_is_silent_unless_a_program_listens() -> None:
    logger = logging.getLogger("registry.libraries")
    for name in module_names():
        import_module(name)

    assert [type(handler).__name__ for handler in logger.handlers] == ["NullHandler"]


def registry_callback() -> Any:
    return import_module("registry.integrations").RegistryCallback


def signatures_of(function: Any, writer: TypeWriter | None = None) -> list[str]:
    """Return the signature of a function, and those of its overloads before it."""
    function = inspect.unwrap(function)
    writer = writer or TypeWriter(function.__module__)
    overloads = typing.get_overloads(function)
    return [writer.signature(signature) for signature in (*overloads, function)]


def members_of(cls: type) -> dict[str, Any]:
    """Return the fields, properties and methods of a class, inherited ones included."""
    members: dict[str, Any] = {"fields": fields_of(cls), "properties": {}, "methods": {}}
    for part in package_classes(cls):
        writer = TypeWriter(part.__module__)
        for name in public_names(part):
            member = inspect.getattr_static(part, name)
            if isinstance(member, property):
                text = writer.text(inspect.signature(member.fget).return_annotation)
                members["properties"][name] = text
            elif isinstance(member, classmethod | staticmethod):
                kind = type(member).__name__
                members["methods"][name] = [
                    f"{kind} {text}" for text in signatures_of(member.__func__, writer)
                ]
            elif inspect.isfunction(member):
                members["methods"][name] = signatures_of(member, writer)
    return {kind: content for kind, content in members.items() if content}


def fields_of(cls: type) -> list[str]:
    """Return fields in their order as `name: type`, with the default if it has one."""
    defaults: dict[str, str] = {}
    if dataclasses.is_dataclass(cls):
        for field in dataclasses.fields(cls):
            if field.default is not dataclasses.MISSING:
                defaults[field.name] = default_text(field.default)
            elif field.default_factory is not dataclasses.MISSING:
                defaults[field.name] = f"{field.default_factory.__name__}()"
    else:
        defaults = {
            name: default_text(value) for name, value in getattr(cls, "_field_defaults", {}).items()
        }
    lines = []
    for part in package_classes(cls):
        writer = TypeWriter(part.__module__)
        for name, annotation in inspect.get_annotations(part).items():
            if not name.startswith("_"):
                text = f"{name}: {writer.text(annotation_of(annotation))}"
                lines.append(text + (f" = {defaults[name]}" if name in defaults else ""))
    return lines


def annotation_of(annotation: Any) -> Any:
    """Return the annotation as written; NamedTuple makes it a forward reference."""
    return annotation.__forward_arg__ if isinstance(annotation, typing.ForwardRef) else annotation


def package_classes(cls: type) -> list[type]:
    """Return a class and its bases that this package defines, the most basic first."""
    return [part for part in reversed(cls.__mro__) if part.__module__.split(".")[0] == PACKAGE]


def reachable_classes(roots: list[type]) -> list[type]:
    """Return the roots and the classes that methods return, with fields."""
    waiting = [*roots]
    methods = [value for value in vars(registry.Registry).values() if inspect.isfunction(value)]
    functions = [getattr(registry, name) for name in registry.__all__]
    for function in [*methods, *filter(inspect.isfunction, functions)]:
        if not function.__name__.startswith("_"):
            writer = TypeWriter(function.__module__)
            writer.text(inspect.signature(function).return_annotation)
            waiting += writer.classes
    reached: dict[type, None] = {}
    while waiting:
        cls = waiting.pop()
        if cls in reached or cls is registry.Registry or issubclass(cls, BaseException):
            continue
        reached[cls] = None
        for part in package_classes(cls):
            writer = TypeWriter(part.__module__)
            properties = [
                value.fget
                for name, value in vars(part).items()
                if isinstance(value, property) and not name.startswith("_")
            ]
            hints = [annotation_of(value) for value in inspect.get_annotations(part).values()]
            hints += [inspect.signature(getter).return_annotation for getter in properties]
            for hint in hints:
                writer.text(hint)
            waiting += writer.classes
    return sorted(reached, key=lambda cls: cls.__name__)


def sources() -> Iterator[tuple[Path, str]]:
    """Yield the lines of every module of the package."""
    for path in sorted(ROOT.rglob("*.py")):
        yield from ((path, line) for line in path.read_text(encoding="utf-8").splitlines())
