"""Sizes that do not go together: upstream's assertions, which stand where Ray runs already, and those it lacks.

Each check gives a ``Clash`` or None. A clash names the changes that may mend it, nearest first; ``refuse`` keeps those
that do, so that following the text works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from r1ci_plugins.errors import MachineProblem, RecipeError
from r1ci_plugins.trainers.openrlhf.arithmetic import GROUPED, Settings
from r1ci_plugins.trainers.openrlhf.machine import Machine
from r1ci_plugins.trainers.openrlhf.model_shape import Model

Change = Mapping[str, Any]
_SEARCHED = 2048
"""How far from a size another one is looked for."""


@dataclass(frozen=True)
class Case:
    """What is checked.

    Attributes:
        settings: Resolved flags.
        model: What is known of the policy.
        machine: The GPUs there are; None if they are not known.
        stage: The stage of a staged recipe; empty for a run of its own.
    """

    settings: Settings
    model: Model
    machine: Machine | None
    stage: str = ""

    def changed(self, change: Change) -> Case:
        """The same with some flags changed."""
        return replace(self, settings=self.settings.changed(change))

    def text(self, change: Change) -> str:
        """A change as a person types it."""
        if self.stage:
            return " ".join(
                f"--set stages.{self.stage}.trainer.{flag}={_yaml(value)}" for flag, value in change.items()
            )
        flags = {True: "--{0}", False: "--set trainer.{0}=false"}
        return " ".join(
            flags[value].format(flag) if isinstance(value, bool) else f"--{flag} {value}"
            for flag, value in change.items()
        )


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Clash:
    """Sizes that do not go together.

    Attributes:
        what: In one sentence.
        flags: The flags it is about.
        tries: Changes that may mend it: of each sequence the first that does is named.
        machine: Whether the machine is too small, rather than the recipe wrong.
        advice: What to do where no flag helps.
    """

    what: str
    flags: Sequence[str]
    tries: Sequence[Iterable[Change]]
    machine: bool = False
    advice: str = "change them together"


def refuse(case: Case) -> None:
    """Check all sizes.

    Raises:
        RecipeError: Some do not go together; the text names the nearest that do.
        MachineProblem: The machine has too few GPUs.
    """
    for number, check in enumerate(_checks(case)):
        clash = check(case)
        if clash is not None:
            values = ", ".join(f"--{flag} {case.settings[flag]}" for flag in clash.flags)
            mended = [case.text(change) for change in _mending(case, clash, number)]
            kind = MachineProblem if clash.machine else RecipeError
            where = f"stage {case.stage}: {values}" if case.stage else values
            raise kind(clash.what, where=where or None, fix=", or ".join(mended) or clash.advice)


def passes(case: Case) -> bool:
    """Whether all sizes go together."""
    return _holds(case, _checks(case))


def _checks(case: Case) -> tuple[Callable[[Case], Clash | None], ...]:
    return CHECKS[case.settings.command]


def _mending(case: Case, clash: Clash, number: int) -> list[Change]:
    """The first change of each try that mends everything; if none does, those that mend the checks up to this one."""
    tries = [list(islice(one, _SEARCHED)) for one in clash.tries]
    everything = _checks(case)
    for checks in (everything, everything[: number + 1]):
        found: list[Change] = []
        for one in tries:
            change = next((change for change in one if _holds(case.changed(change), checks)), None)
            if change is not None and change not in found:
                found.append(change)
        if found:
            return found
    return []


def _holds(case: Case, checks: Sequence[Callable[[Case], Clash | None]]) -> bool:
    return all(check(case) is None for check in checks)


def _down(settings: Settings, flag: str) -> Iterator[Change]:
    return ({flag: value} for value in range(settings[flag] - 1, 0, -1))


def _up(settings: Settings, flag: str) -> Iterator[Change]:
    return ({flag: value} for value in range(max(settings[flag] + 1, 1), settings[flag] + _SEARCHED))


def _near(settings: Settings, *flags: str) -> list[Iterable[Change]]:
    return [way(settings, flag) for flag in flags for way in (_down, _up)]


# -- one check each ---------------------------------------------------------------------------------------------------


def _positive(case: Case) -> Clash | None:
    settings = case.settings
    names = ["train.batch_size", "train.micro_batch_size", "train.max_epochs", "data.max_len"]
    names += ["ds.ring_attn_size", "ds.tensor_parallel_size"]
    if settings.command == "train_ppo":
        names += ["rollout.batch_size", "rollout.n_samples_per_prompt", "rollout.micro_batch_size"]
        names += ["train.num_episodes", "vllm.tensor_parallel_size"]
        names += [f"{role}.{part}" for role in settings.roles for part in ("num_nodes", "num_gpus_per_node")]
    for name in names:
        if settings[name] < 1:
            return Clash(f"--{name} is {settings[name]}; it is at least 1", [name], [[{name: 1}]])
    return None


def _engines(case: Case) -> Clash | None:
    settings = case.settings
    if (settings["vllm.num_engines"] or 0) > 0:
        return None
    parallel = settings["vllm.tensor_parallel_size"]
    counts = [settings.gpus("actor") // parallel, 1]
    return Clash(
        "there is no vLLM engine, and rollouts run in vLLM alone",
        ["vllm.num_engines"],
        [({"vllm.num_engines": count} for count in counts if count)],
    )


def _split(case: Case) -> Clash | None:
    settings = case.settings
    for role in settings.roles:
        if settings.gpus(role) % settings.split:
            sizes = ["ds.ring_attn_size", "ds.tensor_parallel_size"]
            flags = [] if role == "model" else [f"{role}.num_gpus_per_node"]
            return Clash(
                f"{settings.gpus(role)} GPUs of the {role} are no multiple of ring attention x tensor parallel",
                [*sizes, *flags],
                [*[_down(settings, size) for size in sizes], *_near(settings, *flags)],
            )
    return None


def _colocated_ref(case: Case) -> Clash | None:
    settings = case.settings
    shared = settings["train.colocate_all"] or settings["train.colocate_actor_ref"]
    return _alike(case, "actor", "ref") if shared and "ref" in settings.roles else None


def _colocated_critic(case: Case) -> Clash | None:
    settings = case.settings
    if "critic" not in settings.roles:
        return None
    if settings["train.colocate_critic_reward"]:
        return _alike(case, "critic", "reward")
    own, actor = settings.gpus("critic"), settings.gpus("actor")
    if not settings["train.colocate_all"] or own <= actor:
        return None
    return Clash(
        f"the critic of GAE has {own} GPUs, and shares those of the actor, {actor}",
        ["critic.num_nodes", "critic.num_gpus_per_node"],
        [[_size_of(settings, "actor", "critic")], [{"algo.advantage.estimator": "group_norm"}]],
    )


def _alike(case: Case, first: str, second: str) -> Clash | None:
    settings = case.settings
    flags = [f"{role}.{part}" for role in (first, second) for part in ("num_nodes", "num_gpus_per_node")]
    if settings[flags[0]] == settings[flags[2]] and settings[flags[1]] == settings[flags[3]]:
        return None
    return Clash(
        f"{first} and {second} share their GPUs, so both need the same nodes and GPUs per node",
        flags,
        [[_size_of(settings, first, second)], [_size_of(settings, second, first)]],
    )


def _size_of(settings: Settings, source: str, target: str) -> Change:
    return {f"{target}.{part}": settings[f"{source}.{part}"] for part in ("num_nodes", "num_gpus_per_node")}


def _colocated_engines(case: Case) -> Clash | None:
    settings = case.settings
    if not settings.vllm_shares or settings.gpus("vllm") == settings.gpus("actor"):
        return None
    flags = ["vllm.num_engines", "vllm.tensor_parallel_size", "actor.num_gpus_per_node"]
    both: list[Change] = [
        {role: count for role in ("actor.num_gpus_per_node", "ref.num_gpus_per_node")}
        for count in range(1, settings.gpus("vllm") + 1)
    ]
    return Clash(
        f"with --train.colocate_all vLLM has the actor's GPUs: engines x tensor parallel is {settings.gpus('vllm')}, "
        f"the actor has {settings.gpus('actor')}",
        flags,
        [
            *_near(settings, *flags),
            both,
            [{"vllm.num_engines": settings.gpus("actor"), "vllm.tensor_parallel_size": 1}],
        ],
    )


def _groups(case: Case) -> Clash | None:
    settings = case.settings
    if settings["rollout.n_samples_per_prompt"] > 1:
        return None
    estimator = settings["algo.advantage.estimator"]
    if estimator not in GROUPED and not settings["algo.dynamic_filtering_enable"]:
        return None
    what = estimator if estimator in GROUPED else "dynamic filtering"
    flag = "rollout.n_samples_per_prompt"
    return Clash(f"{what} compares the samples of one prompt, and there is one", [flag], [_up(settings, flag)])


def _ring(case: Case) -> Clash | None:
    """SFT alone refuses it; RL packs by itself then."""
    if case.settings["ds.ring_attn_size"] == 1 or case.settings["ds.packing_samples"]:
        return None
    return Clash("ring attention needs packed samples", ["ds.ring_attn_size"], [[{"ds.packing_samples": True}]])


def _modes(case: Case) -> Clash | None:
    """Switches that exclude or need each other."""
    settings = case.settings
    asynchronous = settings["train.async_enable"]
    if asynchronous and settings["vllm.enable_sleep"] and settings["train.colocate_all"]:
        flags = ["vllm.enable_sleep", "train.async_enable"]
        what = "asynchronous training never lets vLLM sleep"
        return Clash(what, flags, [[{flag: False}] for flag in flags])
    if settings["train.partial_rollout_enable"] and not asynchronous:
        tries = [[{"train.partial_rollout_enable": False}], [{"train.async_enable": True}]]
        return Clash("partial rollouts need asynchronous training", ["train.partial_rollout_enable"], tries)
    ahead = settings["rollout.vllm_generate_batch_size"] or 0
    if ahead > settings["rollout.batch_size"] and not asynchronous:
        tries = [
            [{"rollout.vllm_generate_batch_size": settings["rollout.batch_size"]}],
            [{"train.async_enable": True}],
        ]
        what = "vLLM generates more prompts than a rollout has, which needs asynchronous training"
        return Clash(what, ["rollout.vllm_generate_batch_size", "rollout.batch_size"], tries)
    return None


def _values(case: Case) -> Clash | None:
    """Lists of numbers, and images."""
    settings = case.settings
    low_high = settings["algo.dynamic_filtering_range"]
    if settings["algo.dynamic_filtering_enable"] and not float(low_high[0]) < float(low_high[1]):
        advice = "write the lower number first, as in --algo.dynamic_filtering_range 0 1"
        return Clash("dynamic filtering keeps nothing", ["algo.dynamic_filtering_range"], [], advice=advice)
    threshold = settings["algo.advantage.is_correction_threshold"]
    if isinstance(threshold, list | tuple) and len(threshold) not in (1, 2):
        flag = "algo.advantage.is_correction_threshold"
        return Clash("the threshold has one number or two", [flag], [], advice=f"write --{flag} 0.5 5.0")
    if settings["data.max_images_per_prompt"] > 0 and ("critic" in settings.roles or settings["ds.packing_samples"]):
        what = "images go neither with a critic nor with packed samples"
        return Clash(what, ["data.max_images_per_prompt"], [[{"data.max_images_per_prompt": 0}]])
    return None


def _batch(case: Case) -> Clash | None:
    """A batch is whole micro-steps of every rank."""
    settings = case.settings
    batch, micro, unit = settings["train.batch_size"], settings["train.micro_batch_size"], settings.unit
    if not unit or batch % unit == 0:
        return None
    ranks = " and ".join(f"{settings.ranks(role)} {role} ranks" for role in settings.roles)
    flags = ["train.batch_size", "train.micro_batch_size"]
    above = f" (and is below the micro batch of {micro})" if batch < micro else ""
    return Clash(
        f"a batch of {batch} is no multiple of {unit}: micro batch {micro} x {ranks}{above}",
        flags,
        [
            [{flags[0]: value} for value in (batch - batch % unit,) if value],
            [{flags[0]: batch - batch % unit + unit}],
            _down(settings, flags[1]),
        ],
    )


def _rollout(case: Case) -> Clash | None:
    """A rollout gives at least one optimizer step, and whole ones where micro-batches go by tokens."""
    settings = case.settings
    batch, each = settings["train.batch_size"], settings["rollout.n_samples_per_prompt"]
    flags = ["train.batch_size", "rollout.batch_size", "rollout.n_samples_per_prompt"]
    enough: Iterable[Change] = ({flags[1]: -(-batch * times // each)} for times in range(1, _SEARCHED))
    if batch > settings.samples:
        what = (
            f"a batch of {batch} is above the {settings.samples} samples of a rollout: OpenRLHF would take no step "
            "and end as if all were well"
        )
    elif settings.dynamic and settings.samples % batch:
        what = f"dynamic batches drop what is left of a rollout: {settings.samples} samples in batches of {batch}"
    else:
        return None
    return Clash(what, flags, [*_near(settings, flags[0], flags[1]), enough])


def _sample_batches(case: Case) -> Clash | None:
    settings = case.settings
    batches = settings.samples // settings["rollout.micro_batch_size"]
    if batches >= settings.ranks("actor"):
        return None
    flags = ["rollout.micro_batch_size", "rollout.batch_size"]
    return Clash(
        f"a rollout has {batches} micro-batches for {settings.ranks('actor')} actor ranks; each rank needs one",
        flags,
        [_down(settings, flags[0]), _up(settings, flags[1])],
    )


def _context(case: Case) -> Clash | None:
    length, longest = case.settings["data.max_len"], case.model.context
    if longest is None or length <= longest:
        return None
    return Clash(
        f"--data.max_len {length} is above the context of {case.model.name}, {longest} tokens",
        ["data.max_len"],
        [[{"data.max_len": longest}]],
    )


def _heads(case: Case) -> Clash | None:
    settings, shape = case.settings, case.model.shape
    if shape is None or shape.heads % settings["vllm.tensor_parallel_size"] == 0:
        return None
    flag, gpus = "vllm.tensor_parallel_size", settings.gpus("vllm")
    tries = [
        {flag: size, "vllm.num_engines": gpus // size} for size in range(settings[flag], 0, -1) if gpus % size == 0
    ]
    return Clash(f"vLLM cannot divide {shape.heads} attention heads by {settings[flag]}", [flag], [tries])


def _machine(case: Case) -> Clash | None:
    settings, machine = case.settings, case.machine
    if machine is None or settings.total_gpus <= machine.gpus:
        return None
    if settings.command == "train_sft":
        advice = f"start {machine.gpus} processes, as in torchrun --nproc_per_node {machine.gpus_per_node}"
        what = f"{settings.processes} processes need a GPU each, and there are {machine}"
        return Clash(what, [], [], machine=True, advice=advice)
    roles = ", ".join(f"{' and '.join(names)} {count}" for names, count in settings.groups())
    return Clash(
        f"the roles need {settings.total_gpus} GPUs ({roles}), and there are {machine}",
        ["train.colocate_all"],
        [[{"train.colocate_all": True}], _smaller(settings, machine)],
        machine=True,
        advice="take a larger machine, or fewer GPUs for each role",
    )


def _smaller(settings: Settings, machine: Machine) -> Iterator[Change]:
    """All roles together on as many GPUs as there are, or on fewer."""
    shared = {} if settings["train.colocate_all"] else {"train.colocate_all": True}
    for per_node in range(machine.gpus_per_node, 0, -1):
        gpus = machine.nodes * per_node
        for parallel in (settings["vllm.tensor_parallel_size"], 1):
            sizes = {f"{role}.num_nodes": machine.nodes for role in settings.roles}
            sizes |= {f"{role}.num_gpus_per_node": per_node for role in settings.roles}
            engines = {"vllm.num_engines": gpus // parallel, "vllm.tensor_parallel_size": parallel}
            change = {**sizes, **engines}
            unit = settings.changed(change).unit or 1
            nearest = settings["train.batch_size"] // unit * unit or unit
            change["train.batch_size"] = nearest
            yield {**shared, **{flag: value for flag, value in change.items() if settings[flag] != value}}


CHECKS: Mapping[str, tuple[Callable[[Case], Clash | None], ...]] = {
    "train_ppo": (
        _positive,
        _engines,
        _split,
        _colocated_ref,
        _colocated_critic,
        _colocated_engines,
        _groups,
        _modes,
        _values,
        _batch,
        _rollout,
        _sample_batches,
        _context,
        _heads,
        _machine,
    ),
    "train_sft": (_positive, _split, _ring, _batch, _context, _machine),
}
"""By command, in an order in which mending one does not need a later one."""
