"""Turn boundaries of a tokenizer's chat template: once per run, from the template itself, and verified against it.

A trajectory is ``prompt, action, feedback, action, ...``. Actions are sampled ids and are never touched; the prompt
and the feedback (everything from the model's last token to its next turn) are tokenised here, once each, and only ever
appended. An action that the model did not sample (a teacher's or a program's text) is tokenised here too.

What the template writes for generation decides (see ``boundaries.py``). Where it would render an earlier turn
otherwise than it was sampled, the sampled ids stay: a later turn is trained in the context in which it was sampled.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from r1ci_plugins.errors import TemplateError
from r1ci_plugins.protocol import thinking
from r1ci_plugins.protocol.boundaries import ACTION, QUESTION, derive, verify
from r1ci_plugins.protocol.rendering import FIX, Renderer, Renders
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.protocol.structure import Structure, find_structure

SAMPLE = ACTION
"""The program of ``ChatTemplate.sample_call``."""


class Tokenizer(Renders, Protocol):
    """What we need from a Hugging Face fast tokenizer (``PreTrainedTokenizerFast``)."""

    chat_template: str | None
    is_fast: bool
    added_tokens_decoder: Mapping[int, Any]

    def __call__(self, text: str, **options: Any) -> Mapping[str, Any]: ...

    def __len__(self) -> int: ...

    def decode(self, token_ids: Sequence[int], **options: Any) -> str: ...


class ChatTemplate:
    """Renders prompts and feedback of one tokenizer as token ids.

    Attributes:
        tokenizer: As given.
        end_of_turn: Id of the token with which the model ends a turn that nothing has to follow.
        ends: Ids that end a turn of the model and close it: ``end_of_turn``, and what closes a turn in history.
        keeps_thinking: Whether the template itself renders ``<think>`` sections of earlier turns.
        sample_call: A turn that calls a tool with the program ``SAMPLE``, by the template; empty without tools.
        opening: The thinking mark that the template has opened where the model's turn starts; empty if none. A turn's
            text is read behind it.
        rewrites: How the template would render an earlier turn otherwise than it was sampled; empty if it does not.

    Raises:
        TemplateError: No chat template, no fast tokenizer, or a template that cannot be continued turn by turn.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        instructions: str,
        *,
        options: Mapping[str, Any] | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        source = getattr(tokenizer, "chat_template", None)
        if not source:
            raise TemplateError("the tokenizer has no chat template", fix="use an instruct model, or set one")
        if not getattr(tokenizer, "is_fast", False):
            raise TemplateError("the tokenizer is not a fast tokenizer", fix="use the model's tokenizer.json")
        self.tokenizer = tokenizer
        renderer = Renderer(tokenizer, options or {}, tools).fitted(QUESTION)
        template = source if isinstance(source, str) else "\n".join(source.values())
        special = find_structure(tokenizer.added_tokens_decoder, template, (), ())
        self._instructions = special.break_up(_clean(instructions))
        self._boundaries = boundaries = derive(renderer, self._instructions, _closing_marks(tokenizer, special))
        verify(renderer, boundaries, self._instructions)
        close = self._first_token(boundaries.before_feedback)
        last_close = self._first_token(boundaries.last_close) if boundaries.last_close.strip() else close
        if close is None or last_close is None:
            raise TemplateError(
                "the chat template does not close the assistant's turn with a special token",
                where=f"between turns: {boundaries.before_feedback!r}",
                fix=FIX,
            )
        self.end_of_turn = last_close
        # In gpt-oss, the token that closes a turn in history closes each part of a turn; only the other one ends it.
        within = tokenizer.decode([close]) in thinking.CLOSINGS and close != last_close
        self.ends = (last_close,) if within or close == last_close else (last_close, close)
        self._call_end = close if boundaries.sample_call else None
        if self._call_end is not None and self._call_end not in self.ends:
            self.ends = (*self.ends, self._call_end)
        self._structure = find_structure(
            tokenizer.added_tokens_decoder,
            template,
            (boundaries.before_feedback, boundaries.after_feedback, boundaries.after_question),
            (*self.ends, getattr(tokenizer, "eos_token_id", None), getattr(tokenizer, "pad_token_id", None)),
        )
        self.keeps_thinking = boundaries.keeps_thinking
        self.rewrites = boundaries.rewrites
        self.sample_call = boundaries.sample_call
        self.opening = thinking.left_open(boundaries.after_feedback)
        self._check_pieces()

    def plain(self, text: str) -> str:
        """Make text safe inside a message: strip it, and break up what could be structure.

        Program output and questions are untrusted: ``<|im_end|>`` in them must not close a turn. A blank after the
        mark's first character (``< |im_end|>``) keeps it readable and plain.
        """
        return self._structure.break_up(_clean(text))

    def written(self, text: str) -> str:
        """Make a turn safe that the model did not sample: as ``plain``, but thinking and tool calls stay."""
        return self._structure.break_up_outside_turns(_clean(text))

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of sampled ids. Structure is left out, but thinking and tool calls are shown."""
        silent = self._structure.silent
        kept = [token for token in token_ids if token not in silent]
        return self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def encode(self, text: str) -> list[int]:
        """Ids of template text, special tokens recognised, none added."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def without_end(self, token_ids: Sequence[int]) -> list[int]:
        """A turn's ids without an end-of-sequence token that is not the template's end of a turn."""
        kept = list(token_ids)
        while kept and kept[-1] in self._structure.silent and kept[-1] not in self.ends:
            kept.pop()
        return kept

    def prompt_text(self, question: str) -> str:
        """The first prompt, from the template's first token to the start of the model's turn."""
        return self.prompt(question).text

    def prompt(self, question: str) -> Segment:
        """The first prompt as a segment."""
        boundaries = self._boundaries
        left = boundaries.before_question
        if not boundaries.system and self._instructions:
            left += f"{self._instructions}\n\n"
        body, ids, _, _ = self._encode_data(left, question, boundaries.after_question)
        return Segment(SegmentKind.PROMPT, tuple(ids), left + body + boundaries.after_question)

    def action(self, text: str) -> Segment:
        """A whole turn that the model did not sample: its text, structure broken up, and the end of turn.

        What the template's turns begin with, and the model would sample, comes first: a channel, empty thinking.
        """
        ids = self.encode(self._led(self.written(text)))
        calls = self._call_end is not None and "to=functions." in text  # gpt-oss closes calls and answers differently
        ids.append(self._call_end if calls and self._call_end is not None else self.end_of_turn)
        return Segment(SegmentKind.ACTION, tuple(ids), self.decode(ids))

    def feedback(self, message: str, last_token: int | None) -> tuple[Segment, Segment, Segment]:
        """Close the model's turn, give it a message, and open its next turn.

        Args:
            message: What the user turn says.
            last_token: The model's last sampled id; if it ended the turn, nothing closes it again.

        Returns:
            Separator, code output, separator. Their ids concatenated are the template's own tokenisation.
        """
        left, right = self._boundaries.before_feedback, self._boundaries.after_feedback
        body, ids, first, last = self._encode_data(left, message, right, self._boundaries.feedback_in_json)
        skip = 1 if last_token in self.ends else 0
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

    def _led(self, text: str) -> str:
        """A written turn behind what the model would have to sample before it."""
        lead, opened = self._boundaries.before_action, self.opening
        if text.startswith("to=functions."):  # gpt-oss names the recipient of a call first
            return f" {text}"
        if opened and text.startswith(opened):  # it is opened already
            return text.removeprefix(opened).lstrip("\n")
        if lead.strip() and (text.startswith(lead.strip()) or text.startswith(tuple(thinking.PAIRS))):
            return text
        return lead + text

    def _encode_data(self, left: str, text: str, right: str, in_json: bool = False) -> tuple[str, list[int], int, int]:
        """Tokenise untrusted text between two boundaries: its safe text, all ids, and where its own begin and end."""
        body, structure = self.plain(text), self._structure.token_ids
        while True:
            shown = json.dumps(body, ensure_ascii=False)[1:-1] if in_json else body
            encoded = self.tokenizer(left + shown + right, add_special_tokens=False, return_offsets_mapping=True)
            ids, offsets = list(encoded["input_ids"]), list(encoded["offset_mapping"])
            # A token belongs to the body if it covers at least one of its characters.
            end = len(left) + len(shown)
            inside = [i for i, (start, stop) in enumerate(offsets) if start < end and stop > len(left)]
            # The tokenizer may normalise text into a token's before it looks for tokens.
            found = [offsets[i] for i in inside if ids[i] in structure and offsets[i][0] >= len(left)]
            found = [(start, stop) for start, stop in found if stop <= end and stop - start > 1]
            if not found:
                first, last = (inside[0], inside[-1] + 1) if inside else self._empty_place(left, offsets)
                return body, ids, first, last
            for start, _ in reversed(found):
                place = start - len(left) + 1
                body = f"{body[:place]} {body[place:]}"

    @staticmethod
    def _empty_place(left: str, offsets: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Where an empty message stands among tokens: behind those of the left boundary."""
        place = next((i for i, (_, stop) in enumerate(offsets) if stop > len(left)), len(offsets))
        return place, place

    def _first_token(self, text: str) -> int | None:
        """The added token that a boundary begins with, or None."""
        ids = self.encode(text)
        return ids[0] if ids and ids[0] in self.tokenizer.added_tokens_decoder else None

    def _check_pieces(self) -> None:
        """Raise unless prompt and feedback tokenise alone as they do in a conversation, as far as turns go."""
        said = ["I count.\n```python\nprint('ab'.count('a'))\n```", "Then check it.\n```python\nprint(1)\n```"]
        pieces = [self.prompt("How many a are in 'ab'?")]
        for text, output in zip(said, ["Code Execution Results:\n1", "[1, 'ü', 2.5]\nValueError: x"], strict=True):
            pieces += [Segment(SegmentKind.ACTION, tuple(self.encode(text)), text), *self.feedback(output, None)]
        whole = self.encode("".join(piece.text for piece in pieces))
        ours = [token for piece in pieces for token in piece.token_ids]
        structure = self._structure.token_ids
        skeletons = [[token for token in ids if token in structure] for ids in (whole, ours)]
        # A message as the inside of a JSON string is not spelled as it reads.
        told = () if self._boundaries.feedback_in_json else (pieces[2:5], pieces[6:9])
        spelled = [self._spells(piece) for piece in told]
        if skeletons[0] != skeletons[1] or not all(spelled):
            raise TemplateError("turn boundaries tokenise differently alone and in the conversation", fix=FIX)

    def _spells(self, pieces: Sequence[Segment]) -> bool:
        """Whether ids spell their text, apart from white space: some tokens swallow what stands beside them."""
        ids = [token for piece in pieces for token in piece.token_ids]
        text = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return "".join(text.split()) == "".join("".join(piece.text for piece in pieces).split())


def _closing_marks(tokenizer: Tokenizer, structure: Structure) -> list[str]:
    """Tokens that may close a turn: structure other than marks within a turn."""
    return [str(word) for token, word in tokenizer.added_tokens_decoder.items() if token in structure.silent]


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode().strip()
