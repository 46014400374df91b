"""The endpoint teacher against a real HTTP server that misbehaves in every way that servers do."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.recipe.schema import EndpointConfig
from r1ci_plugins.synthesis import reply_cache
from r1ci_plugins.synthesis.endpoint_teacher import GIVE_UP, EndpointTeacher
from r1ci_plugins.synthesis.reply_cache import ReplyCache
from r1ci_plugins.synthesis.spending import Ledger, RateLimit
from r1ci_plugins.synthesis.teacher import Attempt, BudgetSpent, TeacherFault
from r1ci_plugins.synthesis.variant import HINTS, Variant
from r1ci_plugins.tasks.task import Question, Task

pytest.importorskip("openai", reason="needs openai: pip install 'r1ci-plugins[teacher]'")


class Doubling(Task):
    name = "doubling"

    def generate(self, rng: random.Random, difficulty):
        return Question("What is twice 21?", "42")

    def check(self, question, answer):
        return answer == "42"


def attempt(number=0, variant=Variant.FREE, text="What is twice 21?"):
    return Attempt(Doubling(), Question(text, "42", task="demo/doubling", split="sft", index=0), variant, number)


def ledger(prompt_price=0.0, completion_price=0.0, max_cost=None, max_tokens=None):
    return Ledger(
        prompt_price=prompt_price, completion_price=completion_price, max_cost=max_cost, max_tokens=max_tokens
    )


def endpoint_teacher(folder, spending=None, **options):
    return EndpointTeacher(
        endpoint=EndpointConfig(**{"model": "teacher-1", **options}),
        instructions="Solve it.",
        max_tokens=200,
        cache=ReplyCache(folder),
        ledger=spending or ledger(),
        rate=RateLimit(requests=None, tokens=None, clock=time.monotonic),
    )


@pytest.fixture
def ask(tmp_path):
    """Ask a server for the first turn of attempts, one after the other; the teacher and the replies come back."""

    def run(server, *attempts, together=False, **options):
        teacher = endpoint_teacher(tmp_path / "replies", base_url=server.url, **{"timeout_s": 5.0, **options})

        async def talk():
            await teacher.start()
            try:
                wanted = attempts or [attempt()]
                if together:
                    return await asyncio.gather(*(teacher.speaker(one).reply([one.question.text]) for one in wanted))
                return [await teacher.speaker(one).reply([one.question.text]) for one in wanted]
            finally:
                await teacher.close()

        return teacher, asyncio.run(talk())

    return run


def test_a_reply_with_its_cost(web, ask):
    with web.serving(web.say("It is <<<42>>>", prompt_tokens=1000, completion_tokens=200)) as server:
        teacher, [reply] = ask(server, spending=ledger(prompt_price=2.0, completion_price=10.0))
    assert (reply.text, reply.complete) == ("It is <<<42>>>", True)
    assert reply.usage.prompt_tokens == 1000 and reply.usage.completion_tokens == 200
    assert reply.usage.cost == pytest.approx(0.004) == teacher.ledger.spent.cost
    [request] = server.requests
    assert request["model"] == "teacher-1" and request["max_tokens"] == 200
    assert [message["role"] for message in request["messages"]] == ["system", "user"]


def test_the_variant_is_asked_for(web, ask):
    with web.serving(web.say("<<<42>>>")) as server:
        ask(server, *(attempt(variant=variant) for variant in Variant))
    asked = [request["messages"][0]["content"] for request in server.requests]
    assert asked == ["Solve it.", *(f"Solve it.\n\n{HINTS[variant]}" for variant in list(Variant)[1:])]


FAILURES = {
    "429": ("rate_limited", lambda web: web.status(429)),
    "500": ("status_500", lambda web: web.status(500)),
    "503": ("status_503", lambda web: web.status(503)),
    "cut stream": ("connection", lambda web: web.cut_off),
    "closed": ("connection", lambda web: web.close),
    "empty": ("empty_reply", lambda web: web.say("")),
    "blank": ("empty_reply", lambda web: web.say("  \n")),
    "null": ("empty_reply", lambda web: web.say(None)),
    "HTML": ("other_format", lambda web: web.raw("<html>Bad gateway</html>", "text/html")),
    "half JSON": ("other_format", lambda web: web.raw('{"choices": [{"mess')),
    "a list": ("other_format", lambda web: web.raw("[1, 2]")),
    "no choices": ("other_format", lambda web: web.raw('{"object": "chat.completion", "choices": []}')),
    "old format": ("other_format", lambda web: web.raw('{"choices": [{"text": "<<<42>>>", "index": 0}]}')),
    "parts": ("other_format", lambda web: web.raw('{"choices": [{"message": {"content": [{"type": "x"}]}}]}')),
    "event stream": ("other_format", lambda web: web.raw('data: {"choices": []}\n\n', "text/event-stream")),
    "nothing": ("other_format", lambda web: web.raw("")),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_goes_wrong_once_is_repeated(web, ask, name):
    reason, behaviour = FAILURES[name]
    with web.serving(behaviour(web), behaviour(web), web.say("<<<42>>>")) as server:
        teacher, [reply] = ask(server)
    assert reply.text == "<<<42>>>" and len(server.requests) == 3
    assert teacher.retried == {reason: 2}


@pytest.mark.parametrize("name", FAILURES)
def test_what_goes_wrong_every_time_costs_one_attempt(web, ask, name):
    reason, behaviour = FAILURES[name]
    with web.serving(behaviour(web)) as server, pytest.raises(TeacherFault) as caught:
        ask(server, retries=2)
    assert caught.value.what == reason and len(server.requests) == 3
    assert caught.value.usage.requests == (3 if reason == "empty_reply" else 0)


def test_a_timeout_is_repeated(web, ask):
    with web.serving(web.hang(2.0), web.say("<<<42>>>")) as server:
        teacher, [reply] = ask(server, timeout_s=0.3)
    assert reply.text == "<<<42>>>" and teacher.retried == {"timeout": 1}


def test_a_server_that_is_not_there(web, ask):
    with web.serving(web.close) as server:
        pass
    with pytest.raises(TeacherFault) as caught:
        ask(server, retries=1)
    assert caught.value.what == "connection"


def test_the_endpoint_says_how_long_to_wait(web, ask, monkeypatch):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    with web.serving(web.status(429, Retry_After="7"), web.say("<<<42>>>")) as server:
        monkeypatch.setattr("r1ci_plugins.synthesis.endpoint_teacher.asyncio.sleep", sleep)
        ask(server)
    assert pauses == [7.0]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
def test_a_refusal_stops_the_run_at_once(web, ask, code):
    with web.serving(web.status(code)) as server, pytest.raises(MachineProblem, match=f"status {code}"):
        ask(server)
    assert len(server.requests) == 1


def test_an_endpoint_that_only_fails_is_given_up(web, tmp_path):
    async def talk(url):
        teacher = endpoint_teacher(tmp_path, base_url=url, retries=0)
        await teacher.start()
        for number in range(GIVE_UP - 1):
            with pytest.raises(TeacherFault):
                await teacher.speaker(attempt(number)).reply(["q"])
        with pytest.raises(MachineProblem, match="in a row"):
            await teacher.speaker(attempt(GIVE_UP)).reply(["q"])
        await teacher.close()

    with web.serving(web.status(500)) as server:
        asyncio.run(talk(server.url))
    assert len(server.requests) == GIVE_UP


def test_nothing_is_paid_for_twice(web, ask):
    with web.serving(web.say("<<<42>>>")) as server:
        ask(server, attempt(0), attempt(1))
        assert len(server.requests) == 2
        teacher, replies = ask(server, attempt(0), attempt(1), attempt(2))
    assert len(server.requests) == 3
    assert [reply.usage.cached for reply in replies] == [1, 1, 0]
    assert teacher.ledger.spent.requests == 1


def test_a_spoilt_file_of_the_cache_is_paid_for_again(web, ask, tmp_path):
    with web.serving(web.say("<<<42>>>")) as server:
        ask(server)
        [file] = (tmp_path / "replies").rglob("*.json")
        file.write_text('{"text": "<<<4')
        ask(server)
    assert len(server.requests) == 2


def test_a_reply_that_never_ended_is_told_apart(web, ask):
    with web.serving(web.say("and then, and then, and then", finish="length")) as server:
        assert [ask(server)[1][0].complete for _ in range(2)] == [False, False]
    assert len(server.requests) == 1


@pytest.mark.parametrize("together", [False, True])
def test_the_budget_is_used_up_and_never_exceeded(web, ask, together):
    attempts = [attempt(number) for number in range(30)]
    spending = ledger(completion_price=1e6 / 100, max_cost=10.0)  # 100 tokens cost 1; a request at most 2, really 0.5
    answering = web.serving(web.say("<<<42>>>", prompt_tokens=0, completion_tokens=50))
    with answering as server, pytest.raises(BudgetSpent, match="the budget is spent"):
        ask(server, *attempts, together=together, spending=spending)
    assert 8.0 < spending.spent.cost <= 10.0
    assert len(server.requests) == spending.spent.requests


def test_a_budget_in_tokens_counts_failures_too(web, ask):
    spending = ledger(max_tokens=1000)
    with web.serving(web.say("")) as server, pytest.raises(BudgetSpent):
        ask(server, spending=spending, retries=50)
    assert spending.spent.prompt_tokens + spending.spent.completion_tokens <= 1000


def test_a_full_disk_stops_before_anything_is_paid_for(web, ask, monkeypatch):
    monkeypatch.setattr(reply_cache.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1 << 20})())
    with web.serving(web.say("<<<42>>>")) as server, pytest.raises(MachineProblem, match="1 MiB are free"):
        ask(server)
    assert not server.requests


def test_the_rate_is_kept():
    now = [0.0]
    waited = []

    async def run():
        limit = RateLimit(requests=2, tokens=100, clock=lambda: now[0])

        async def sleep(seconds):
            waited.append(seconds)
            now[0] += seconds

        original, asyncio.sleep = asyncio.sleep, sleep
        try:
            for tokens in (10, 10, 10, 95, 500):
                await limit.wait(tokens)
        finally:
            asyncio.sleep = original

    asyncio.run(run())
    assert waited == [60.0, 60.0, 60.0]  # two requests a minute; 10 + 95 tokens; more than the limit goes alone


def test_a_key_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(MachineProblem, match="OPENAI_API_KEY is empty"):
        asyncio.run(endpoint_teacher(tmp_path).start())
