"""The recipe: one YAML file per experiment. Its schema, loading, ``--set`` overrides, and the resolved form.

This is the only module that uses pydantic. Unknown keys are errors that suggest the nearest right one.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import ErrorDetails

from r1ci_plugins.errors import RecipeError, nearest, suggest
from r1ci_plugins.plugins.registry import missing_pack
from r1ci_plugins.questions.drawing import Draw
from r1ci_plugins.questions.suite import load_suite
from r1ci_plugins.recipe import strict_yaml
from r1ci_plugins.recipe.strict_yaml import Lines
from r1ci_plugins.sandbox.contract import Limits
from r1ci_plugins.tasks.task import Task, TaskPack
from r1ci_plugins.training.supervised import TooLong

Split = Literal["sft", "rl", "test"]
Options = Mapping[str, Any]


def _number(value: object) -> object:
    """YAML 1.1 reads ``1e-6`` as text; as a number's value it is a number."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    return value


def _mapping(value: object) -> object:
    """``correctness:`` with nothing after it means no options."""
    return {} if value is None else value


Number = Annotated[float, BeforeValidator(_number)]
OptionMapping = Annotated[dict[str, Any], BeforeValidator(_mapping)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class TaskGroup(_Section):
    """Tasks that are drawn alike, named one by one or as a part of a suite."""

    tasks: list[str] | None = Field(
        default=None, min_length=1, description="Task names pack/task, or patterns with *, ? and [!a-z]."
    )
    suite: str | None = Field(
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

    def patterns(self) -> list[str]:
        """Names and patterns of the group's tasks, those of a suite looked up.

        Raises:
            RecipeError: If the suite cannot be read, or nothing of it is left.
        """
        if self.tasks is not None:
            return self.tasks
        assert self.suite is not None and self.part is not None  # as validated
        return load_suite(self.suite).tasks(self.part, self.without)


class EvalGroup(TaskGroup):
    """Tasks that are held out."""

    split: Split = Field(default="test", description="The split the questions are drawn from.")


class TasksConfig(_Section):
    """What is asked."""

    train: list[TaskGroup] = Field(default=[], description="Questions to train on; SFT needs none.")
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
    """How a trajectory goes."""

    answer_format: str = Field(default="natural", description="How the model marks code and its final answer.")
    answer_format_options: OptionMapping = Field(default={}, description="Options of the answer format.")
    instructions: str | None = Field(default=None, description="Head prompt; null means the answer format's own.")
    earlier_thinking: Literal["kept", "template"] = Field(
        default="kept",
        description="What later turns see of <think> sections: all of them, as sampled, or what the chat template "
        "renders; the latter is refused where the template drops them.",
    )
    max_code_calls: int = Field(default=8, ge=0, description="Programs per trajectory.")
    max_turn_tokens: int = Field(default=2048, gt=0, description="Sampled tokens per turn.")
    max_total_tokens: int | None = Field(
        default=None,
        gt=0,
        description="Tokens of a whole trajectory, prompt included; null means the trainer's data.max_len.",
    )
    max_output_chars: int = Field(
        default=4000, gt=0, description="Characters of a program's output that the model sees."
    )
    deadline_s: Number = Field(default=600.0, gt=0, description="Wall-clock seconds per trajectory.")


class LimitsConfig(_Section):
    """What one program may use."""

    wall_s: Number = Field(default=60.0, gt=0, description="Wall-clock seconds.")
    cpu_s: Number | None = Field(default=None, gt=0, description="CPU seconds; null means wall_s.")
    memory_mb: int = Field(default=2048, gt=0, description="Address space per process, MiB.")
    file_mb: int = Field(default=64, gt=0, description="Largest file it may write, MiB.")
    processes: int = Field(default=64, gt=0, description="Processes and threads.")
    output_bytes: int = Field(default=1 << 20, gt=0, description="Bytes kept of stdout and of stderr each.")


class SandboxConfig(_Section):
    """Where the model's programs run."""

    backend: str = Field(default="firejail", description="The sandbox's name.")
    options: OptionMapping = Field(default={}, description="Options of the sandbox.")
    concurrency: int | None = Field(default=None, gt=0, description="Programs at a time; null means one per core.")
    python: str | None = Field(default=None, description="Interpreter that runs the programs; null means this one.")
    limits: LimitsConfig = Field(default=LimitsConfig(), description="What one program may use.")
    retries: int = Field(default=2, ge=0, description="Further tries when the sandbox itself, not the program, fails.")

    def contract_limits(self) -> Limits:
        """The limits as the sandbox contract has them."""
        return Limits(**self.limits.model_dump())


class VerifierConfig(_Section):
    """How answers are judged."""

    name: str = Field(default="task", description="The verifier's name; task means each task's own checker.")
    options: OptionMapping = Field(default={}, description="Options of the verifier.")
    deadline_s: Number = Field(
        default=10.0, gt=0, description="Seconds per answer, after which the checker is killed."
    )
    workers: int = Field(default=1, gt=0, description="Checker processes.")
    memory_mb: int = Field(default=2048, gt=0, description="Address space of a checker process, MiB.")


class MaskConfig(_Section):
    """Which tokens are trained."""

    code_outputs: str = Field(
        default="masked", description="masked, unmasked (the ablation), or a plugin's loss mask."
    )


class TrajectoriesConfig(_Section):
    """What is recorded of the rollouts."""

    max_mb: int = Field(default=1024, gt=0, description="Size of a run's trajectory files, MiB; then recording stops.")
    sample_rate: Number = Field(default=1.0, ge=0, le=1, description="Share of the trajectories that is recorded.")


class EndpointConfig(_Section):
    """A teacher behind an OpenAI-compatible endpoint."""

    model: str = Field(min_length=1, description="The model's name there.")
    base_url: str | None = Field(default=None, description="Such as http://host:8000/v1; null means OpenAI's.")
    api_key_variable: str = Field(default="OPENAI_API_KEY", description="Environment variable that holds the key.")
    temperature: Number = Field(default=1.0, ge=0, description="Of sampling.")
    timeout_s: Number = Field(default=120.0, gt=0, description="Seconds per request.")
    retries: int = Field(default=5, ge=0, description="Further tries, with back-off, when a request fails.")
    requests_per_minute: int | None = Field(default=None, gt=0, description="The endpoint's limit, if it has one.")
    tokens_per_minute: int | None = Field(default=None, gt=0, description="The endpoint's limit, if it has one.")
    prompt_price: Number = Field(default=0.0, ge=0, description="Money per million tokens read.")
    completion_price: Number = Field(default=0.0, ge=0, description="Money per million tokens written.")
    max_cost: Number | None = Field(default=None, ge=0, description="Money this may cost; a run stops before it.")
    max_tokens: int | None = Field(default=None, ge=0, description="Tokens this may take, read and written.")


class LocalModelConfig(_Section):
    """A teacher that runs here, in vLLM."""

    model: str = Field(min_length=1, description="Hugging Face model folder or hub name.")
    temperature: Number = Field(default=1.0, ge=0, description="Of sampling.")
    tensor_parallel_size: int = Field(default=1, gt=0, description="GPUs that share the model.")
    gpu_memory_utilization: Number = Field(default=0.9, gt=0, le=1, description="Share of the memory vLLM may take.")


class SynthesisConfig(_Section):
    """How SFT trajectories are made, by `r1ci synthesize`, of the tasks under tasks.train."""

    teacher: Literal["programs", "endpoint", "local"] = Field(
        default="programs", description="programs: the tasks' own reference programs, no model at all."
    )
    endpoint: EndpointConfig | None = Field(default=None, description="With teacher: endpoint.")
    local: LocalModelConfig | None = Field(default=None, description="With teacher: local.")
    per_task: int = Field(default=70, gt=0, description="Trajectories kept per task, at most.")
    attempts: int = Field(default=4, gt=0, description="Trajectories tried per question, at most.")
    keep_only_correct: bool = Field(default=True, description="Whether wrong answers are rejected.")
    prompt_diversity: bool = Field(
        default=True, description="Whether teachers are asked in several ways: free, code first, text first, switch."
    )
    multi_turn_emphasis: bool = Field(
        default=True, description="Whether half of the trajectories should run several programs."
    )
    text_share: Number = Field(
        default=0.1, ge=0, le=1, description="Of teacher programs: trajectories that answer in text alone."
    )
    explanations: bool = Field(
        default=True,
        description="Of teacher programs: whether programs and answers come with sentences. Very small models learn "
        "faster without.",
    )
    near_duplicate: Number = Field(
        default=0.9, gt=0, description="Share of common four-word sequences that makes a duplicate; above 1 none is."
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

    trajectories: str = Field(min_length=1, description="A file of recorded trajectories, .jsonl.gz or .jsonl.")
    too_long: TooLong = Field(
        default="drop",
        description="What becomes of trajectories longer than the trainer's data.max_len: drop, or cut_at_turn.",
    )
    only_correct: bool = Field(default=True, description="Leave out trajectories whose answer was not found correct.")


class Recipe(_Section):
    """One experiment."""

    output_dir: str = Field(min_length=1, description="The run's folder; it is created.")
    model: str = Field(min_length=1, description="Hugging Face model folder or hub name.")
    seed: int = Field(default=42, ge=0, description="Seed of the questions and of the trainer.")
    tasks: TasksConfig = Field(default=TasksConfig(), description="What is asked.")
    protocol: ProtocolConfig = Field(default=ProtocolConfig(), description="How a trajectory goes.")
    sandbox: SandboxConfig = Field(default=SandboxConfig(), description="Where the model's programs run.")
    verifier: VerifierConfig = Field(default=VerifierConfig(), description="How answers are judged.")
    rewards: dict[str, OptionMapping] = Field(
        default={"correctness": {}, "format": {}, "efficiency": {}},
        min_length=1,
        description="Reward terms by name, with their options; the reward is their sum.",
    )
    mask: MaskConfig = Field(default=MaskConfig(), description="Which tokens are trained.")
    sft: SftConfig | None = Field(default=None, description="What supervised fine-tuning trains on; RL needs none.")
    trajectories: TrajectoriesConfig = Field(
        default=TrajectoriesConfig(), description="What is recorded of the rollouts."
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

    def flags(self) -> dict[str, object]:
        """The trainer's flags by dotted name. False and None stay in: they withdraw what a plugin sets.

        Raises:
            ValueError: If a flag appears twice (nested and dotted), or a value cannot be one on a command line.
        """
        return _flatten(self.trainer)

    def pack_names(self) -> set[str] | None:
        """The task packs that the recipe names; None when a pattern may match any pack.

        Raises:
            RecipeError: As ``TaskGroup.patterns``.
        """
        patterns = [pattern for group in [*self.tasks.train, *self.tasks.eval] for pattern in group.patterns()]
        names = {pattern.partition("/")[0] for pattern in patterns}
        return None if any(set("*?[") & set(name) for name in names) else names


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file.

    Args:
        path: The YAML file.
        overrides: ``key=value`` each: a dotted key, list items by number, and a YAML value.

    Raises:
        RecipeError: If the file, a key, a value or an override is wrong. It names the key, and the line when known.
    """
    data, lines = read_recipe(path)
    if "stages" in data:
        raise RecipeError(
            "the recipe has stages, which run one after the other",
            where=str(path),
            fix=f"run it with `r1ci run {path}`; each stage's own recipe is then in its output_dir",
        )
    for override in overrides:
        apply_override(data, override)
    return validate_recipe(data, " ".join([str(path), *(f"--set {override}" for override in overrides)]), lines)


def read_recipe(path: str | Path) -> tuple[dict[str, Any], Lines]:
    """A recipe file as YAML has it, and the line of every key.

    Raises:
        RecipeError: The file cannot be read, or holds no mapping.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        near = sorted(str(p) for pattern in ("*.yaml", "*.yml") for p in path.parent.glob(pattern))
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RecipeError(
            f"the recipe {path} cannot be read: {reason}", fix=suggest(str(path), near) if near else None
        ) from error
    data, lines = strict_yaml.parse(text, str(path))
    if not isinstance(data, dict):
        given = "is empty" if data is None else f"holds {_shown(data)}"
        raise RecipeError(
            f"the recipe {given}; a mapping of keys to values is expected",
            where=str(path),
            fix="see `r1ci recipe schema`, or start from a file in recipes/",
        )
    return data, lines


def validate_recipe(data: Mapping[str, Any], where: str, lines: Lines) -> Recipe:
    """A recipe's values, checked.

    Args:
        data: As YAML has them.
        where: Where they come from, for messages.
        lines: Line numbers of keys, for messages.

    Raises:
        RecipeError: A key or a value is wrong.
    """
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise _readable(error, where, lines) from error


def dump(recipe: Recipe) -> str:
    """The recipe with every default filled in, as YAML that loads back equal."""
    return strict_yaml.dump(recipe.model_dump())


def json_schema() -> dict[str, Any]:
    """The JSON schema of recipes, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()}


def resolve_tasks(group: TaskGroup, packs: Mapping[str, TaskPack]) -> list[tuple[TaskPack, Task]]:
    """The tasks that a group names, each once, in the patterns' order and then the packs' own.

    Raises:
        PluginError: If a pack is not installed.
        RecipeError: If a pattern matches no task, or a task has no such difficulty.
    """
    everything = {f"{pack.name}/{task.name}": (pack, task) for pack in packs.values() for task in pack.tasks}
    chosen: dict[str, tuple[TaskPack, Task]] = {}
    for pattern in group.patterns():
        pack, slash, _ = pattern.partition("/")
        if slash and pack not in packs and not set("*?[") & set(pack):
            raise missing_pack(pack, packs)
        matches = [pattern] if pattern in everything else [n for n in everything if fnmatchcase(n, pattern)]
        if not matches and group.suite is not None:
            raise RecipeError(
                f"the suite {group.suite!r} names {pattern}, which the installed pack {pack!r} does not have",
                where="recipe key tasks, suite",
                fix=f"install the pack's version that has it, or leave it out by without: [{pattern}]",
            )
        if not slash or not matches:
            same_name = [name for name in everything if name.endswith(f"/{pattern}")]
            in_pack = [name for name in everything if name.startswith(f"{pack}/")] or list(everything)
            raise RecipeError(
                f"no task is named {pattern!r}",
                where="recipe key tasks",
                fix=f"did you mean {same_name[0]!r}?" if same_name else suggest(pattern, in_pack),
            )
        chosen |= {name: everything[name] for name in matches}
    for name, (_, task) in chosen.items():
        if group.difficulty is not None and group.difficulty >= task.levels:
            raise RecipeError(
                f"{name} has no difficulty {group.difficulty}",
                where="recipe key tasks",
                fix=f"use a level from 0 to {task.levels - 1}, or leave difficulty out",
            )
    return list(chosen.values())


def resolve_draws(recipe: Recipe, name: Literal["train", "eval"], packs: Mapping[str, TaskPack]) -> list[Draw]:
    """The questions that a recipe wants to train on or to hold out, as orders. Raises as ``resolve_tasks``."""
    return [
        Draw(pack.name, task.name, group.split, recipe.seed, group.count, group.difficulty)
        for group in (recipe.tasks.train if name == "train" else recipe.tasks.eval)
        for pack, task in resolve_tasks(group, packs)
    ]


def checked_options(factory: Callable[..., Any], options: Options, *, what: str, where: str) -> dict[str, Any]:
    """The options of a factory, checked against its signature and converted to its annotations.

    Args:
        factory: Called with the options as keyword arguments.
        options: From the recipe.
        what: What the factory makes, for messages.
        where: The recipe key, for messages.

    Raises:
        RecipeError: If an option is unknown, missing or of the wrong type.
    """
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # some builtins tell no signature; calling them decides
        return dict(options)
    named = {n: p for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in options:
        if name not in named and not takes_any:
            raise RecipeError(f"{what} has no option {name!r}", where=where, fix=suggest(str(name), named))
    missing = [n for n, p in named.items() if p.default is p.empty and n not in options]
    if missing:
        raise RecipeError(f"{what} needs the option {missing[0]!r}", where=where, fix=f"add {missing[0]}: ... there")
    hints = _hints(factory)
    return {name: _converted(value, hints.get(name), name, what, where) for name, value in options.items()}


def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    function = factory.__init__ if inspect.isclass(factory) else factory
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):  # names imported for type checkers only, partials
        return {}


def _converted(value: object, hint: Any, name: str, what: str, where: str) -> object:
    if hint is None:
        return value
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return value
    if hint in (float, float | None):
        value = _number(value)
    # Strict, so that true is no number; not strict for containers, so that a YAML list serves as a tuple.
    strict = isinstance(value, bool | int | float | str)
    try:
        return adapter.validate_python(value, strict=strict)
    except ValidationError as error:
        detail = error.errors()[0]
        raise RecipeError(
            f"the option {name!r} of {what}: {_message(detail)}, got {_shown(detail['input'])}", where=where
        ) from error


# -- trainer flags ---------------------------------------------------------------------------------------------------


def _flatten(nested: Mapping[Any, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in nested.items():
        if not isinstance(key, str) or not key or key.startswith("-") or key.endswith(".") or "=" in key or " " in key:
            raise ValueError(f"trainer: {key!r} is not a flag's name; write it without dashes, as in actor.adam.lr")
        name = prefix + key
        if isinstance(value, Mapping):
            found = _flatten(value, f"{name}.")
        elif isinstance(value, str | int | float | None) or (
            isinstance(value, list) and all(isinstance(item, str | int | float) for item in value)
        ):
            found = {name: value}
        else:
            raise ValueError(f"trainer.{name}: {_shown(value)} cannot be the value of a flag")
        for flag, item in found.items():
            if flag in flat:
                raise ValueError(f"trainer.{flag} is given twice, nested and dotted")
            flat[flag] = item
    return flat


# -- overrides -------------------------------------------------------------------------------------------------------


def apply_override(data: dict[str, Any], override: str) -> None:
    """Apply one ``key=value`` to a recipe's values, in place.

    Raises:
        RecipeError: It is not written so, or names a place that is not there.
    """
    key, equals, text = override.partition("=")
    where = f"--set {override}"
    if not equals or not all(key.split(".")):
        raise RecipeError("an override is written key=value", where=where, fix="for example --set seed=7")
    value, _ = strict_yaml.parse(text, where)
    parts = key.split(".")
    if parts[0] == "trainer" and len(parts) > 1:
        _override_flag(data, ".".join(parts[1:]), value, where)
        return
    here: Any = data
    model: Any = Recipe
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(here, list):
            if not part.isdecimal() or int(part) >= len(here):
                raise RecipeError(
                    f"{'.'.join(parts[:depth])} is a list of {len(here)}, and {part!r} is no position in it",
                    where=where,
                    fix=f"use a number from 0 to {len(here) - 1}",
                )
            index: Any = int(part)
        elif isinstance(here, dict):
            index = part
            if not last and here.get(part) is None:
                # A default that is a mapping stays: rewards.efficiency.limit=4 must not drop the other terms.
                field = model.model_fields.get(part) if _is_model(model) else None
                default = None if field is None or field.is_required() else field.default
                here[part] = deepcopy(default) if isinstance(default, dict) else {}
        else:
            raise RecipeError(f"{'.'.join(parts[:depth])} is {_shown(here)}, which has nothing below it", where=where)
        model = _below(model, part)
        if last:
            here[index] = value
        else:
            here = here[index]


def _override_flag(data: dict[str, Any], name: str, value: object, where: str) -> None:
    """Set a trainer flag whichever way the recipe spells it; the result is spelt dotted."""
    try:
        flat = _flatten(data.get("trainer") or {})
        flat |= _flatten({name: value})
    except (ValueError, AttributeError) as error:
        raise RecipeError(str(error), where=where) from error
    data["trainer"] = flat


# -- readable validation errors ---------------------------------------------------------------------------------------


def _readable(error: ValidationError, where: str, lines: Lines) -> RecipeError:
    problems, fixes, numbers = [], [], []
    for detail in error.errors():
        # pydantic adds the kind of a union's member to the location; keys and list positions come first.
        path = ".".join(str(part) for part in detail["loc"])
        if detail["type"] == "extra_forbidden":
            problems.append(f"{path}: there is no such key")
            fixes.append(_right_key(detail["loc"], detail["input"]))
        elif detail["type"] == "missing":
            problems.append(f"{path}: this key is required")
        elif detail["type"] == "value_error":
            problems.append((f"{path}: " if path else "") + _message(detail))
        else:
            problems.append(f"{path}: {_message(detail)}, got {_shown(detail['input'])}")
        known = [lines[detail["loc"][:n]] for n in range(len(detail["loc"]), 0, -1) if detail["loc"][:n] in lines]
        numbers += known[:1]
    place = f"{where}, line {', '.join(map(str, dict.fromkeys(numbers)))}" if numbers else where
    return RecipeError("\n".join(problems), where=place, fix="; ".join(filter(None, fixes)) or None)


def _message(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    message = message.replace("a valid string", "text").replace("valid dictionary", "mapping")
    return message.replace("a valid boolean", "true or false").replace(" after validation", "")


def _right_key(location: Sequence[str | int], value: object) -> str:
    wrong = str(location[-1])
    model: Any = Recipe
    for part in location[:-1]:
        model = _below(model, part)
    fields = list(model.model_fields) if _is_model(model) else []
    elsewhere = [path for path in _paths(Recipe) if path.rpartition(".")[2] == wrong]
    if nearest(wrong, fields) is None and elsewhere:
        return f"did you mean {elsewhere[0]!r}?"
    if len(location) == 1 and ("." in wrong or (isinstance(value, Mapping) and nearest(wrong, fields) is None)):
        return f"OpenRLHF's flags go under trainer:, as in trainer.{wrong}"
    return suggest(wrong, fields)


def _is_model(annotation: object) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


def _below(annotation: Any, part: str | int) -> Any:
    """The type of what lies under a key or list position; None when it is free."""
    if _is_model(annotation) and part in annotation.model_fields:
        return annotation.model_fields[part].annotation
    if typing.get_origin(annotation) in (list, types.UnionType):
        return next((argument for argument in typing.get_args(annotation) if _is_model(argument)), None)
    return None


def _paths(model: Any, prefix: str = "") -> Iterable[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        if _is_model(field.annotation):
            yield from _paths(field.annotation, f"{prefix}{name}.")


def _shown(value: object) -> str:
    """A YAML value as its writer would call it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Collection) and not isinstance(value, str):
        return "a list"
    text = repr(value)
    return f"{'the text ' if isinstance(value, str) else ''}{text if len(text) <= 60 else text[:57] + '...'}"
