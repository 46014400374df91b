"""An estimate of the memory that a run needs on each GPU, with every assumption named.

Bytes, for a dense decoder trained in bf16 by DeepSpeed with AdamW and sampled by vLLM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from r1ci_plugins.trainers.openrlhf.arithmetic import Settings
from r1ci_plugins.trainers.openrlhf.model_shape import Shape
from r1ci_plugins.trainers.openrlhf.size_checks import Case, Change, passes

GIB = 1 << 30
_CONTEXT = GIB
"""A process on a GPU: CUDA's context and NCCL's buffers, about."""
_GATHERED = 2 * 10**9 + 2 * 5 * 10**8
"""DeepSpeed's defaults with ZeRO-3: 1e9 gathered parameters alive and a bucket of 5e8 gradients, 2 bytes each."""
_BUCKET = 2 * 5 * 10**8
"""DeepSpeed's default with ZeRO-1 and 2: a bucket of 5e8 gradients."""
_TRAINED_LOGIT = 10
"""Bytes per token and vocabulary entry: fp32 logits, their fp32 gradient, and its bf16 copy."""
_SCORED_LOGIT = 6
"""The same without gradients: bf16 logits and their fp32 copy."""


@dataclass(frozen=True)
class ModelStates:
    """What a trained model holds on each GPU whatever the batch, bytes."""

    weights: int
    gradients: int
    optimizer: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer


def model_states(
    parameters: int,
    *,
    stage: int,
    ranks: int,
    trained: int | None = None,
    weight_bytes: float = 2,
    offloaded: bool = False,
) -> ModelStates:
    """Weights, gradients and AdamW's states under ZeRO.

    Args:
        parameters: Of the whole model.
        stage: 0 divides nothing, 1 the optimizer's states, 2 gradients too, 3 weights too.
        ranks: Processes that they are divided by.
        trained: Parameters that are trained; None means all of them.
        weight_bytes: 2 for bf16, which has an fp32 master copy besides; 4 for fp32, which needs none.
        offloaded: Whether the optimizer's states are in the host's memory.
    """
    trained = parameters if trained is None else trained
    master = 4 if weight_bytes < 4 else 0
    gradient_bytes = max(weight_bytes, 2)
    return ModelStates(
        weights=int(parameters * weight_bytes) // (ranks if stage >= 3 else 1),
        gradients=int(trained * gradient_bytes) // (ranks if stage >= 2 else 1),
        optimizer=0 if offloaded else trained * (8 + master) // (ranks if stage >= 1 else 1),
    )


def activations(shape: Shape, tokens: int, *, checkpointing: bool) -> int:
    """What the backward pass keeps of the layers for one micro-step, bytes, logits left out.

    Args:
        shape: The model's.
        tokens: Of the micro-step on one GPU.
        checkpointing: Whether only each layer's input is kept, and one layer at a time is computed again.
    """
    hidden, query, kv = shape.hidden, shape.query_width, shape.kv_width
    # bf16: inputs and outputs of both norms, residuals; queries, keys, values, attention; the MLP's four. fp32: norms.
    layer = 2 * (6 * hidden + 2 * query + 2 * kv + 4 * shape.intermediate) + 8 * hidden
    kept = 2 * hidden * shape.layers + layer if checkpointing else layer * shape.layers
    return tokens * kept


def kv_bytes(shape: Shape) -> int:
    """Bytes of the KV cache per token, over all GPUs of an engine."""
    return 2 * 2 * shape.layers * shape.kv_width


@dataclass(frozen=True)
class Estimate:
    """Memory of one GPU of a group of roles.

    Attributes:
        roles: Which roles share it.
        parts: What is on it at some time, bytes, by name.
        moments: What is on it at once, bytes, by what happens then.
    """

    roles: tuple[str, ...]
    parts: Mapping[str, int]
    moments: Mapping[str, int]

    @property
    def peak(self) -> int:
        """Bytes at the worst moment."""
        return max(self.moments.values())


