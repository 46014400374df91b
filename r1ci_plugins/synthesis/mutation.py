"""First programs that fail: a correct program with one slip, of the kind that people and models make.

Edits are made in the source text, so that a repaired program differs from the broken one only in the slip. Nothing
here knows what a mutant will do: it runs, and what it really prints goes into the trajectory.
"""

import ast
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A program with one slip.

    Attributes:
        code: The program.
        kind: The slip's name, such as ``misspelt_name``.
        slip: What is wrong with it, as a clause: ``I misspelt `words` as `wrods```.
    """

    code: str
    kind: str
    slip: str


def crashing(code: str, rng: random.Random) -> Mutant | None:
    """A mutant that raises or prints nothing. None if the code has no place for such a slip."""
    return _mutate(code, rng, [_misspelt_name, _missing_import, _missing_colon, _missing_bracket, _missing_print])


def misleading(code: str, rng: random.Random) -> Mutant | None:
    """A mutant that most likely prints something else. None if the code has no place for such a slip."""
    return _mutate(code, rng, [_short_range, _wrong_operator, _wrong_order, _wrong_comparison, _wrong_constant])


def _mutate(code: str, rng: random.Random, finders: list[Callable[["_Source"], Iterator[Mutant]]]) -> Mutant | None:
    try:
        source = _Source(code)
    except (SyntaxError, ValueError):
        return None
    for finder in rng.sample(finders, len(finders)):
        mutants = list(finder(source))
        if mutants:
            return rng.choice(mutants)
    return None


class _Source:
    """A program's text and tree, and the positions of its nodes in the text."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.tree = ast.parse(code)
        self._lines = code.encode().splitlines(keepends=True)

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Character offsets of a node."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.code[start:end]

    def replaced(self, start: int, end: int, text: str) -> str:
        return self.code[:start] + text + self.code[end:]

    def safe_nodes(self) -> list[ast.AST]:
        """Nodes whose change cannot cause an endless loop: none of a program with a while loop, none in recursion."""
        nodes = list(ast.walk(self.tree))
        if any(isinstance(node, ast.While) for node in nodes):
            return []  # its condition may depend on anything
        unsafe = set[ast.AST]()
        for function in nodes:
            if isinstance(function, ast.FunctionDef) and any(_calls(ast.walk(function), function.name)):
                unsafe.update(ast.walk(function))
        return [node for node in nodes if node not in unsafe]

    def _offset(self, line: int, column: int) -> int:
        return len((b"".join(self._lines[: line - 1]) + self._lines[line - 1][:column]).decode())


def _calls(nodes: Iterable[ast.AST], name: str) -> Iterator[ast.Call]:
    """The nodes that call a function by its name."""
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


# -- slips that crash -------------------------------------------------------------------------------------------------


