"""Any OpenAI-compatible endpoint as a teacher: hosted models, ``vllm serve``.

Every reply is kept on disk before it is used, so that nobody pays twice after a crash. A request that fails is retried
with back-off; an endpoint that cannot be used at all stops the run, and the error says why.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.protocol.feedback import PREFIX
from r1ci_plugins.recipe.schema import EndpointConfig
from r1ci_plugins.synthesis.reply_cache import ReplyCache
from r1ci_plugins.synthesis.spending import Ledger, RateLimit
from r1ci_plugins.synthesis.teacher import Attempt, Reply, Speaker, TeacherFault, Usage
from r1ci_plugins.synthesis.variant import head_prompt

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.getLogger(__name__)

GIVE_UP = 10
"""Requests in a row that fail for good before the endpoint counts as unusable."""

_BACK_OFF_S = 0.5
_LONGEST_PAUSE_S = 60.0
_CHARS_PER_TOKEN = 2.0  # fewer than in any language, so that an estimate is never too low
_HOPELESS = frozenset({400, 401, 403, 404, 422})
"""Statuses that stay the same however often one asks: a wrong key, model, address or parameter."""


@dataclass(kw_only=True)
class EndpointTeacher:
    """A model behind an OpenAI-compatible endpoint.

    Attributes:
        max_tokens: Per turn.
        retried: How often which failure was retried, for the record.
    """

    endpoint: EndpointConfig
    instructions: str
    max_tokens: int
    cache: ReplyCache
    ledger: Ledger
    rate: RateLimit
    retried: dict[str, int] = field(default_factory=dict, init=False)
    _client: AsyncOpenAI | None = field(default=None, init=False)
    _failed_in_a_row: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        """The model's."""
        return self.endpoint.model

    def speaker(self, attempt: Attempt) -> Speaker:
        """A conversation of its own for every attempt."""
        return _Conversation(self, attempt)

    async def start(self) -> None:
        """Create the client; nothing is asked yet.

        Raises MachineProblem if the package ``openai`` or the key is missing.
        """
        try:
            from openai import AsyncOpenAI
        except ImportError as error:
            raise MachineProblem(
                "the teacher is asked with the package openai, which is not installed",
                fix="pip install 'r1ci-plugins[teacher]'",
            ) from error
        endpoint = self.endpoint
        key = os.environ.get(endpoint.api_key_variable, "")
        if not key and endpoint.base_url is None:
            raise MachineProblem(
                f"the environment variable {endpoint.api_key_variable} is empty",
                where="recipe key synthesis.endpoint.api_key_variable",
                fix="set it to the key of the endpoint",
            )
        # We retry ourselves: our retries are counted, and the client's would not know of the budget.
        self._client = AsyncOpenAI(
            api_key=key or "none", base_url=endpoint.base_url, timeout=endpoint.timeout_s, max_retries=0
        )

    async def close(self) -> None:
        """Close the client's connections."""
        if self._client is not None:
            await self._client.close()

    async def ask(self, messages: Sequence[Mapping[str, str]], attempt: Attempt) -> Reply:
        """One reply, from the disk if it was paid for already. Raises as ``Speaker.reply``."""
        request = {
            "base_url": self.endpoint.base_url,
            "model": self.endpoint.model,
            "messages": list(messages),
            "temperature": self.endpoint.temperature,
            "max_tokens": self.max_tokens,
            "attempt": attempt.number,
        }
        if (kept := self.cache.read(request)) is not None and isinstance(kept.get("text"), str):
            return Reply(kept["text"], bool(kept.get("complete")), Usage(cached=1))
        likely = int(sum(len(message["content"]) for message in messages) / _CHARS_PER_TOKEN) + 8 * len(messages)
        wasted = Usage()
        reason, detail = "no_reply", ""
        for tries in range(self.endpoint.retries + 1):
            self.cache.require_room()
            await self.rate.wait(likely + self.max_tokens)
            number = await self.ledger.reserve(likely, self.max_tokens)
            usage = Usage()
            try:
                text, complete, usage = await self._request(messages)
                if text.strip():
                    self._failed_in_a_row = 0
                    self.cache.write(request, {"text": text, "complete": complete, "usage": vars(usage)})
                    return Reply(text, complete, usage + wasted)
                wasted += usage
                reason, detail, pause = "empty_reply", "", 0.0
            except _Failure as failure:
                reason, detail, pause = failure.reason, failure.detail, failure.pause_s
            finally:
                self.ledger.settle(number, usage)
            self.retried[reason] = self.retried.get(reason, 0) + 1
            if tries < self.endpoint.retries:
                back_off = _BACK_OFF_S * 2**tries * random.uniform(0.5, 1.5)
                await asyncio.sleep(min(max(pause, back_off), _LONGEST_PAUSE_S))
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= GIVE_UP:
            raise MachineProblem(
                f"the teacher's endpoint failed {self._failed_in_a_row} requests in a row, the last with "
                f"{reason}{f': {detail}' if detail else ''}",
                where=str(self.endpoint.base_url or "api.openai.com"),
                fix="make sure that it runs and answers, then run the same command again; finished replies are kept",
            )
        fault = TeacherFault(reason, where=attempt.key, fix=detail or None)
        fault.usage = wasted
        raise fault

    async def _request(self, messages: Sequence[Mapping[str, str]]) -> tuple[str, bool, Usage]:
        """Ask once.

        Raises:
            _Failure: The request failed and may succeed next time.
            MachineProblem: It will fail every time.
        """
        import openai

        assert self._client is not None, "started first"
        try:
            completion: Any = await self._client.chat.completions.create(
                model=self.endpoint.model,
                messages=list(messages),  # type: ignore[arg-type]
                temperature=self.endpoint.temperature,
                max_tokens=self.max_tokens,
                stop=[PREFIX],  # the sandbox, not the teacher, says what a program prints
            )
        except openai.APITimeoutError as error:
            raise _Failure("timeout", str(error)) from error
        except openai.APIStatusError as error:
            if error.status_code in _HOPELESS:
                raise MachineProblem(
                    f"the teacher's endpoint refuses requests with status {error.status_code}: {str(error)[:300]}",
                    where=str(self._client.base_url),
                    fix="check synthesis.endpoint: base_url, model, and the key",
                ) from error
            reason = "rate_limited" if error.status_code == 429 else f"status_{error.status_code}"
            raise _Failure(reason, str(error)[:300], _retry_after(error.response.headers)) from error
        except openai.APIConnectionError as error:
            raise _Failure("connection", str(error.__cause__ or error)[:300]) from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:  # half a JSON, another format
            raise _Failure("other_format", f"{type(error).__name__}: {error}"[:300]) from error
        return self._read(completion)

    def _read(self, completion: Any) -> tuple[str, bool, Usage]:
        """A completion's text, whether it is complete, and its usage. The client has checked none of it."""
        try:
            choice = completion.choices[0]
            text, complete = choice.message.content, choice.finish_reason != "length"
        except (AttributeError, IndexError, TypeError) as error:
            raise _Failure("other_format", f"no choices in {str(completion)[:200]!r}") from error
        if not isinstance(text, str | None):
            raise _Failure("other_format", f"the content is {type(text).__name__}, not text")
        text = text or ""
        counts = getattr(completion, "usage", None)
        read, written = (getattr(counts, name, None) for name in ("prompt_tokens", "completion_tokens"))
        if not isinstance(read, int) or not isinstance(written, int):  # some servers do not count
            read, written = 0, int(len(text) / _CHARS_PER_TOKEN)
        return text, complete, self.ledger.price(read, written)


@dataclass
class _Conversation:
    teacher: EndpointTeacher
    attempt: Attempt
    style: str = ""

    async def reply(self, turns: Sequence[str]) -> Reply:
        """Ask for the next turn."""
        messages = [{"role": "system", "content": head_prompt(self.teacher.instructions, self.attempt.variant)}]
        for place, text in enumerate(turns):
            messages.append({"role": "assistant" if place % 2 else "user", "content": text})
        return await self.teacher.ask(messages, self.attempt)


class _Failure(Exception):
    """A request that failed and may be repeated."""

    def __init__(self, reason: str, detail: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.detail, self.pause_s = reason, detail, pause_s


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the endpoint asks to wait; 0 when it does not say."""
    try:
        return min(max(0.0, float(headers.get("retry-after", "0"))), _LONGEST_PAUSE_S)
    except ValueError:  # a date
        return 0.0
