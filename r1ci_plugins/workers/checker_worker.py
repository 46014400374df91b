"""The process that checkers run in; ``VerifierPool`` starts it."""

import resource
from typing import Any

from r1ci_plugins.errors import InfrastructureFault, plugin_error
from r1ci_plugins.workers.json_lines import Channel, die_with_parent


def main() -> None:
    """Load what the first request names, then check one answer per request until standard input ends."""
    die_with_parent()
    channel = Channel()
    requests = iter(channel)
    order = next(requests)
    try:
        from r1ci_plugins.plugins.packs import load_packs
        from r1ci_plugins.plugins.registry import load_plugins
        from r1ci_plugins.tasks.task import Question, Score

        plugins = load_plugins(order["plugins"])
        packs = load_packs(order["packs"], own=plugins.packs)
        verifier = plugins.make("verifiers", order["verifier"], order["options"])
    except Exception as error:
        channel.reply(error=str(error))
        return
    limit, hard = order["memory_mb"] << 20, resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    channel.reply(ready=True)
    for request in requests:
        question = Question.from_json(request["question"])
        try:
            pack, name = question.task.split("/", 1)
            score = verifier(packs[pack][name], question, request["answer"])
            if not isinstance(score, Score):
                raise TypeError(f"the verifier returned {score!r}, not a Score")
            channel.reply(value=float(score.value), detail=score.detail[:1000])
        except Exception as error:  # MemoryError and RecursionError included: they are the checker's, not ours
            channel.reply(fault=_fault(error, question.key))


def _fault(error: Exception, question: str) -> dict[str, Any]:
    fix = "report it to the pack's author; the answer is counted as neither right nor wrong"
    fault = plugin_error(InfrastructureFault, "the checker failed:", error, where=question, fix=fix)
    return {"what": fault.what[:1000], "where": fault.where, "fix": fault.fix}


if __name__ == "__main__":
    main()
