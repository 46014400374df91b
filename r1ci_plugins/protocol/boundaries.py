"""What a chat template writes around questions, turns and feedback, read off conversations that it renders.

Generation decides: the prompt, and the start of each of the model's turns, are what the template writes for it.
How it renders a turn once the turn is history decides only what closes it. Some templates render it otherwise then:
they drop its thinking (Qwen3), or the ``<think>`` that generation opened (DeepSeek-R1), or write a channel's name that
the model samples itself (gpt-oss). The sequence keeps what was sampled; ``rewrites`` says that history differs.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from r1ci_plugins.errors import TemplateError
from r1ci_plugins.protocol import thinking
from r1ci_plugins.protocol.rendering import FIX, Message, Renderer, assistant, system, tool_call, tool_result, user

QUESTION, ACTION, FEEDBACK, THOUGHT = "qqQuestionqq", "aaActionaa", "ffFeedbackff", "ttThoughttt"


@dataclass(frozen=True)
class Boundaries:
    """Template text around the three kinds of content.

    Attributes:
        system: Whether the instructions are a system message; otherwise they lead the first user message.
        before_question: From the first character to the question (or the instructions that lead it).
        after_question: From there to where the model's turn starts, as the template opens it for generation.
        before_action: What a turn begins with that the model has to sample itself before what it says.
        last_close: What ends a turn that nothing follows; empty where the template closes only what is followed.
        before_feedback: From the end of a turn to the message that comes back.
        after_feedback: From there to where the model's next turn starts.
        sample_call: A turn that calls a tool with ACTION, as the template renders it; empty where no tools are given.
        feedback_in_json: Whether the template writes a message that comes back as the inside of a JSON string.
        rewrites: How history would render an earlier turn otherwise than generation opened it; empty if it does not.
        keeps_thinking: Whether history has the thinking of earlier turns.
    """

    system: bool
    before_question: str
    after_question: str
    before_action: str
    last_close: str
    before_feedback: str
    after_feedback: str
    sample_call: str
    feedback_in_json: bool
    rewrites: str
    keeps_thinking: bool


def derive(renderer: Renderer, instructions: str, marks: Collection[str]) -> Boundaries:
    """Read the boundaries off sample conversations.

    Args:
        renderer: With the tools that the model may call; what comes back is then a message of the tool.
        instructions: The head prompt.
        marks: Tokens that may close a turn: structure that is not a mark within a turn.

    Raises:
        TemplateError: The template drops, repeats or moves messages, or changes what stands before the model's turn
            when the conversation goes on.
    """
    in_system = _instructions_stay_in_front(renderer, instructions)
    lead = "" if in_system or not instructions else f"{instructions}\n\n"
    head = [system(instructions)] if in_system else []
    asked = [*head, user(lead + QUESTION)]
    prompt = renderer.render(asked, open_turn=True)
    whole = renderer.render([*asked, assistant(ACTION), user(FEEDBACK)], open_turn=True)
    at_question, at_action, at_feedback = _places(whole, (QUESTION, ACTION, FEEDBACK))
    start = _places(prompt, (QUESTION,))[0]
    if whole[:at_question] != prompt[:start]:
        raise TemplateError(
            "the chat template changes what stands before the question when the conversation goes on",
            where=f"at first ...{prompt[:start][-60:]!r}, afterwards ...{whole[:at_question][-60:]!r}",
            fix=FIX,
        )
    after_question = prompt[start + len(QUESTION) :]
    opened = whole[at_question + len(QUESTION) : at_action]
    before_action, last_close = _last_turn(renderer, asked, prompt)
    if before_action is None:
        before_action = opened.removeprefix(after_question) if opened.startswith(after_question) else ""
        if thinking.left_open(after_question):
            before_action = thinking.closing(after_question)
    rewrites = ""
    if opened != after_question + before_action:
        rewrites = f"an earlier turn is opened by {opened!r}, for generation by {after_question!r}"
    before_feedback, after_feedback = (
        whole[at_action + len(ACTION) : at_feedback],
        whole[at_feedback + len(FEEDBACK) :],
    )
    sample_call, in_json = "", False
    if renderer.tools:
        sample_call, before_feedback, after_feedback = _around_result(renderer, asked, marks)
        sample_call = sample_call.removeprefix(after_question)
        in_json = before_feedback.endswith('"') and after_feedback.startswith('"')
    return Boundaries(
        system=in_system,
        before_question=prompt[: start - len(lead)],
        after_question=after_question,
        before_action=before_action,
        last_close=last_close,
        before_feedback=before_feedback,
        after_feedback=after_feedback,
        sample_call=sample_call,
        feedback_in_json=in_json,
        rewrites=rewrites,
        keeps_thinking=_keeps_thinking(renderer, asked),
    )


def verify(renderer: Renderer, boundaries: Boundaries, instructions: str) -> None:
    """Render a longer conversation, and find in it what is sent to the model, turn by turn.

    Raises TemplateError if a message or what closes a turn is rendered otherwise there. How an earlier turn is opened
    may differ (see the module's docstring).
    """
    question, outputs = "How many a are in 'ab'?", ["Code Execution Results:\n1", "[1, 'ü', 2.5]\nValueError: x"]
    said = ["I count.\n```python\nprint('ab'.count('a'))\n```", "Then check it.\n```python\nprint(1)\n```"]
    lead = "" if boundaries.system or not instructions else f"{instructions}\n\n"
    messages = [system(instructions)] if boundaries.system else []
    told = list(outputs)
    if renderer.tools:
        name = renderer.tools[0]["function"]["name"]
        parameter = next(iter(renderer.tools[0]["function"]["parameters"]["properties"]))
        calls = [tool_call(name, {parameter: ACTION}) for _ in said]
        results = [tool_result(name, output) for output in outputs]
        said = ["", ""]  # a call's own form is the model's
        if boundaries.feedback_in_json:
            told = [json.dumps(output, ensure_ascii=False)[1:-1] for output in outputs]
    else:
        calls, results = [assistant(text) for text in said], [user(output) for output in outputs]
    messages += [user(lead + question), calls[0], results[0], calls[1], results[1]]
    theirs = renderer.render(messages, open_turn=True)
    position = 0
    expected = [
        boundaries.before_question + lead + question,
        said[0] + boundaries.before_feedback + told[0],
        said[1] + boundaries.before_feedback + told[1] + boundaries.after_feedback,
    ]
    for number, piece in enumerate(expected):
        found = theirs.find(piece, position)
        if found == -1 or (number == 0 and found != 0):
            raise TemplateError(
                "the chat template renders earlier turns differently in a longer conversation",
                where=f"expected {piece[-80:]!r} in ...{theirs[position:][:200]!r}",
                fix=FIX,
            )
        position = found + len(piece)
    if position != len(theirs):
        raise TemplateError(
            "the chat template writes something after the start of the model's turn",
            where=repr(theirs[position:][:200]),
            fix=FIX,
        )


def _around_result(renderer: Renderer, asked: Sequence[Message], marks: Collection[str]) -> tuple[str, str, str]:
    """A turn that calls a tool, from the question on, and what stands around the result, from that turn's close."""
    name = renderer.tools[0]["function"]["name"]
    parameter = next(iter(renderer.tools[0]["function"]["parameters"]["properties"]))
    whole = renderer.render(
        [*asked, tool_call(name, {parameter: ACTION}), tool_result(name, FEEDBACK)], open_turn=True
    )
    at_question, at_action, at_feedback = _places(whole, (QUESTION, ACTION, FEEDBACK))
    rest = whole[at_action + len(ACTION) : at_feedback]
    closes = [rest.find(mark) for mark in marks if mark in rest]
    if not closes:
        raise TemplateError(
            "the chat template does not close a turn that calls a tool",
            where=repr(rest[:200]),
            fix="use another answer format than tool_calls",
        )
    call = whole[at_question + len(QUESTION) : at_action + len(ACTION)] + rest[: min(closes)]
    return call, rest[min(closes) :], whole[at_feedback + len(FEEDBACK) :]


def _places(text: str, marks: Sequence[str]) -> list[int]:
    if [text.count(mark) for mark in marks] != [1] * len(marks):
        raise TemplateError("the chat template drops or repeats messages", fix=FIX)
    places = [text.index(mark) for mark in marks]
    if places != sorted(places):
        raise TemplateError("the chat template changes the order of messages", fix=FIX)
    return places


def _instructions_stay_in_front(renderer: Renderer, instructions: str) -> bool:
    """Whether a system message is rendered once, before the question, also when the conversation goes on.

    Mistral's later templates put it into the last user message, and Gemma's first refuses it.
    """
    if not instructions:
        return False
    asked = [system(instructions), user(QUESTION)]
    try:
        for messages in (asked, [*asked, assistant(ACTION), user(FEEDBACK)]):
            text = renderer.render(messages, open_turn=True)
            if text.count(instructions) != 1 or text.find(QUESTION) < text.index(instructions):
                return False
    except TemplateError:
        return False
    return True


def _last_turn(renderer: Renderer, asked: Sequence[Message], prompt: str) -> tuple[str | None, str]:
    """What stands before and after a turn that nothing follows.

    Before it: beyond what generation opened, or None where the template opens such a turn otherwise.
    """
    try:
        text = renderer.render([*asked, assistant(ACTION)], open_turn=False)
    except TemplateError:  # some want the conversation to end with the user
        return None, ""
    if text.count(ACTION) != 1:
        return None, ""
    at_action = text.index(ACTION)
    before = text[len(prompt) : at_action] if text[:at_action].startswith(prompt) else None
    return before, text[at_action + len(ACTION) :]


def _keeps_thinking(renderer: Renderer, asked: Sequence[Message]) -> bool:
    turn = f"<think>\n{THOUGHT}\n</think>\n\n{ACTION}"
    try:
        return THOUGHT in renderer.render([*asked, assistant(turn), user(FEEDBACK)], open_turn=True)
    except TemplateError:
        return False