def estimates(case: Case) -> list[Estimate]:
    """The estimate for each group of GPUs; the model's shape is known."""
    assert case.model.shape is not None
    return [_estimate(case, case.model.shape, roles) for roles, _ in case.settings.groups()]


def _estimate(case: Case, shape: Shape, roles: tuple[str, ...]) -> Estimate:
    settings = case.settings
    parts: dict[str, int] = {}
    resting, training, scoring = 0, dict[str, int](), 0
    for role in roles:
        if role == "vllm":
            continue
        states = _states(settings, shape, role)
        if role == "ref":
            parts["reference weights"] = states.weights
            resting += states.weights + _CONTEXT
            scoring = max(scoring, _forward(settings, shape, role))
            continue
        at_rest = states.weights if _sleeps(settings) else states.total
        busy = states.total - at_rest + _working(settings, shape, role)
        parts |= {f"{role} weights": states.weights, f"{role} gradients": states.gradients}
        parts |= {f"{role} optimizer states": states.optimizer, f"{role} gathering": _gathering(settings, shape)}
        logits = _logits(settings, shape, role)
        parts[f"{role} activations"] = _working(settings, shape, role) - _gathering(settings, shape) - logits
        parts[f"{role} logits"] = logits
        resting += at_rest + _CONTEXT
        training[f"training the {role}"] = busy
        if settings.command == "train_ppo":
            scoring = max(scoring, _forward(settings, shape, role))
    moments = {name: resting + busy for name, busy in training.items()}
    if scoring:
        moments["scoring"] = resting + scoring
    if "vllm" in roles:
        moments = _with_vllm(case, shape, parts, moments, resting)
    return Estimate(roles, parts, moments or {"resting": resting})


def _with_vllm(
    case: Case, shape: Shape, parts: dict[str, int], moments: Mapping[str, int], resting: int
) -> dict[str, int]:
    """Add vLLM, which takes a share of the GPU, or where its memory is not known its weights alone."""
    settings = case.settings
    weights = 2 * shape.parameters // settings["vllm.tensor_parallel_size"]
    taken = weights + _CONTEXT
    parts["vLLM weights"] = weights
    if case.machine is not None and case.machine.gib is not None:
        taken = max(taken, int(settings["vllm.gpu_memory_utilization"] * case.machine.gib * GIB))
        parts["vLLM KV cache"] = kv_room(case, shape)
    asleep = settings["vllm.enable_sleep"] and settings["train.colocate_all"]
    awake = {name: used + (_CONTEXT if asleep else taken) for name, used in moments.items()}
    return {"generating": resting + taken, **awake}


def kv_room(case: Case, shape: Shape) -> int:
    """Bytes of each GPU that vLLM has left for the KV cache; 2 GiB are taken for its graphs and activations."""
    assert case.machine is not None and case.machine.gib is not None
    taken = case.settings["vllm.gpu_memory_utilization"] * case.machine.gib * GIB
    weights = 2 * shape.parameters // case.settings["vllm.tensor_parallel_size"]
    return max(0, int(taken) - weights - 2 * GIB)


