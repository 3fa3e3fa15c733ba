"""Write annotations and signatures as text that contains no module paths."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

PACKAGE = "registry"


class TypeWriter:
    """Write annotations as text; collect the classes of the package that they name.

    String aliases and names imported under TYPE_CHECKING are resolved, which
    `typing.get_type_hints` cannot do: `VersionLike | None` becomes
    `str | Version | None`.
    """

    def __init__(self, module_name: str) -> None:
        self._names = annotation_names(module_name)
        self.classes: set[type] = set()

    def text(self, annotation: Any) -> str:
        """Return the text of an annotation, given as a string or as a value."""
        if annotation is inspect.Parameter.empty:
            return "Any"
        if isinstance(annotation, str):
            return self._node(ast.parse(annotation, mode="eval").body)
        return self._value(annotation)

    def signature(self, function: Callable[..., Any]) -> str:
        """Return parameters and return type; `**keywords: Unpack[...]` is expanded."""
        signature = inspect.signature(function)
        parts = []
        previous = None
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and previous not in (
                parameter.KEYWORD_ONLY,
                parameter.VAR_POSITIONAL,
            ):
                parts.append("*")
            parts += self._parameter(parameter, needs_star=previous is not parameter.KEYWORD_ONLY)
            previous = parameter.kind
        return f"({', '.join(parts)}) -> {self.text(signature.return_annotation)}"

    def _parameter(self, parameter: inspect.Parameter, *, needs_star: bool) -> Iterator[str]:
        keywords = self._keywords(parameter)
        if keywords is not None:
            yield from ["*"] if needs_star else []
            yield from (f"{name}: {text} = ..." for name, text in keywords.items())
        elif parameter.annotation is parameter.empty and parameter.name in ("self", "cls"):
            yield parameter.name
        else:
            prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
            text = f"{prefix.get(parameter.kind, '')}{parameter.name}"
            text += f": {self.text(parameter.annotation)}"
            if parameter.default is not parameter.empty:
                text += f" = {default_text(parameter.default)}"
            yield text

    def _keywords(self, parameter: inspect.Parameter) -> dict[str, str] | None:
        """Return the types of an unpacked TypedDict by name, else None."""
        if parameter.kind is not parameter.VAR_KEYWORD:
            return None
        node = ast.parse(str(parameter.annotation), mode="eval").body
        if not isinstance(node, ast.Subscript):
            return None
        if ast.unparse(node.value).split(".")[-1] != "Unpack":
            return None
        typed_dict = self._evaluate(node.slice)
        writer = TypeWriter(typed_dict.__module__)
        assert not typed_dict.__required_keys__
        return {
            name: writer.text(raw_annotation(hint))
            for name, hint in typed_dict.__annotations__.items()
        }

    def _evaluate(self, node: ast.expr) -> Any:
        code = compile(ast.Expression(node), "<annotation>", "eval")
        names = {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
        # A string alias can name a module that only the file of its definition imports.
        modules = {name: import_module(name) for name in names & sys.stdlib_module_names}
        return eval(code, {**modules, **self._names})

    def _node(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            return self._value(node.value)
        if isinstance(node, ast.Name | ast.Attribute):
            return self._value(self._evaluate(node))
        if isinstance(node, ast.BinOp):
            return union_text([self._node(node.left), self._node(node.right)])
        if isinstance(node, ast.List | ast.Tuple):
            text = ", ".join(self._node(item) for item in node.elts)
            return f"[{text}]" if isinstance(node, ast.List) else text
        assert isinstance(node, ast.Subscript), ast.unparse(node)
        origin = self._node(node.value)
        if origin == "Literal":
            members = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return f"Literal[{', '.join(ast.unparse(member) for member in members)}]"
        return f"{origin}[{self._node(node.slice)}]"

    def _value(self, value: Any) -> str:
        if value is None or value is type(None):
            return "None"
        if value is Ellipsis:
            return "..."
        if isinstance(value, str | typing.ForwardRef):
            return self.text(raw_annotation(value))
        origin, arguments = typing.get_origin(value), typing.get_args(value)
        if origin in (types.UnionType, typing.Union):
            return union_text([self._value(argument) for argument in arguments])
        if origin is typing.Literal:
            return f"Literal[{', '.join(map(repr, arguments))}]"
        if isinstance(value, list | tuple):
            return f"[{', '.join(self._value(item) for item in value)}]"
        if origin is not None:
            return f"{self._value(origin)}[{', '.join(map(self._value, arguments))}]"
        if isinstance(value, type) and value.__module__.split(".")[0] == PACKAGE:
            self.classes.add(value)
        name = getattr(value, "__name__", None) or getattr(value, "_name", None)
        assert name, f"cannot write the annotation {value!r}"
        return str(name)


@cache
def annotation_names(module_name: str) -> dict[str, Any]:
    """Return the names that annotations of a module can use, for typing or not."""
    module = sys.modules[module_name]
    names = {**vars(builtins), **vars(module)}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) in (
            "TYPE_CHECKING",
            "typing.TYPE_CHECKING",
        ):
            block = compile(ast.Module(node.body, []), "<TYPE_CHECKING>", "exec")
            exec(block, names)
    return names


def raw_annotation(value: Any) -> Any:
    """Return the string of a forward reference, any other annotation unchanged."""
    return value.__forward_arg__ if isinstance(value, typing.ForwardRef) else value


def union_text(members: list[str]) -> str:
    """Return the members of a union without repetitions, nested unions flattened."""
    flat = [text for member in members for text in split_union(member)]
    return " | ".join(dict.fromkeys(flat))


def split_union(text: str) -> list[str]:
    """Return the members of a union that is given as text, brackets respected."""
    members, depth = [""], 0
    for token in text.split(" "):
        depth += token.count("[") - token.count("]")
        if token == "|" and depth == 0:
            members.append("")
        else:
            members[-1] += f" {token}" if members[-1] else token
    return members


def default_text(value: Any) -> str:
    """Return the text of a default; a function is its name, an Ellipsis three dots."""
    if value is Ellipsis:
        return "..."
    return value.__name__ if isinstance(value, types.FunctionType) else repr(value)
