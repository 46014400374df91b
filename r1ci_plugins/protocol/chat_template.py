"""Turn boundaries of a tokenizer's chat template, derived from the template itself and verified against it.

A trajectory is ``prompt, action, feedback, action, ...``. Actions are sampled ids and are never touched; the prompt
and the feedback (everything from the model's last token to its next turn) are tokenised here, once each. An action
that the model did not sample (a teacher's or a program's text) is tokenised here too. The constructor renders sample
conversations through the template and raises unless our pieces reproduce it exactly, in text and in ids.

Thinking sections of earlier turns stay in the sequence, even where the template would leave them out (Qwen3's does):
a later turn is trained in the context in which it was sampled. ``keeps_thinking`` says what the template does.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from r1ci_plugins.errors import TemplateError
from r1ci_plugins.protocol.segments import Segment, SegmentKind


class Tokenizer(Protocol):
    """What we need from a Hugging Face fast tokenizer (``PreTrainedTokenizerFast``)."""

    chat_template: str | None
    is_fast: bool
    added_tokens_decoder: Mapping[int, Any]

    def __call__(self, text: str, **options: Any) -> Mapping[str, Any]: ...

    def __len__(self) -> int: ...

    def decode(self, token_ids: Sequence[int], **options: Any) -> str: ...

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any: ...


_QUESTION, _ACTION, _FEEDBACK, _THOUGHT = "qqQuestionqq", "aaActionaa", "ffFeedbackff", "ttThoughttt"
_FIX = "use an instruct model whose template renders earlier turns as they were generated (ChatML, Llama 3, Mistral)"


@dataclass(frozen=True)
class _Boundaries:
    """Template text around the three kinds of content."""

    before_question: str
    after_question: str
    before_action: str
    before_feedback: str
    after_feedback: str


class ChatTemplate:
    """Renders prompts and feedback of one tokenizer as token ids.

    Attributes:
        tokenizer: As given.
        end_of_turn: Id of the token that closes an assistant turn in the template.
        keeps_thinking: Whether the template itself renders ``<think>`` sections of earlier turns.
        shows_thinking: Whether decoded turns show their ``<think>`` tags; False where these are special tokens.

    Raises:
        TemplateError: No chat template, no fast tokenizer, or a template that cannot be continued turn by turn.
    """

    def __init__(self, tokenizer: Tokenizer, instructions: str) -> None:
        self.tokenizer = tokenizer
        self._special = _special_tokens(tokenizer)
        self._instructions = self.plain(instructions)
        if not getattr(tokenizer, "chat_template", None):
            raise TemplateError("the tokenizer has no chat template", fix="use an instruct model, or set one")
        if not tokenizer.is_fast:
            raise TemplateError("the tokenizer is not a fast tokenizer", fix="use the model's tokenizer.json")
        self._system = self._template_takes_system()
        self._boundaries = self._derive()
        self.end_of_turn = self._find_end_of_turn()
        self._verify()
        self.keeps_thinking = self._renders_thoughts()
        self.shows_thinking = self.decode(self.encode("<think>")).strip() == "<think>"

    def plain(self, text: str) -> str:
        """Make text safe inside a turn: strip it, and break up any special token that is spelled out in it.

        Program output and questions are untrusted: ``<|im_end|>`` in them must not close a turn. A blank after the
        token's first character (``< |im_end|>``) keeps it readable and plain.
        """
        text = text.encode("utf-8", "replace").decode().strip()
        return self._special.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text) if self._special else text

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of sampled ids, special tokens left out."""
        return self.tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def encode(self, text: str) -> list[int]:
        """Ids of template text, special tokens recognised, none added."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def prompt_text(self, question: str) -> str:
        """The first prompt, from the template's first token to the start of the model's turn."""
        return self._boundaries.before_question + self._user(question) + self._boundaries.after_question

    def prompt(self, question: str) -> Segment:
        """The first prompt as a segment."""
        text = self.prompt_text(question)
        return Segment(SegmentKind.PROMPT, tuple(self.encode(text)), text)

    def action(self, text: str) -> Segment:
        """A whole turn that the model did not sample: its text, special tokens broken up, and the end of turn."""
        ids = self.encode(self._boundaries.before_action + self.plain(text))
        ids.append(self.end_of_turn)
        return Segment(SegmentKind.ACTION, tuple(ids), self.decode(ids))

    def feedback(self, message: str, last_token: int | None) -> tuple[Segment, Segment, Segment]:
        """Close the model's turn, give it a message, and open its next turn.

        Args:
            message: What the user turn says.
            last_token: The model's last sampled id; if it is the end-of-turn token, it is not added again.

        Returns:
            Separator, code output, separator. Their ids concatenated are the template's own tokenisation.
        """
        left, right = self._boundaries.before_feedback, self._boundaries.after_feedback
        body = self.plain(message)
        text = left + body + right
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = list(encoded["input_ids"]), list(encoded["offset_mapping"])
        # A token belongs to the body if it covers at least one of its characters.
        inside = [i for i, (start, end) in enumerate(offsets) if start < len(left) + len(body) and end > len(left)]
        first, last = (inside[0], inside[-1] + 1) if inside else (len(ids), len(ids))
        skip = 1 if last_token == self.end_of_turn else 0
        return (
            Segment(SegmentKind.SEPARATOR, tuple(ids[skip:first]), left),
            Segment(SegmentKind.CODE_OUTPUT, tuple(ids[first:last]), body),
            Segment(SegmentKind.SEPARATOR, tuple(ids[last:]), right),
        )

    def made(self, segment: Segment) -> bool:
        """Whether a recorded segment may come from this tokenizer and template, judged by its own text."""
        boundaries = self._boundaries
        try:
            if segment.kind is SegmentKind.PROMPT:
                ends_well = segment.text.endswith(boundaries.after_question)
                return ends_well and self.encode(segment.text) == list(segment.token_ids)
            if segment.kind is SegmentKind.ACTION:
                return self.decode(segment.token_ids) == segment.text
            # The tokens of feedback may span its pieces, so only the boundaries' text is looked at.
            known = (boundaries.before_feedback, boundaries.after_feedback)
            return segment.kind is SegmentKind.CODE_OUTPUT or segment.text in known
        except (TypeError, ValueError, OverflowError):  # a file may hold anything in place of ids
            return False

    def _user(self, question: str) -> str:
        body = self.plain(question)
        return body if self._system else f"{self._instructions}\n\n{body}"

    def _render(self, contents: Sequence[str], *, system: bool, open_turn: bool = True) -> str:
        messages = [{"role": "system", "content": self._instructions}] if system else []
        messages += [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents)]
        try:
            return self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=open_turn)
        except Exception as error:  # templates may raise exceptions of their own
            raise TemplateError(f"the chat template cannot render the conversation: {error}", fix=_FIX) from error

    def _template_takes_system(self) -> bool:
        """Whether instructions can go into a system message; otherwise they lead the first user message."""
        try:
            return self._instructions in self._render([_QUESTION], system=True)
        except TemplateError:
            return False

    def _derive(self) -> _Boundaries:
        lead = "" if self._system else f"{self._instructions}\n\n"
        text = self._render([lead + _QUESTION, _ACTION, _FEEDBACK], system=self._system)
        prompt = self._render([lead + _QUESTION], system=self._system)
        if [text.count(mark) for mark in (_QUESTION, _ACTION, _FEEDBACK)] != [1, 1, 1]:
            raise TemplateError("the chat template drops or repeats messages", fix=_FIX)
        at_question, at_action, at_feedback = (text.index(mark) for mark in (_QUESTION, _ACTION, _FEEDBACK))
        before_action = text[:at_action]
        # Some templates put a blank before the answer (Mistral); it is the model's to sample, not ours to add.
        if not before_action.startswith(prompt) or before_action[len(prompt) :].strip():
            raise TemplateError(
                "the chat template opens a turn for generation differently from how it renders it afterwards",
                where=f"generation: ...{prompt[-60:]!r}, afterwards: ...{before_action[-60:]!r}",
                fix=_FIX,
            )
        start = prompt.index(_QUESTION)
        return _Boundaries(
            before_question=prompt[: start - len(lead)],
            after_question=prompt[start + len(_QUESTION) :],
            before_action=before_action[len(prompt) :],
            before_feedback=text[at_action + len(_ACTION) : at_feedback],
            after_feedback=text[at_feedback + len(_FEEDBACK) :],
        )

    def _renders_thoughts(self) -> bool:
        turn = f"<think>\n{_THOUGHT}\n</think>\n\n{_ACTION}"
        return _THOUGHT in self._render([self._user(_QUESTION), turn, _FEEDBACK], system=self._system)

    def _find_end_of_turn(self) -> int:
        ids = self.encode(self._boundaries.before_feedback)
        token = ids[0] if ids else -1
        if token not in self.tokenizer.added_tokens_decoder:
            raise TemplateError(
                "the chat template does not close the assistant's turn with a special token",
                where=f"between turns: {self._boundaries.before_feedback!r}",
                fix=_FIX,
            )
        return token

    def _verify(self) -> None:
        """Render sample conversations through the template and compare with our pieces, text and ids."""
        actions = ["I count.\n```python\nprint('ab'.count('a'))\n```", "Then check it.\n```python\nprint(1)\n```"]
        outputs = ["Code Execution Results:\n1", "Code Execution Results:\n[1, 'ü', 2.5]\nValueError: x"]
        question = "How many a are in 'ab'?"
        lead = "" if self._system else f"{self._instructions}\n\n"
        theirs = self._render([lead + question, actions[0], outputs[0], actions[1], outputs[1]], system=self._system)
        prompt, pieces = self.prompt(question), [self.feedback(output, None) for output in outputs]
        texts = ["".join(segment.text for segment in piece) for piece in pieces]
        position = 0
        for expected in (prompt.text, actions[0] + texts[0], actions[1] + texts[1]):
            found = theirs.find(expected, position)
            if found == -1 or theirs[position:found].strip():
                raise TemplateError(
                    "the chat template renders earlier turns differently in a longer conversation",
                    where=f"expected {expected[-80:]!r} in ...{theirs[position:][:200]!r}",
                    fix=_FIX,
                )
            position = found + len(expected)
        # Ids may differ only where white space at a turn's edge merges with the text of the next turn: a prompt is
        # always tokenised before the answer exists. The special tokens, which make the turns, must be the same.
        ours = [
            *prompt.token_ids,
            *self.encode(actions[0]),
            *_ids(pieces[0]),
            *self.encode(actions[1]),
            *_ids(pieces[1]),
        ]
        special = set(self.tokenizer.added_tokens_decoder)
        skeletons = [[token for token in ids if token in special] for ids in (self.encode(theirs), ours)]
        texts_match = [
            self.tokenizer.decode(_ids(piece), clean_up_tokenization_spaces=False) == text
            for piece, text in zip(pieces, texts, strict=True)
        ]
        if position != len(theirs) or skeletons[0] != skeletons[1] or not all(texts_match):
            raise TemplateError("turn boundaries tokenise differently alone and in the conversation", fix=_FIX)


def _ids(pieces: Sequence[Segment]) -> list[int]:
    return [token for piece in pieces for token in piece.token_ids]


def _special_tokens(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    words = {str(token) for token in tokenizer.added_tokens_decoder.values() if getattr(token, "special", True)}
    words = {word for word in words if len(word) > 1}
    return re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))) if words else None
