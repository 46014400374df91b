"""What a paid teacher may take: a budget that is never exceeded, and rates."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from r1ci_plugins.synthesis.teacher import BudgetSpent, Usage


@dataclass(kw_only=True)
class Ledger:
    """Counts what is spent, and refuses a request whose worst case would exceed the budget.

    Attributes:
        prompt_price: Per million tokens read, in any unit of money.
        completion_price: Per million tokens written.
        max_cost: In that unit; None for no limit.
        max_tokens: Read and written together; None for no limit.
        spent: So far.
    """

    prompt_price: float
    completion_price: float
    max_cost: float | None
    max_tokens: int | None
    spent: Usage = field(default=Usage(), init=False)
    _reserved: dict[int, Usage] = field(default_factory=dict, init=False)
    _numbers: int = field(default=0, init=False)
    _settled: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def price(self, prompt_tokens: int, completion_tokens: int) -> Usage:
        """One request as usage."""
        cost = (prompt_tokens * self.prompt_price + completion_tokens * self.completion_price) / 1e6
        return Usage(1, prompt_tokens, completion_tokens, cost)

    async def reserve(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Set a request's worst case aside, once there is room beside that of others; returns a number to settle it.

        Raises BudgetSpent if it does not fit into the budget any more.
        """
        worst = self.price(prompt_tokens, completion_tokens)
        while self._exceeds(sum(self._reserved.values(), self.spent) + worst):
            if self._exceeds(self.spent + worst):
                raise BudgetSpent(
                    f"the budget is spent: {self.spent.requests} requests, {self.spent.prompt_tokens} tokens read, "
                    f"{self.spent.completion_tokens} written, cost {self.spent.cost:.4f}",
                    where="recipe key synthesis.endpoint, max_cost and max_tokens",
                    fix="raise it and run the same command again; replies that were paid for are kept",
                )
            await self._settled.wait()
        self._numbers += 1
        self._reserved[self._numbers] = worst
        return self._numbers

    def settle(self, number: int, usage: Usage) -> None:
        """Replace what was set aside by what the request really took."""
        del self._reserved[number]
        self.spent += usage
        self._settled.set()
        self._settled = asyncio.Event()

    def _exceeds(self, usage: Usage) -> bool:
        tokens = usage.prompt_tokens + usage.completion_tokens
        return (self.max_cost is not None and usage.cost > self.max_cost) or (
            self.max_tokens is not None and tokens > self.max_tokens
        )


@dataclass(kw_only=True)
class RateLimit:
    """Lets requests start at a limited rate, first come, first served.

    Attributes:
        requests: Requests in any 60 seconds, at most; None for no limit.
        tokens: Tokens in any 60 seconds, at most; None for no limit.
        clock: The time in seconds.
    """

    requests: int | None
    tokens: int | None
    clock: Callable[[], float]
    _passed: deque[tuple[float, int]] = field(default_factory=deque, init=False)
    _gate: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def wait(self, tokens: int) -> None:
        """Wait until a request of so many tokens may start."""
        async with self._gate:
            while (pause := self._pause(tokens)) > 0:
                await asyncio.sleep(pause)
            self._passed.append((self.clock(), tokens))

    def _pause(self, tokens: int) -> float:
        now = self.clock()
        while self._passed and now - self._passed[0][0] >= 60:
            self._passed.popleft()
        if not self._passed:
            return 0.0  # a request larger than the limit must pass too, alone
        full = self.requests is not None and len(self._passed) >= self.requests
        over = self.tokens is not None and sum(count for _, count in self._passed) + tokens > self.tokens
        return self._passed[0][0] + 60 - now if full or over else 0.0
