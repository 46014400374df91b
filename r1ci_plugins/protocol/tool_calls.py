"""Native tool calls: the model calls the tool ``python`` in the form that its chat template knows.

A turn is read in any of the forms, so that none has to be named to train or evaluate; only a program teacher, which
writes calls, needs to know one. A call that cannot be used is answered with what is wrong with it.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from r1ci_plugins.protocol import answers
from r1ci_plugins.protocol.actions import Action, ActionKind
from r1ci_plugins.protocol.markdown import Block, Fences, Mark, prose_and_blocks

NAME = "python"
TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "Run a Python program and return what it prints. Each program starts fresh.",
        "parameters": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "The program."}},
            "required": ["code"],
        },
    },
}

_OPENING = re.compile(r"<tool_call>|to=functions\.\w+[^{}]{0,60}?<\|message\|>|\[TOOL_CALLS\]|<\|python_tag\|>")
_LLAMA = re.compile(r"\s*+(?=\{\s*+\"(?:name|type)\"\s*+:)")
_XML = re.compile(r"\s*+<function=([^>\n]*+)>")
_PARAMETER = "<parameter=code>"
_ARGS = re.compile(r"\s*+([\w.]+)(?:\[CALL_ID\]\w*)?\[ARGS\]")
_DECODER = json.JSONDecoder(strict=False)  # models write line ends into strings

Dialect = Literal["hermes", "qwen_xml", "gpt_oss", "mistral", "llama"]


class _Malformed(Exception):
    """A call that cannot be used; says why."""


def _json_call(code: str, arguments: str = "arguments") -> str:
    return json.dumps({"name": NAME, arguments: {"code": code}}, ensure_ascii=False)


_WRITERS: Mapping[str, Callable[[str], str]] = {
    "hermes": lambda code: f"<tool_call>\n{_json_call(code)}\n</tool_call>",
    "qwen_xml": lambda code: (
        f"<tool_call>\n<function={NAME}>\n{_PARAMETER}\n{code}\n</parameter>\n</function>\n</tool_call>"
    ),
    "gpt_oss": lambda code: (
        f" to=functions.{NAME}<|channel|>commentary json<|message|>{json.dumps({'code': code}, ensure_ascii=False)}"
    ),
    "mistral": lambda code: f"[TOOL_CALLS][{_json_call(code)}]",
    "llama": lambda code: _json_call(code, "parameters"),
}


@dataclass(frozen=True)
class ToolCallsFormat:
    """Native tool calls, and ``<<<answer>>>``.

    Attributes:
        dialect: The form in which a program teacher writes calls; reading knows them all.
        tools: What the chat template shows to the model, in its own place.
    """

    instructions: str = (
        f"Solve the problem step by step. When exact computation, search or symbolic work helps, call the tool {NAME} "
        "with a Python program: its output is given back to you. Each program starts fresh, so print what you need. "
        "You may repeat this, or reason in text alone when that is enough. Put the final answer between <<< and >>>, "
        "like <<<answer>>>."
    )
    stop: tuple[str, ...] = ("</tool_call>",)
    code_in_thinking: bool = False
    dialect: Dialect = "hermes"

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        return (TOOL,)

    def parse(self, text: str) -> Action:
        """The first call, else the last real answer outside code, quotes and thinking, else nothing.

        A call that is not finished is none; one that is wrong is refused, with the reason as the content.
        """
        fences = Fences(text)
        calls = [Mark(*found.span(), found[0], (0, 0)) for found in _OPENING.finditer(text)]
        if start := _LLAMA.match(text):
            calls.insert(0, Mark(start.end(), start.end(), "{", (0, 0)))
        places = {id(mark): place for place, mark in enumerate(fences.marks)}
        marks = sorted([*fences.marks, *calls], key=lambda mark: mark.start)

        def block_at(place: int) -> Block | None:
            mark = marks[place]
            if id(mark) not in places:
                return _call_block(text, mark)
            block = fences.block_at(places[id(mark)])
            return replace(block, program=False) if block else None

        blocks, prose = prose_and_blocks(text, self.code_in_thinking, marks, block_at)
        if blocks and blocks[-1].program and blocks[-1].closed:
            call = blocks[-1]
            try:
                return Action(ActionKind.CODE, _code_of(text[call.start : call.stop]), call.end)
            except _Malformed as error:
                return Action(ActionKind.REFUSED, f"Error: the call was not run: {error}", call.end)
        final = answers.marked(prose, "<<<", ">>>")
        return Action(ActionKind.ANSWER, final[-1], len(text)) if final else Action(ActionKind.VOID, "", len(text))

    def code_turn(self, text: str, code: str) -> str:
        """Text, then a call in the dialect. Llama's calls and gpt-oss' have no text before them in their turn."""
        call = _WRITERS[self.dialect](code.rstrip())
        if self.dialect == "gpt_oss":
            return f"<|channel|>analysis<|message|>{text}<|end|><|start|>assistant{call}" if text else call
        return call if self.dialect == "llama" else f"{text}\n{call}".lstrip("\n")

    def answer_turn(self, text: str, answer: str) -> str:
        """Text, then the marked answer."""
        return f"{text} <<<{answer}>>>".lstrip()


def _call_block(text: str, mark: Mark) -> Block:
    """The text of a call; closed where the call is finished, rightly or not."""
    if mark.word == "<tool_call>":
        stop = text.find("</tool_call>", mark.end)
        closed = stop != -1
        return Block(True, mark.end, stop if closed else len(text), stop + 12 if closed else len(text), closed)
    start = mark.end
    if named := _ARGS.match(text, start):
        start = named.end()
    try:
        _, stop = _DECODER.raw_decode(text, len(text) - len(text[start:].lstrip()))
    except RecursionError:
        return Block(True, mark.start, len(text), len(text), True)
    except ValueError as error:
        position = getattr(error, "pos", 0)
        broken_off = position >= len(text.rstrip()) or "Unterminated" in str(error)
        return Block(True, mark.start, len(text), len(text), not broken_off)
    return Block(True, mark.start, stop, stop, True)


def _code_of(call: str) -> str:
    """The program of a call's text. Raises _Malformed."""
    found = _OPENING.match(call)
    form, rest = (found[0], call[found.end() :]) if found else ("", call)
    if xml := _XML.match(rest):
        return _xml_code(xml[1].strip(), rest)
    name = NAME
    if form.startswith("to="):
        name = re.split(r"[^\w]", form.removeprefix("to=functions."))[0]
    if named := _ARGS.match(rest):
        name, rest = named[1], rest[named.end() :]
    made = _loaded(rest.strip())
    if isinstance(made, list):
        made = made[0] if made else None
    if not isinstance(made, dict):
        raise _Malformed(f"it must be an object such as {_json_call('print(1)')}")
    arguments: Any = made
    if "name" in made or "arguments" in made or "parameters" in made:
        name = made.get("name", name)
        arguments = made.get("arguments", made.get("parameters"))
    if isinstance(arguments, str):
        arguments = _loaded(arguments)
    _check_name(name)
    code = arguments.get("code") if isinstance(arguments, dict) else None
    if not isinstance(code, str):
        raise _Malformed(f'{NAME} needs the argument "code", a text')
    return code


def _xml_code(name: str, rest: str) -> str:
    _check_name(name)
    start = rest.find(_PARAMETER)
    stop = rest.rfind("</parameter>")
    if start == -1 or stop < start:
        raise _Malformed(f"{NAME} needs the parameter code, between {_PARAMETER} and </parameter>")
    return rest[start + len(_PARAMETER) : stop].removeprefix("\n").removesuffix("\n")


def _check_name(name: object) -> None:
    if not isinstance(name, str) or name.removeprefix("functions.") != NAME:
        raise _Malformed(f"there is no tool {str(name)[:40]!r}; the only one is {NAME}")


def _loaded(text: str) -> Any:
    try:
        return _DECODER.raw_decode(text)[0]
    except RecursionError:
        raise _Malformed("its JSON is nested too deeply") from None
    except ValueError as error:
        raise _Malformed(f"its JSON cannot be read: {error}") from None
