"""YAML as recipes are written in it: YAML 1.2 where 1.1 surprises, no key twice, and the line of every key.

``on``, ``off``, ``yes`` and ``no`` are text, and so is everything that looks like a number to YAML 1.1 alone, or is
another number there: dates, ``12:30``, ``010``, ``1_000``, ``0x1F``. ``1e-6`` stays as it is written; where
a key takes a number it is one.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from r1ci_plugins.errors import RecipeError

Lines = dict[tuple[str | int, ...], int]
"""The line of every key, by the path to it."""


class _Loader(yaml.SafeLoader):
    """SafeLoader that takes for booleans and numbers what people do; anything else is text."""


class _Dumper(yaml.SafeDumper):
    """SafeDumper that writes shared values twice rather than as anchors, and quotes what any YAML would not read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_TAG = "tag:yaml.org,2002:"
_OURS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
_KEPT = (f"{_TAG}null", f"{_TAG}merge")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, (_pattern, _first) in _OURS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))

_QUOTE = "put the text between double quotes"


def parse(text: str, where: str) -> tuple[Any, Lines]:
    """The YAML value, and the line of every key."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, {}
            lines: Lines = {}
            _walk(node, (), lines, [], where)
            return loader.construct_document(node), lines
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        if problem.endswith("'\\x00'"):  # PyYAML's word for the end
            problem = problem.partition(", but found")[0] + ", and the text ends"
        raise RecipeError(
            f"not valid YAML: {problem}",
            where=f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where,
            fix=_remedy(problem),
        ) from error
    except (ValueError, RecursionError) as error:  # a date that does not exist, a thousand brackets
        raise RecipeError(f"not usable YAML: {error}", where=where) from error


def _remedy(problem: str) -> str | None:
    """What to do about a problem that PyYAML words for people who know YAML's grammar."""
    if "\\t" in problem:
        return "indent with blanks, not with tabs"
    if "escape" in problem:
        return "put the text between single quotes: between double quotes \\ begins an escape"
    if any(word in problem for word in ("alphabetic", "alias", "anchor", "tag", "cannot start any token")):
        return f"{_QUOTE}: at its beginning * & ! % @ and ` mean something else to YAML"
    if "mapping values are not allowed" in problem:
        return f"{_QUOTE}, if its colon belongs to it; else begin a new line"
    if "another document" in problem:
        return "one file holds one recipe: take out the line ---"
    return None


def _walk(node: yaml.Node, path: tuple[str | int, ...], lines: Lines, above: list[yaml.Node], where: str) -> None:
    """Note each key's line; refuse keys that appear twice and values that contain themselves."""
    if any(node is other for other in above):
        raise RecipeError("a value contains itself", where=f"{where}, line {node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise RecipeError(
                    f"the key {key.value!r} appears twice",
                    where=f"{where}, lines {seen[key.value]} and {line}",
                    fix="keep one of the two",
                )
            if isinstance(key.value, str):
                seen[key.value] = lines[(*path, key.value)] = line
            _walk(value, (*path, str(key.value)), lines, [*above, node], where)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + 1
            _walk(value, (*path, index), lines, [*above, node], where)


def dump(values: Any) -> str:
    """Values as YAML that ``parse`` reads back equal."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=110)


def scalar(text: str) -> str:
    """A text on one line, in double quotes wherever YAML or a list in brackets would read something else."""
    plain = re.fullmatch(r"[A-Za-z][\w./-]*", text, re.ASCII) and parse(text, "")[0] == text
    return text if plain else yaml.dump(text, default_style='"', width=1 << 30).strip()