def _states(settings: Settings, shape: Shape, role: str) -> ModelStates:
    parallel, stage = settings["ds.tensor_parallel_size"], settings["ds.zero_stage"]
    ranks = max(1, settings.gpus(role) // parallel)
    weight_bytes = 0.55 if settings["ds.load_in_4bit"] else 2
    parameters = shape.parameters
    if role == "critic":  # a number per token in place of the output embedding
        parameters -= 0 if shape.tied else shape.vocab * shape.hidden - shape.hidden
    if role == "ref":
        offloaded = settings["ref.offload"]
        held = model_states(parameters // parallel, stage=stage, ranks=ranks, trained=0)
        return ModelStates(0, 0, 0) if offloaded else held
    rank = settings["ds.lora.rank"]
    trained = shape.lora_parameters(rank) if rank else parameters
    return model_states(
        parameters // parallel,
        stage=stage,
        ranks=ranks,
        trained=trained // parallel,
        weight_bytes=weight_bytes,
        offloaded=bool(settings["ds.adam_offload"]),
    )


def _sleeps(settings: Settings) -> bool:
    """Whether gradients and optimizer states leave the GPU while nothing is trained."""
    return bool(settings.command == "train_ppo" and settings["ds.enable_sleep"] and not settings["ds.adam_offload"])


def _gathering(settings: Settings, shape: Shape) -> int:
    stage = settings["ds.zero_stage"]
    return min(_GATHERED if stage >= 3 else _BUCKET if stage else 0, 2 * shape.parameters)


def _working(settings: Settings, shape: Shape, role: str) -> int:
    """What one micro-step needs besides states, bytes."""
    owner = role if role in ("model", "actor") else "actor"
    checkpointing = settings[f"{owner}.gradient_checkpointing_enable"]
    tokens = _tokens(settings, "train")
    kept = activations(shape, tokens, checkpointing=checkpointing)
    return _gathering(settings, shape) + _logits(settings, shape, role) + kept


def _logits(settings: Settings, shape: Shape, role: str) -> int:
    return 0 if role == "critic" else _tokens(settings, "train") * shape.vocab * _TRAINED_LOGIT


def _forward(settings: Settings, shape: Shape, role: str) -> int:
    """What the log-probs of a micro-batch need, bytes."""
    tokens = _tokens(settings, "rollout")
    logits = 0 if role == "critic" else tokens * shape.vocab * _SCORED_LOGIT
    return _gathering(settings, shape) + logits + 4 * tokens * (shape.hidden + shape.intermediate)


def _tokens(settings: Settings, kind: str) -> int:
    """Tokens of a micro-batch on one GPU, at most."""
    longest = settings.context if settings.command == "train_ppo" else settings["data.max_len"]
    if settings.dynamic:
        given = settings[f"{kind}.max_tokens_per_gpu"] or settings["train.max_tokens_per_gpu"]
        return int(max(given, longest // settings.split))
    return int(settings[f"{kind}.micro_batch_size"] * longest // settings["ds.ring_attn_size"])


# -- whether it fits --------------------------------------------------------------------------------------------------


def describe(case: Case) -> list[str]:
    """The estimate in lines, with a warning where it does not fit."""
    if case.model.shape is None:
        return [f"memory: not estimated: {note}" for note in case.model.notes]
    lines = [f"memory per GPU, GiB, an estimate for {case.model.shape.parameters / 1e9:.2f} billion parameters:"]
    for one in estimates(case):
        parts = ", ".join(f"{name} {_gib(size)}" for name, size in one.parts.items() if size)
        moments = ", ".join(f"{name} {_gib(used)}" for name, used in one.moments.items())
        lines += [f"  {' + '.join(one.roles)}: {parts}", f"    at once: {moments}"]
    lines += [f"  {line}" for line in [*_cache(case, case.model.shape), *_assumptions(case.settings)]]
    return [*lines, *_warnings(case)]


def _gib(size: float) -> str:
    return f"{size / GIB:.1f}"


def _cache(case: Case, shape: Shape) -> Iterator[str]:
    settings = case.settings
    if settings.command == "train_sft":
        return
    per_token = kv_bytes(shape)
    if case.machine is None or case.machine.gib is None:
        yield f"KV cache: {per_token / 1024:.0f} KiB per token; the GPU's memory is not known, --for says it"
        return
    tokens = kv_room(case, shape) * settings["vllm.tensor_parallel_size"] // per_token
    yield (
        f"KV cache: {per_token / 1024:.0f} KiB per token, {tokens} tokens per engine: "
        f"{tokens / settings.context:.0f} trajectories of full length at a time"
    )


def _assumptions(settings: Settings) -> Iterator[str]:
    stage = min(settings["ds.zero_stage"], 3)
    divided = ("nothing is divided", "optimizer states divided", "optimizer states and gradients divided")
    yield f"assumed: ZeRO stage {stage}: {(*divided, 'optimizer states, gradients and weights divided')[stage]}"
    lora = f"; LoRA of rank {settings['ds.lora.rank']} at all layers" if settings["ds.lora.rank"] else ""
    where = "in the host's memory" if settings["ds.adam_offload"] else "on the GPU"
    yield f"assumed: bf16 weights and gradients; fp32 master weights and two Adam moments {where}{lora}"
    owner = "model" if settings.command == "train_sft" else "actor"
    kept = "on" if settings[f"{owner}.gradient_checkpointing_enable"] else "off"
    yield (
        f"assumed: gradient checkpointing {kept}, flash attention, micro-batches of {_tokens(settings, 'train')} "
        f"tokens, {_TRAINED_LOGIT} bytes per token and vocabulary entry for logits and their gradient"
    )
    if settings.command == "train_ppo":
        asleep = settings["vllm.enable_sleep"] and settings["train.colocate_all"]
        offload = "leave the GPU between steps" if _sleeps(settings) else "stay"
        yield (
            f"assumed: vLLM takes {settings['vllm.gpu_memory_utilization']} of the GPU and "
            f"{'sleeps while' if asleep else 'stays awake when'} the model is trained; optimizer states {offload}"
        )
    yield "assumed: 1 GiB per process for CUDA and NCCL; DeepSpeed's default buffers; 1 GB = 1 GiB"


def _warnings(case: Case) -> Iterator[str]:
    if fits(case):
        return
    assert case.machine is not None
    worst = max(one.peak for one in estimates(case))
    yield f"warning: about {_gib(worst)} GiB are needed at once, or the KV cache is too small, on {case.machine}"
    change = mending(case)
    yield f"  fix:   {case.text(change)}" if change else "  fix:   no flag is enough: take more or larger GPUs"


def fits(case: Case) -> bool:
    """Whether the estimate fits the machine; True where its memory or the model is not known."""
    shape, machine = case.model.shape, case.machine
    if shape is None or machine is None or machine.gib is None:
        return True
    if case.settings.command == "train_ppo":
        tokens = kv_room(case, shape) * case.settings["vllm.tensor_parallel_size"] // kv_bytes(shape)
        if tokens < case.settings["data.max_len"]:
            return False
    return all(one.peak <= machine.gib * GIB for one in estimates(case))


def mending(case: Case) -> Change:
    """The smallest change that makes the estimate fit: of one flag, else of several; empty if none does."""
    found: dict[str, Any] = {}
    for change in _remedies(case.settings):
        if passes(case.changed(change)) and fits(case.changed(change)):
            return change
    for change in _remedies(case.settings):
        tried = {**found, **change}
        if passes(case.changed(tried)) and _worst(case.changed(tried)) < _worst(case.changed(found)):
            found = tried
        if fits(case.changed(found)):
            return found
    return {}


def _worst(case: Case) -> int:
    return max(one.peak for one in estimates(case))


def _remedies(settings: Settings) -> Iterator[Change]:
    """Changes that save memory, the cheapest first."""
    owner, online = ("model", False) if settings.command == "train_sft" else ("actor", True)
    switches = [f"{owner}.gradient_checkpointing_enable"]
    if online and settings.vllm_shares:
        switches += ["vllm.enable_sleep", "ds.enable_sleep"]
    yield from ({switch: True} for switch in switches if not settings[switch])
    for kind in ("train", "rollout") if online else ("train",):
        flag = f"{kind}.micro_batch_size"
        yield from ({flag: size} for size in range(settings[flag] - 1, 0, -1) if settings[flag] % size == 0)
    if settings["ds.zero_stage"] < 3:
        yield from ({"ds.zero_stage": stage} for stage in range(settings["ds.zero_stage"] + 1, 4))
    if online:
        share = settings["vllm.gpu_memory_utilization"]
        hundredths = [*range(int(share * 100) - 5, 15, -5), *range(int(share * 100) + 5, 96, 5)]
        yield from ({"vllm.gpu_memory_utilization": part / 100} for part in hundredths)
    if not settings["ds.adam_offload"]:
        yield {"ds.adam_offload": True}
    yield from ({"data.max_len": settings["data.max_len"] * part // 4} for part in (3, 2, 1))
