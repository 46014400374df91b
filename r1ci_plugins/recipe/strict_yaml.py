"""YAML as recipes are written in it: YAML 1.2 where 1.1 surprises, no key twice, and the line of every key.

``on``, ``off``, ``yes`` and ``no`` are text, and so are dates.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from r1ci_plugins.errors import RecipeError

Lines = dict[tuple[str | int, ...], int]
"""The line of every key, by the path to it."""


class _Loader(yaml.SafeLoader):
    """SafeLoader whose only booleans are true and false, and that leaves dates as text."""


class _Dumper(yaml.SafeDumper):
    """SafeDumper that writes shared values twice rather than as anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_BOOL, _DATE = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_BOOL, _DATE)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


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
        raise RecipeError(
            f"not valid YAML: {problem}",
            where=f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where,
        ) from error
    except (ValueError, RecursionError) as error:  # a date that does not exist, a thousand brackets
        raise RecipeError(f"not usable YAML: {error}", where=where) from error


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
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def scalar(text: str) -> str:
    """A text on one line, in double quotes wherever YAML or a list in brackets would read something else."""
    plain = re.fullmatch(r"[A-Za-z][\w./-]*", text, re.ASCII) and parse(text, "")[0] == text
    return text if plain else json.dumps(text)