def _misspelt_name(source: _Source) -> Iterator[Mutant]:
    """A name that the program defines, with two letters swapped in one place where it is read."""
    nodes = list(ast.walk(source.tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names and len(node.id) > 3:
            word = node.id
            wrong = word[:-3] + word[-2] + word[-3] + word[-1]
            # Inside an f-string, positions are not those in the text.
            if wrong != word and wrong not in names and source.text(node) == word:
                code = source.replaced(*source.span(node), wrong)
                yield Mutant(code, "misspelt_name", f"I misspelt `{word}` as `{wrong}`")


def _missing_import(source: _Source) -> Iterator[Mutant]:
    for node in source.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            code = source.replaced(*source.span(node), "").lstrip("\n")
            yield Mutant(code, "missing_import", f"the line `{source.text(node)}` is missing")


def _missing_colon(source: _Source) -> Iterator[Mutant]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.For | ast.If | ast.While | ast.FunctionDef):
            start = source.span(node)[0]
            end = source.code.find("\n", start) - 1
            if end >= 0 and source.code[end] == ":":
                slip = f"I left out the colon after `{source.code[start:end]}`"
                yield Mutant(source.replaced(end, end + 1, ""), "missing_colon", slip)


def _missing_bracket(source: _Source) -> Iterator[Mutant]:
    for call in _calls(ast.walk(source.tree), "print"):
        end = source.span(call)[1]
        if source.code[end - 1 : end] == ")":
            code = source.replaced(end - 1, end, "")
            yield Mutant(code, "missing_bracket", "the call of `print` was never closed")


def _missing_print(source: _Source) -> Iterator[Mutant]:
    statements = [node for node in ast.walk(source.tree) if isinstance(node, ast.Expr)]
    prints = [(node, call) for node in statements for call in _calls([node.value], "print")]
    if len(prints) == 1:
        [(statement, call)] = prints
        if len(call.args) == 1 and not isinstance(call.args[0], ast.Starred) and not call.keywords:
            code = source.replaced(*source.span(statement), f"result = {source.text(call.args[0])}")
            yield Mutant(code, "missing_print", "I computed the result and never printed it")


# -- slips that mislead -----------------------------------------------------------------------------------------------


def _short_range(source: _Source) -> Iterator[Mutant]:
    for call in _calls(source.safe_nodes(), "range"):
        if call.args:
            stop = call.args[min(1, len(call.args) - 1)]
            text = source.text(stop)
            code = source.replaced(*source.span(stop), text[:-4] if text.endswith(" + 1") else f"{text} - 1")
            yield Mutant(code, "short_range", f"the range ends one too early: its end has to be `{text}`")


_SWAPS: dict[type[ast.operator], tuple[str, str]] = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "+")}


def _wrong_operator(source: _Source) -> Iterator[Mutant]:
    for node in source.safe_nodes():
        if isinstance(node, ast.BinOp) and type(node.op) in _SWAPS and not _is_text(node):
            right, wrong = _SWAPS[type(node.op)]
            start, end = source.span(node.left)[1], source.span(node.right)[0]
            between = source.code[start:end]
            if between.count(right) == 1:
                code = source.replaced(start, end, between.replace(right, wrong))
                yield Mutant(code, "wrong_operator", f"I wrote `{wrong}` where `{right}` belongs")


def _is_text(node: ast.BinOp) -> bool:
    """Whether an operation may be one of texts or lists, judged by the literals in it."""
    parts = [part for part in ast.walk(node) if isinstance(part, ast.Constant | ast.JoinedStr | ast.List | ast.Tuple)]
    return any(not isinstance(part, ast.Constant) or isinstance(part.value, str) for part in parts)


def _wrong_order(source: _Source) -> Iterator[Mutant]:
    for call in _calls(source.safe_nodes(), "sorted"):
        if not any(keyword.arg == "reverse" for keyword in call.keywords):
            end = source.span(call)[1] - 1
            code = source.replaced(end, end, ", reverse=True")
            yield Mutant(code, "wrong_order", "I sorted in descending order, and ascending order is wanted")


_FLIPS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
}


def _wrong_comparison(source: _Source) -> Iterator[Mutant]:
    for node in source.safe_nodes():
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _FLIPS:
            right, wrong = _FLIPS[type(node.ops[0])]
            start, end = source.span(node.left)[1], source.span(node.comparators[0])[0]
            between = source.code[start:end]
            if between.strip() == right:
                code = source.replaced(start, end, between.replace(right, wrong))
                yield Mutant(code, "wrong_comparison", f"the comparison has to be `{right}`, not `{wrong}`")


def _wrong_constant(source: _Source) -> Iterator[Mutant]:
    """A forgotten offset of one: ``x + 1`` becomes ``x``."""
    for node in source.safe_nodes():
        match node:
            case ast.BinOp(op=ast.Add(), right=ast.Constant(value=1)):
                code = source.replaced(*source.span(node), source.text(node.left))
                yield Mutant(code, "forgotten_offset", f"I forgot to add one in `{source.text(node)}`")
