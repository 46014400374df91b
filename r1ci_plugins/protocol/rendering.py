"""Conversations through a tokenizer's chat template, as text: a template is somebody else's program."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Protocol, TypeVar

from r1ci_plugins.errors import TemplateError

FIX = "use an instruct model's own template, or give one that renders turns one after another: protocol.chat_template"
RENDER_S = 20.0
"""Seconds that a template may take for one short conversation; ordinary ones take milliseconds."""

# Templates that write today's date into the prompt (Llama 3, gpt-oss) would make another prompt every day, and another
# one on each side of midnight within a run. This is the day that Llama's own templates fall back on.
_DAY = date(2024, 7, 26)

Made = TypeVar("Made")
Message = Mapping[str, Any]


class Renders(Protocol):
    """What rendering needs of a tokenizer."""

    def apply_chat_template(self, conversation: list[dict[str, Any]], **options: Any) -> Any: ...


@dataclass(frozen=True)
class Renderer:
    """Renders messages as text.

    Attributes:
        tokenizer: Has the chat template.
        options: Variables for the template, such as ``enable_thinking``.
        tools: Schemas of the tools that the model may call; none when empty.
        parts: Whether the template wants a message's content as a list of parts rather than as text.
    """

    tokenizer: Renders
    options: Mapping[str, Any] = field(default_factory=dict)
    tools: Sequence[Mapping[str, Any]] = ()
    parts: bool = False

    def render(self, messages: Sequence[Message], *, open_turn: bool) -> str:
        """The conversation's text, with the start of the model's next turn if ``open_turn``.

        Raises TemplateError if the template raises, takes too long or gives no text.
        """
        variables: dict[str, Any] = {"strftime_now": _DAY.strftime, **self.options}
        if self.tools:
            variables["tools"] = [dict(tool) for tool in self.tools]
        conversation = [self._in_parts(message) if self.parts else dict(message) for message in messages]
        text = _within(
            RENDER_S,
            lambda: self.tokenizer.apply_chat_template(
                conversation, tokenize=False, add_generation_prompt=open_turn, **variables
            ),
        )
        if not isinstance(text, str):
            raise TemplateError(f"the chat template gives {type(text).__name__} instead of text", fix=FIX)
        return text

    def fitted(self, question: str) -> "Renderer":
        """This renderer, with content as parts if the template loses a question that is given as text.

        Raises TemplateError if it loses the question either way.
        """
        failure = TemplateError("the chat template drops or repeats messages", fix=FIX)
        for renderer in (self, replace(self, parts=True)):
            try:
                if renderer.render([user(question)], open_turn=True).count(question) == 1:
                    return renderer
            except TemplateError as error:
                failure = error if renderer is self else failure
        raise failure

    @staticmethod
    def _in_parts(message: Message) -> dict[str, Any]:
        content = message.get("content")
        return {**message, "content": [{"type": "text", "text": content}]} if isinstance(content, str) else {**message}


def system(text: str) -> Message:
    """A system message."""
    return {"role": "system", "content": text}


def user(text: str) -> Message:
    """A user's message."""
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    """A turn of the model."""
    return {"role": "assistant", "content": text}


_CALL_ID = "call00000"  # Mistral wants nine letters and digits


def tool_call(name: str, arguments: Mapping[str, str]) -> Message:
    """A turn of the model that calls a tool."""
    call = {"type": "function", "id": _CALL_ID, "function": {"name": name, "arguments": dict(arguments)}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


def tool_result(name: str, text: str) -> Message:
    """What a tool has returned."""
    return {"role": "tool", "name": name, "tool_call_id": _CALL_ID, "content": text}


def _within(seconds: float, function: Callable[[], Made]) -> Made:
    """Call a function that may raise anything or never end. One that does not end keeps its thread.

    Raises TemplateError for whatever it raises, and when the time is over.
    """
    made: list[Made] = []
    raised: list[BaseException] = []

    def call() -> None:
        try:
            made.append(function())
        except BaseException as error:  # templates raise exceptions of their own
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True, name="chat-template")
    thread.start()
    thread.join(seconds)
    if raised:
        raise TemplateError(f"the chat template cannot render the conversation: {raised[0]}", fix=FIX) from raised[0]
    if not made:
        raise TemplateError(f"the chat template did not end within {seconds:g} s", fix=FIX)
    return made[0]
