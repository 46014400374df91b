"""Staged recipes: one YAML file for base -> RL, or base -> SFT -> RL, each stage a whole recipe of its own.

A staged recipe has the keys of any recipe, which all its stages share, and a list ``stages``. A stage names a command
and may set any key for itself::

    model: Qwen/Qwen2.5-3B-Instruct
    stages:
      - {name: trajectories, run: synthesize}
      - name: sft
        run: train_sft
        trainer: {train.max_epochs: 3}
      - name: rl
        run: train_ppo

What one stage makes the next one takes: ``model`` is what the last training stage left, ``sft.trajectories`` what the
last synthesis made, ``curriculum.table`` what the last profile made, unless a stage names its own.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from r1ci_plugins.errors import RecipeError, suggest
from r1ci_plugins.recipe import schema as recipe_schema
from r1ci_plugins.recipe.loading import load_recipe, read_recipe, validate_recipe
from r1ci_plugins.recipe.overrides import apply_override
from r1ci_plugins.recipe.schema import Recipe
from r1ci_plugins.rollout.run_folder import RunFolder

Command = Literal["evaluate", "profile", "synthesize", "train_sft", "train_ppo"]
COMMANDS: tuple[Command, ...] = get_args(Command)
TRAINING = ("train_sft", "train_ppo")


@dataclass(frozen=True)
class Stage:
    """One stage, everything it takes from the stages before filled in.

    Attributes:
        name: The stage's name, and that of its folder below the staged recipe's ``output_dir``.
        command: What runs it.
        launcher: What starts the command on several GPUs, such as ``torchrun --nproc_per_node 8``; empty for none.
        recipe: A recipe without stages.
    """

    name: str
    command: Command
    launcher: str
    recipe: Recipe

    @property
    def folder(self) -> Path:
        """Where everything of the stage goes."""
        return Path(self.recipe.output_dir)

    @property
    def flags_of(self) -> Literal["train_ppo", "train_sft"]:
        """The OpenRLHF command whose flags ``trainer`` has: ``train_sft`` or ``train_ppo``."""
        return "train_sft" if self.command in ("synthesize", "train_sft") else "train_ppo"


def load_stages(path: str | Path, overrides: Sequence[str] = (), without: Sequence[str] = ()) -> list[Stage]:
    """Read a staged recipe.

    An override is ``key=value`` for all stages, ``stages.NAME.key=value`` for one. Stages after one of ``without``
    start from what the stages before it left.

    Raises RecipeError if the file, a stage, a key, a value or an override is wrong.
    """
    data, lines = read_recipe(path)
    listed = data.pop("stages", None)
    if listed is None:
        raise RecipeError(
            "the recipe has no stages",
            where=str(path),
            fix="add stages: (see `r1ci recipe show r1ci:cpu-demo`), or give it to the command it is for, such as "
            f"openrlhf.cli.train_ppo --plugin r1ci --recipe {path}",
        )
    entries = _entries(listed, str(path))
    names = [entry["name"] for entry in entries]
    _known(without, names, "--without")
    _known([key for key in map(_stage_of, overrides) if key is not None], names, "--set")
    stages: list[Stage] = []
    model = trajectories = table = None
    for position, entry in enumerate(entries):
        name, command = entry.pop("name"), entry.pop("run")
        launcher = entry.pop("launcher", "")
        if name in without:
            continue
        merged = _merged(data, entry)
        if model is not None and "model" not in entry:
            merged["model"] = model
        for override in overrides:
            if (meant := _stage_of(override)) in (None, name):
                apply_override(merged, override if meant is None else override.split(".", 2)[2])
        where = f"{path}, stage {name}"
        if command == "train_ppo" and table is not None and isinstance(merged.get("curriculum"), Mapping):
            merged["curriculum"] = {"table": table} | dict(merged["curriculum"])
        if command == "train_sft" and trajectories is not None:
            merged["sft"] = {"trajectories": trajectories} | (merged.get("sft") or {})
        if isinstance(merged.get("output_dir"), str):
            merged["output_dir"] = str(Path(merged["output_dir"]) / name)
        known_lines = lines | {key[2:]: line for key, line in lines.items() if key[:2] == ("stages", position)}
        stage = Stage(name, command, launcher, validate_recipe(merged, where, known_lines))
        _check_material(stage, where)
        stages.append(stage)
        if command in TRAINING:
            model = str(RunFolder(stage.folder).model)
        if command == "profile":
            table = str(stage.folder / "profile.parquet")
        if command == "synthesize":
            trajectories = str(stage.folder / "trajectories.jsonl.gz")
    if not stages:
        raise RecipeError("no stage is left", where="--without", fix=f"leave one of them in, such as {names[0]}")
    return stages


def recipes_of(
    path: str | Path, overrides: Sequence[str] = ()
) -> list[tuple[str, Recipe, Literal["train_ppo", "train_sft"]]]:
    """The recipe of a file, or those of its stages: the stage's name or "", the recipe, and whose flags it has.

    Raises:
        RecipeError: As ``load_recipe`` and ``load_stages``.
    """
    if "stages" in read_recipe(path)[0]:
        return [(stage.name, stage.recipe, stage.flags_of) for stage in load_stages(path, overrides)]
    recipe = load_recipe(path, overrides)
    return [("", recipe, "train_sft" if recipe.sft else "train_ppo")]


def json_schema() -> dict[str, Any]:
    """The JSON schema of recipes, staged ones included, for editors."""
    schema = recipe_schema.json_schema()
    own = {
        "name": {"type": "string", "description": "The stage's name, and that of its folder in output_dir."},
        "run": {"enum": list(COMMANDS), "description": "The command that runs it."},
        "launcher": {"type": "string", "description": "What starts train_sft on several GPUs, such as torchrun."},
    }
    shared = {name: field for name, field in schema["properties"].items() if name != "output_dir"}
    schema["properties"]["stages"] = {
        "type": "array",
        "description": "Run one after the other by `r1ci run`; each may set any key for itself.",
        "items": {
            "type": "object",
            "properties": own | shared,
            "required": ["name", "run"],
            "additionalProperties": False,
        },
    }
    return schema


def _entries(listed: Any, path: str) -> list[dict[str, Any]]:
    """The list under ``stages``, its names and commands checked."""
    if not isinstance(listed, list) or not listed or not all(isinstance(entry, dict) for entry in listed):
        raise RecipeError(
            "stages is a list of mappings, one for each stage",
            where=path,
            fix="for example stages: [{name: sft, run: train_sft}, {name: rl, run: train_ppo}]",
        )
    seen = set[str]()
    for number, entry in enumerate(listed):
        where = f"{path}, stages.{number}"
        name, command, launcher = entry.get("name"), entry.get("run"), entry.get("launcher", "")
        if not isinstance(name, str) or not name or not name.replace("-", "").replace("_", "").isalnum():
            raise RecipeError(
                f"a stage needs a name of letters, digits, - and _, which its folder gets; got {name!r}",
                where=where,
                fix="add, for example, name: sft",
            )
        if name in seen:
            raise RecipeError(f"two stages are named {name}", where=where, fix="rename one of them")
        seen.add(name)
        if command not in COMMANDS:
            raise RecipeError(
                f"stage {name}: run: {command!r} is not a command",
                where=where,
                fix=f"one of {', '.join(COMMANDS)}" if command is None else suggest(str(command), COMMANDS),
            )
        if not isinstance(launcher, str) or (launcher and command != "train_sft"):
            raise RecipeError(
                f"stage {name}: launcher is a command that starts train_sft on several GPUs, as text",
                where=where,
                fix="for example launcher: torchrun --nproc_per_node 8; train_ppo starts its own workers",
            )
        if "output_dir" in entry or "stages" in entry:
            raise RecipeError(
                f"stage {name}: output_dir is the whole recipe's, each stage has its folder below it",
                where=where,
                fix="leave it out of the stage",
            )
    return deepcopy(listed)


def _check_material(stage: Stage, where: str) -> None:
    """Whether a stage has something to work on."""
    tasks, example = stage.recipe.tasks, "[{suite: default, part: train, count: 100}]"
    if stage.command in ("profile", "synthesize", "train_ppo") and not tasks.train:
        raise RecipeError(f"{stage.command} needs questions", where=where, fix=f"add tasks: {{train: {example}}}")
    if stage.command == "evaluate" and not tasks.eval:
        raise RecipeError("evaluate needs questions", where=where, fix=f"add tasks: {{eval: {example}}}")
    if stage.command == "train_sft" and stage.recipe.sft is None:
        raise RecipeError(
            "train_sft needs trajectories, and no stage before it makes any",
            where=where,
            fix="put a stage with run: synthesize before it, or add sft: {trajectories: FILE}",
        )


def _stage_of(override: str) -> str | None:
    """The stage that an override is for; None if for all."""
    parts = override.partition("=")[0].split(".")
    return parts[1] if parts[0] == "stages" and len(parts) > 2 else None


def _known(wanted: Sequence[str], names: Sequence[str], where: str) -> None:
    for name in wanted:
        if name not in names:
            raise RecipeError(f"there is no stage {name!r}", where=where, fix=suggest(name, names))


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Shared keys with a stage's own over them: mappings key by key, anything else as a whole."""
    result = deepcopy(dict(shared))
    for key, value in own.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(below, value) if both else deepcopy(value)  # type: ignore[arg-type]
    return result
