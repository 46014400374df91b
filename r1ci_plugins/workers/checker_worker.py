"""The process that checkers run in: JSON lines in, JSON lines out. Started by ``VerifierPool``; not for people."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
from typing import Any


def main() -> None:
    """Load what the first line names, then answer one question per line until stdin closes."""
    die_with_parent()
    requests = os.fdopen(os.dup(0), encoding="utf-8", errors="surrogatepass")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a checker prints must not be taken for a reply

    def reply(number: int, **values: Any) -> None:
        replies.write(json.dumps({"number": number, **values}) + "\n")
        replies.flush()

    order = json.loads(requests.readline())
    number = order["number"]
    try:
        from r1ci_plugins.plugins.packs import load_packs
        from r1ci_plugins.plugins.registry import load_plugins
        from r1ci_plugins.tasks.task import Question, Score

        plugins = load_plugins(order["plugins"])
        packs = load_packs(order["packs"], own=plugins.packs)
        verifier = plugins.make("verifiers", order["verifier"], order["options"])
    except Exception as error:
        reply(number, error=str(error))
        return
    limit, hard = order["memory_mb"] << 20, resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    reply(number, ready=True)
    for line in requests:
        try:
            request = json.loads(line)
            number = request["number"]
            question = Question.from_json(request["question"])
            pack, name = question.task.split("/", 1)
            score = verifier(packs[pack][name], question, request["answer"])
            if not isinstance(score, Score):
                raise TypeError(f"the verifier returned {score!r}, not a Score")
            reply(number, value=float(score.value), detail=score.detail[:1000])
        except Exception as error:  # MemoryError and RecursionError included: they are the checker's, not ours
            reply(number, error=f"{type(error).__name__}: {error}"[:1000])


def die_with_parent() -> None:
    """Ask Linux to kill this process when the one that started it dies, so that no worker is ever orphaned."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main()
