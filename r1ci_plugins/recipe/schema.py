"""What a recipe may say: its sections, keys, defaults and descriptions. Every default of a run lives here.

Unknown keys are errors that suggest the nearest right one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from r1ci_plugins.recipe.messages import shown
from r1ci_plugins.recipe.paths import PathText, expand_flag
from r1ci_plugins.recipe.secrets import check_no_secrets
from r1ci_plugins.sandbox.contract import Limits
from r1ci_plugins.training.supervised import TooLong

Split = Literal["sft", "rl", "test"]


def number(value: object) -> object:
    """YAML 1.1 reads ``1e-6`` as text; as a number's value it is a number."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    return value


def _mapping(value: object) -> object:
    """``correctness:`` with nothing after it means no options."""
    return {} if value is None else value


Number = Annotated[float, BeforeValidator(number)]
OptionMapping = Annotated[dict[str, Any], BeforeValidator(_mapping)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class TaskGroup(_Section):
    """Tasks that are drawn alike, named one by one or as a part of a suite."""

    tasks: list[str] | None = Field(
        default=None, min_length=1, description="Task names pack/task, or patterns with *, ? and [!a-z]."
    )
    suite: PathText | None = Field(
        default=None, description="Instead of tasks: a suite's name, such as default, or the path of a split file."
    )
    part: Literal["train", "test"] | None = Field(
        default=None, description="The suite's part: the tasks to train on, or those held out."
    )
    without: list[str] = Field(default=[], description="Packs and tasks of the suite to leave out.")
    count: int = Field(gt=0, description="Questions per task.")
    difficulty: int | None = Field(
        default=None, ge=0, description="Level of every task; null means each task's default."
    )
    split: Split = Field(default="rl", description="The split the questions are drawn from.")

    @model_validator(mode="after")
    def _named_one_way(self) -> TaskGroup:
        if (self.tasks is None) == (self.suite is None):
            raise ValueError("name either tasks, as in tasks: [bbh/*], or a suite, as in suite: default, part: train")
        if self.suite is not None and self.part is None:
            raise ValueError("a suite needs its part: train or test")
        if self.suite is None and (self.part is not None or self.without):
            raise ValueError("part and without select from a suite; beside tasks they mean nothing")
        return self


class EvalGroup(TaskGroup):
    """Tasks that are held out."""

    split: Split = Field(default="test", description="The split the questions are drawn from.")


class TasksConfig(_Section):
    """The questions to train on, and those held out."""

    train: list[TaskGroup] = Field(default=[], description="Questions to train on. SFT needs none.")
    eval: list[EvalGroup] = Field(
        default=[], description="Held-out questions, asked before, during and after training."
    )

    @model_validator(mode="after")
    def _held_out(self) -> TasksConfig:
        shared = {group.split for group in self.train} & {group.split for group in self.eval}
        if shared:
            raise ValueError(f"train and eval both draw from split {shared.pop()!r}, so eval would not be held out")
        return self


class ProtocolConfig(_Section):
    """How the model and its programs take turns, and the limits of an episode."""

    answer_format: str = Field(default="natural", description="How the model marks code and its final answer.")
    answer_format_options: OptionMapping = Field(default={}, description="Options of the answer format.")
    instructions: str | None = Field(default=None, description="Head prompt; null means the answer format's own.")
    chat_template: str | None = Field(
        default=None,
        description="File of a chat template (Jinja) to use in place of the model's own, in SFT, RL and evaluation.",
    )
    chat_template_options: OptionMapping = Field(
        default={}, description="Variables for the chat template, such as enable_thinking: false."
    )
    earlier_thinking: Literal["kept", "template"] = Field(
        default="kept",
        description="Which <think> sections later turns see: all of them, as sampled, or those that the chat template "
        "renders; the latter is refused where the template drops them.",
    )
    max_code_calls: int = Field(default=8, ge=0, description="Programs that a trajectory may run.")
    max_turn_tokens: int = Field(default=2048, gt=0, description="Tokens that the model may sample in one turn.")
    max_total_tokens: int | None = Field(
        default=None,
        gt=0,
        description="Tokens that a whole trajectory may have, prompt included; null means the trainer's data.max_len.",
    )
    max_output_chars: int = Field(
        default=4000, gt=0, description="Characters of a program's output that the model sees."
    )
    deadline_s: Number = Field(default=600.0, gt=0, description="Wall-clock seconds that a trajectory may take.")

    @field_validator("chat_template")
    @classmethod
    def _from_anywhere(cls, file: str | None) -> str | None:
        return str(Path(file).absolute()) if file else None  # Ray's workers may start in another folder


class LimitsConfig(_Section):
    """What one program may use."""

    wall_s: Number = Field(default=60.0, gt=0, description="Wall-clock seconds that it may run.")
    cpu_s: Number | None = Field(default=None, gt=0, description="CPU seconds that it may use; null means wall_s.")
    memory_mb: int = Field(default=2048, gt=0, description="Address space of each of its processes, MiB.")
    file_mb: int = Field(default=64, gt=0, description="Size of the largest file that it may write, MiB.")
    processes: int = Field(default=512, gt=0, description="Processes and threads that it may have.")
    output_bytes: int = Field(default=1 << 20, gt=0, description="Bytes of stdout, and of stderr, that are kept.")


class SandboxConfig(_Section):
    """Where the model's programs run."""

    backend: str = Field(default="firejail", description="The sandbox's name.")
    options: OptionMapping = Field(default={}, description="Options of the sandbox.")
    concurrency: int | None = Field(
        default=None, gt=0, description="Programs that run at a time; null means one per core."
    )
    python: PathText | None = Field(
        default=None, description="Path of the Python that runs the programs; null means the one that runs r1ci."
    )
    limits: LimitsConfig = Field(default=LimitsConfig(), description="What one program may use.")
    retries: int = Field(
        default=2, ge=0, description="How often a program is tried again when the sandbox itself fails."
    )

    def contract_limits(self) -> Limits:
        """The limits as the sandbox contract has them."""
        return Limits(**self.limits.model_dump())


class VerifierConfig(_Section):
    """How answers are judged."""

    name: str = Field(default="task", description="The verifier's name; task means each task's own checker.")
    options: OptionMapping = Field(default={}, description="Options of the verifier.")
    deadline_s: Number = Field(
        default=10.0, gt=0, description="Seconds that checking one answer may take; then the checker is killed."
    )
    workers: int = Field(default=1, gt=0, description="Number of checker processes.")
    memory_mb: int = Field(default=2048, gt=0, description="Address space of each checker process, MiB.")


class AuxiliaryMask(_Section):
    """The policy's own tokens, and beside them a cross-entropy on code outputs."""

    auxiliary: Number = Field(
        default=0.05, gt=0, le=1, description="Weight of the mean cross-entropy of the code outputs' tokens."
    )


def _auxiliary(value: object) -> object:
    """``code_outputs: auxiliary`` means its default weight."""
    return {} if value == "auxiliary" else value


class MaskConfig(_Section):
    """Which tokens are trained."""

    code_outputs: Annotated[str | AuxiliaryMask, BeforeValidator(_auxiliary)] = Field(
        default="masked",
        description="masked, unmasked (the ablation), {auxiliary: 0.05} (code outputs in a term of the loss of their "
        "own), or a plugin's loss mask.",
    )

    @property
    def name(self) -> str:
        """The loss mask's name."""
        return self.code_outputs if isinstance(self.code_outputs, str) else "auxiliary"

    @property
    def options(self) -> dict[str, Any]:
        """The loss mask's options."""
        return {} if isinstance(self.code_outputs, str) else {"weight": self.code_outputs.auxiliary}


class TrajectoriesConfig(_Section):
    """How many trajectories are recorded."""

    max_mb: int = Field(default=1024, gt=0, description="Size at which a run stops recording trajectories, MiB.")
    sample_rate: Number = Field(default=1.0, ge=0, le=1, description="Share of the trajectories that are recorded.")


class EndpointConfig(_Section):
    """A teacher behind an OpenAI-compatible endpoint."""

    model: str = Field(min_length=1, description="The model's name at the endpoint.")
    base_url: str | None = Field(
        default=None, description="The endpoint's address, such as http://host:8000/v1; null means OpenAI's."
    )
    api_key_variable: str = Field(
        default="OPENAI_API_KEY",
        description="Name of the environment variable that holds the key; never the key itself.",
    )
    temperature: Number = Field(default=1.0, ge=0, description="Sampling temperature.")
    timeout_s: Number = Field(default=120.0, gt=0, description="Seconds per request.")
    retries: int = Field(
        default=5, ge=0, description="How often a failed request is tried again, after longer and longer waits."
    )
    requests_per_minute: int | None = Field(
        default=None, gt=0, description="Requests per minute; null means no limit."
    )
    tokens_per_minute: int | None = Field(default=None, gt=0, description="Tokens per minute; null means no limit.")
    prompt_price: Number = Field(default=0.0, ge=0, description="Price of a million tokens read.")
    completion_price: Number = Field(default=0.0, ge=0, description="Price of a million tokens written.")
    max_cost: Number | None = Field(default=None, ge=0, description="Money to spend at most; null means no limit.")
    max_tokens: int | None = Field(default=None, ge=0, description="Tokens to use at most; null means no limit.")

    @field_validator("api_key_variable", mode="plain")
    @classmethod
    def _is_a_name(cls, name: object) -> str:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            # What was written may be the key: the message does not repeat it.
            raise ValueError(
                "this is the name of an environment variable, such as OPENAI_API_KEY, never the key itself"
            )
        return name

    @field_validator("base_url")
    @classmethod
    def _holds_no_password(cls, url: str | None) -> str | None:
        if url is not None and "@" in url.partition("://")[2].partition("/")[0]:
            raise ValueError("an address holds no user and password; the key comes from api_key_variable")
        return url


class LocalModelConfig(_Section):
    """A teacher that runs on this machine, in vLLM."""

    model: PathText = Field(min_length=1, description="Hugging Face model folder or hub name.")
    temperature: Number = Field(default=1.0, ge=0, description="Sampling temperature.")
    tensor_parallel_size: int = Field(default=1, gt=0, description="GPUs that share the model.")
    gpu_memory_utilization: Number = Field(default=0.9, gt=0, le=1, description="Share of the memory for vLLM.")


class SynthesisConfig(_Section):
    """How `r1ci synthesize` makes SFT trajectories from the tasks under tasks.train."""

    teacher: Literal["programs", "endpoint", "local"] = Field(
        default="programs",
        description="programs: the tasks' own reference programs, without a model; endpoint or local: a model.",
    )
    endpoint: EndpointConfig | None = Field(default=None, description="The endpoint, with teacher: endpoint.")
    local: LocalModelConfig | None = Field(default=None, description="The model, with teacher: local.")
    per_task: int = Field(default=70, gt=0, description="Trajectories to keep per task, at most.")
    attempts: int = Field(default=4, gt=0, description="Attempts per question, at most; each makes one trajectory.")
    keep_only_correct: bool = Field(default=True, description="Whether trajectories with wrong answers are rejected.")
    prompt_diversity: bool = Field(
        default=True, description="Whether teachers are asked in several ways: free, code first, text first, switch."
    )
    multi_turn_emphasis: bool = Field(
        default=True, description="Whether half of the trajectories should run several programs."
    )
    text_share: Number = Field(
        default=0.1, ge=0, le=1, description="With teacher: programs, the share that answers in text alone."
    )
    explanations: bool = Field(
        default=True,
        description="With teacher: programs, whether programs and answers come with sentences. Very small models "
        "learn faster without.",
    )
    near_duplicate: Number = Field(
        default=0.9, gt=0, description="Share of common four-word sequences that makes a duplicate; above 1, none is."
    )
    concurrency: int = Field(default=16, gt=0, description="Conversations at a time.")

    @model_validator(mode="after")
    def _has_its_teacher(self) -> SynthesisConfig:
        for name in ("endpoint", "local"):
            if self.teacher == name and getattr(self, name) is None:
                raise ValueError(f"teacher: {name} needs {name}: {{model: ...}} beside it")
        return self


class SftConfig(_Section):
    """What `openrlhf.cli.train_sft` trains on."""

    trajectories: PathText = Field(min_length=1, description="A file of recorded trajectories, .jsonl.gz or .jsonl.")
    too_long: TooLong = Field(
        default="drop",
        description="What becomes of trajectories longer than the trainer's data.max_len: drop, or cut_at_turn.",
    )
    only_correct: bool = Field(default=True, description="Whether trajectories without a correct answer are left out.")


class ProfileConfig(_Section):
    """How `r1ci curriculum profile` estimates what each training question has to teach."""

    agents: list[str] = Field(
        default=["policy"], min_length=1, description="Who answers: policy, the model to be trained, or an agent."
    )
    samples: int = Field(
        default=20, gt=0, description="Answers to each question from each agent; the paper's four agents draw 5 each."
    )
    temperatures: list[Number] = Field(
        default=[1.0], min_length=1, description="Sampling temperatures; an agent's answers take them in turn."
    )


class PlateauConfig(_Section):
    """When a stage's accuracy counts as flat."""

    window: int = Field(default=20, gt=0, description="Steps whose mean is compared with that of as many before them.")
    gain: Number = Field(default=0.01, description="A smaller rise than this ends the stage.")


class StageConfig(_Section):
    """One stage of a curriculum."""

    groups: int = Field(gt=0, description="It trains on this many groups, the most promising first.")
    steps: int = Field(gt=0, description="Its training steps; with curriculum.plateau, at most.")


class CurriculumConfig(_Section):
    """Which questions RL trains on when: by improvement potential 4p(1-p), most promising first, as in the paper."""

    order: Literal["potential", "online", "level", "random"] = Field(
        default="potential",
        description="potential: by the table; online: by the rollouts' own outcomes, from the table on; "
        "level: by difficulty; random: all questions at once. The last two are baselines.",
    )
    table: str | None = Field(default=None, description="The table of `r1ci curriculum profile`, a Parquet file.")
    groups: int = Field(default=4, gt=0, description="Groups of equal size, unless thresholds or quantiles cut them.")
    thresholds: list[Number] | None = Field(
        default=None, description="Instead of groups: lowest potential of each group but the last, falling."
    )
    quantiles: list[Number] | None = Field(
        default=None, description="Instead of groups: share of questions up to each cut, rising, within 0 and 1."
    )
    steps: int = Field(default=150, gt=0, description="Training steps of each stage, where stages does not say.")
    stages: list[StageConfig] = Field(
        default=[], description="The stages; [] means one for each group, each adding the next group."
    )
    plateau: PlateauConfig | None = Field(
        default=None, description="Ends a stage before its steps; null means that steps alone decide."
    )
    skip_alike: bool = Field(
        default=True,
        description="Whether a prompt whose samples all have one reward is left out of the optimizer step and "
        "counted, with estimators that compare a prompt's samples.",
    )
    profile: ProfileConfig = Field(default=ProfileConfig(), description="How the table is made.")

    @property
    def group_count(self) -> int:
        """Number of groups."""
        cuts = self.thresholds or self.quantiles
        return self.groups if cuts is None else len(cuts) + 1

    @property
    def all_stages(self) -> list[StageConfig]:
        """The stages, spelt out. With order: random they are one, of as many steps."""
        stages = self.stages or [StageConfig(groups=n, steps=self.steps) for n in range(1, self.group_count + 1)]
        if self.order == "random":
            return [StageConfig(groups=1, steps=sum(stage.steps for stage in stages))]
        return stages

    @property
    def all_steps(self) -> int:
        """Training steps of all stages together, at most."""
        return sum(stage.steps for stage in self.all_stages)

    @model_validator(mode="after")
    def _cut_one_way(self) -> CurriculumConfig:
        if self.thresholds is not None and self.quantiles is not None:
            raise ValueError("groups are cut by thresholds or by quantiles, not both")
        falling = [-value for value in self.thresholds or ()]
        for name, cuts in (("thresholds must fall", falling), ("quantiles must rise", self.quantiles or [])):
            if any(left >= right for left, right in zip(cuts, cuts[1:], strict=False)):
                raise ValueError(f"curriculum: {name}")
        if any(not 0 < share < 1 for share in [*(self.quantiles or ()), *(self.thresholds or ())]):
            raise ValueError("curriculum: thresholds and quantiles are within 0 and 1")
        if [] in (self.thresholds, self.quantiles):
            raise ValueError("curriculum: a list of cuts has at least one; null means groups of equal size")
        if self.thresholds is not None and self.order == "level":
            raise ValueError("curriculum: thresholds are potentials; with order: level use groups or quantiles")
        if self.order == "potential" and any(stage.groups > self.group_count for stage in self.stages):
            raise ValueError(f"curriculum: a stage has more groups than the {self.group_count} that there are")
        return self


class Recipe(_Section):
    """One experiment."""

    output_dir: PathText = Field(min_length=1, description="The run's folder; it is created.")
    model: PathText = Field(min_length=1, description="Hugging Face model folder or hub name.")
    seed: int = Field(default=42, ge=0, description="Seed of the questions and of the trainer.")
    tasks: TasksConfig = Field(default=TasksConfig(), description="The questions to train on, and those held out.")
    protocol: ProtocolConfig = Field(
        default=ProtocolConfig(),
        description="How the model and its programs take turns, and the limits of an episode.",
    )
    sandbox: SandboxConfig = Field(default=SandboxConfig(), description="Where the model's programs run.")
    verifier: VerifierConfig = Field(default=VerifierConfig(), description="How answers are judged.")
    rewards: dict[str, OptionMapping] = Field(
        default={"correctness": {}, "format": {}, "efficiency": {}},
        min_length=1,
        description="Reward terms by name, with their options; the reward is their sum.",
    )
    mask: MaskConfig = Field(default=MaskConfig(), description="Which tokens are trained.")
    sft: SftConfig | None = Field(default=None, description="What supervised fine-tuning trains on; RL needs none.")
    curriculum: CurriculumConfig | None = Field(
        default=None, description="Which questions RL trains on when; null means all of them in random order."
    )
    trajectories: TrajectoriesConfig = Field(
        default=TrajectoriesConfig(), description="How many trajectories are recorded."
    )
    synthesis: SynthesisConfig = Field(default=SynthesisConfig(), description="How SFT trajectories are made.")
    trainer: OptionMapping = Field(
        default={},
        description="OpenRLHF flags, nested or dotted: true is a bare flag, false and null leave the flag out.",
    )

    @model_validator(mode="after")
    def _flags_are_flags(self) -> Recipe:
        self.flags()
        return self

    @model_validator(mode="after")
    def _secrets_are_elsewhere(self) -> Recipe:
        check_no_secrets(self.flags(), "trainer")
        check_no_secrets(self.sandbox.options, "sandbox.options")
        check_no_secrets(self.verifier.options, "verifier.options")
        check_no_secrets(self.protocol.answer_format_options, "protocol.answer_format_options")
        check_no_secrets(self.rewards, "rewards")
        return self

    def flags(self) -> dict[str, object]:
        """The trainer's flags by dotted name. False and None stay in: they withdraw what a plugin sets.

        Raises:
            ValueError: If a flag appears twice (nested and dotted), or a value cannot be one on a command line.
        """
        return {name: expand_flag(name, value) for name, value in flatten(self.trainer).items()}


def json_schema() -> dict[str, Any]:
    """The JSON schema of recipes, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()}


def flatten(nested: Mapping[Any, Any], prefix: str = "") -> dict[str, object]:
    """Trainer flags by dotted name, whether they are written nested or dotted.

    Raises:
        ValueError: A flag appears twice, has no flag's name, or a value that cannot be written on a command line.
    """
    flat: dict[str, object] = {}
    for key, value in nested.items():
        if not isinstance(key, str) or not key or key.startswith("-") or key.endswith(".") or "=" in key or " " in key:
            raise ValueError(f"trainer: {key!r} is not a flag's name; write it without dashes, as in actor.adam.lr")
        name = prefix + key
        if isinstance(value, Mapping):
            found = flatten(value, f"{name}.")
        elif isinstance(value, float) and math.isnan(value):
            raise ValueError(f"trainer.{name}: {value} is no number that a flag can have")
        elif isinstance(value, str | int | float | None) or (
            isinstance(value, list) and all(isinstance(item, str | int | float) for item in value)
        ):
            found = {name: value}
        else:
            raise ValueError(f"trainer.{name}: {shown(value)} cannot be the value of a flag")
        for flag, item in found.items():
            if flag in flat:
                raise ValueError(f"trainer.{flag} is given twice, nested and dotted")
            flat[flag] = item
    return flat
