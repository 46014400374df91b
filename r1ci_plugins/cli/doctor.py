"""``r1ci doctor``: is this machine ready for a run, and if not, what to do about it."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1ci_plugins.errors import R1CIError
from r1ci_plugins.rollout.run_folder import RunFolder

if TYPE_CHECKING:
    from r1ci_plugins.environment import Command
    from r1ci_plugins.recipe.schema import Recipe, SandboxConfig

OPENRLHF = "0.11.2"
"""The supported version: the bridge relies on names that upstream may change in any other."""

_INSTALL = "pip install 'r1ci-plugins[gpu]'; without a GPU, `make setup` in a clone of r1ci-plugins"
_FLASH_ATTN = "for GPUs: pip install flash-attn; or ds.attn_implementation: sdpa without ds.packing_samples"
_IMPORTED = ("torch", "vllm", "ray", "deepspeed", "transformers")
_GIB = 1 << 30
_COLOURS = {"ok": typer.colors.GREEN, "warning": typer.colors.YELLOW, "failed": typer.colors.RED}


@dataclass(frozen=True)
class Finding:
    """One line of the report: ``ok``, ``warning`` or ``failed``, what was found, and what to do about it."""

    status: str
    detail: str
    fix: str = ""


Check = Callable[[], Finding]


@dataclass(frozen=True)
class _FlagPackage:
    """A package that a run needs where a flag asks for it; ``value`` None means any value but off, 0 and 1."""

    flag: str
    package: str
    value: object = None

    def asked(self, given: object) -> bool:
        """Whether a flag's value asks for the package."""
        return given == self.value if self.value is not None else bool(given) and (given is True or given != 1)


_FLAG_PACKAGES = (
    _FlagPackage("ds.attn_implementation", "flash-attn", "flash_attention_2"),
    _FlagPackage("ds.packing_samples", "flash-attn"),
    _FlagPackage("ds.ring_attn_size", "ring-flash-attn"),
    _FlagPackage("ds.load_in_4bit", "bitsandbytes"),
    _FlagPackage("ds.use_liger_kernel", "liger-kernel"),
    _FlagPackage("ds.lora.rank", "peft"),
    _FlagPackage("logger.wandb.key", "wandb"),
)


def doctor(
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also check what this recipe needs; a file, or r1ci:NAME.")
    ] = None,
    plugin: Annotated[list[str] | None, typer.Option(help="A plugin to load; default r1ci. Repeatable.")] = None,
) -> None:
    """Check this machine: Python, OpenRLHF, vLLM, Ray, torch, the sandbox, task packs, disk and shared memory."""
    failed = False
    for name, check in _checks(recipe, plugin or ["r1ci"]):
        finding = run(check)
        failed |= finding.status == "failed"
        typer.echo(f"{typer.style(f'{finding.status:8s}', fg=_COLOURS[finding.status])}{name:13s} {finding.detail}")
        if finding.fix:
            typer.echo(f"{'':22s}-> {finding.fix}")
    if failed:
        raise typer.Exit(1)


def run(check: Check) -> Finding:
    """Run a check; what it raises is a failed line, so that one broken thing does not hide the next."""
    try:
        return check()
    except R1CIError as error:
        where = f" ({error.where})" if error.where else ""
        return Finding("failed", f"{error.what}{where}", error.fix or "")
    except Exception as error:
        return Finding("failed", f"the check itself failed: {type(error).__name__}: {error}", "please report this")


def _checks(file: Path | None, plugin_names: list[str]) -> Iterator[tuple[str, Check]]:
    from r1ci_plugins.recipe.schema import SandboxConfig
    from r1ci_plugins.runs.stages import recipes_of

    yield "Python", python
    yield "OpenRLHF", openrlhf
    yield "versions", requirements
    yield "torch", torch
    yield "flash-attn", flash_attn
    yield "task packs", packs
    yield "shared memory", shared_memory
    if file is None:
        yield "sandbox", lambda: sandbox(SandboxConfig(), plugin_names)
        return
    try:
        recipes = recipes_of(file)
    except R1CIError as error:
        failure = error
        yield "recipe", lambda: _failed(failure)
        return
    yield from _recipe_checks(recipes, plugin_names)


def _recipe_checks(recipes: list[tuple[str, Recipe, Command]], plugin_names: list[str]) -> Iterator[tuple[str, Check]]:
    """The checks of a recipe, or of the recipes of its stages."""
    for name, one, command in recipes:
        yield f"recipe {name}".strip(), partial(recipe_parts, one, plugin_names, command)
        yield f"packages {name}".strip(), partial(recipe_packages, one, plugin_names, command)
    for config in {one.sandbox.model_dump_json(): one.sandbox for _, one, _ in recipes}.values():
        yield "sandbox", partial(sandbox, config, plugin_names)
    made: set[str] = set()  # folders that a stage before leaves
    for _, one, _ in recipes:
        if one.model not in made:
            yield "model", partial(model, one.model)
        if one.synthesis.teacher == "endpoint" and one.synthesis.endpoint:
            yield "teacher", partial(teacher, one.synthesis.endpoint.api_key_variable)
        made |= {one.model, str(RunFolder(Path(one.output_dir)).model)}
    yield "disk", lambda: disk(Path(recipes[0][1].output_dir))


def _failed(error: R1CIError) -> Finding:
    raise error


def python() -> Finding:
    """The interpreter's version, against what the package announces (pip can be told to ignore it)."""
    from packaging.specifiers import SpecifierSet

    found = platform.python_version()
    try:
        wanted = metadata("r1ci-plugins")["Requires-Python"]
    except PackageNotFoundError:
        return Finding(
            "warning", f"{found}, {sys.executable}; r1ci-plugins runs uninstalled", "pip install r1ci-plugins"
        )
    if not SpecifierSet(wanted).contains(found, prereleases=True):
        return Finding("failed", found, f"use Python {wanted}")
    return Finding("ok", f"{found}, {sys.executable}")


def openrlhf() -> Finding:
    """OpenRLHF is installed, in the one version that is supported."""
    found = _version("openrlhf")
    if found is None:
        return Finding("failed", "not installed", _INSTALL)
    if found != OPENRLHF:
        return Finding("failed", f"{found}, but only {OPENRLHF} is supported", f"pip install openrlhf=={OPENRLHF}")
    return Finding("ok", found)


def requirements() -> Finding:
    """What a run imports is installed, in the versions that OpenRLHF asks for."""
    from packaging.requirements import Requirement

    wanted = {}
    for line in (requires("openrlhf") or []) if _version("openrlhf") else []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": "vllm"}):
            wanted[requirement.name.lower()] = requirement.specifier
    found = {name: _version(name) or _version(f"{name}-cpu") for name in _IMPORTED}
    missing = [name for name, number in found.items() if number is None]
    if missing:
        return Finding("failed", f"not installed: {', '.join(missing)}", _INSTALL)
    wrong = [
        f"{name} {number} (OpenRLHF asks for {wanted[name]})"
        for name, number in found.items()
        if number and name in wanted and not wanted[name].contains(number.partition("+")[0], prereleases=True)
    ]
    if wrong:
        return Finding("warning", ", ".join(wrong), "install what OpenRLHF asks for")
    return Finding("ok", ", ".join(f"{name} {number}" for name, number in found.items()))


def torch() -> Finding:
    """Torch's build against the machine's devices. Torch is not imported: that takes seconds."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return Finding("failed", "not installed", _INSTALL)
    file = Path(spec.origin).with_name("version.py")
    if not file.is_file():
        return Finding("failed", f"{spec.origin} is not whole", "install torch again")
    text = file.read_text(encoding="utf-8")
    found = re.search(r"^cuda\b[^=\n]*= *['\"]([^'\"]+)['\"]", text, re.MULTILINE)
    build = f"built for CUDA {found[1]}" if found else "built for the CPU"
    gpus = len([p for p in Path("/dev").glob("nvidia*") if p.name.removeprefix("nvidia").isdigit()])
    detail = f"{_version('torch')} {build}, {gpus or 'no'} NVIDIA device{'' if gpus == 1 else 's'}"
    if gpus and not found:
        return Finding("warning", detail, "the GPU stays unused; install the CUDA build: pip install torch")
    if found and not gpus:
        return Finding("warning", detail, "runs on the CPU; in a container, pass the GPUs on if there are any")
    return Finding("ok", detail + ("" if gpus else ": small models on the CPU only"))


def flash_attn() -> Finding:
    """Flash-attention, which only GPU runs with packing need."""
    return Finding("ok", _version("flash-attn") or "not installed; only GPU runs with packing need it")


def packs() -> Finding:
    """At least one task pack, and each of them loads."""
    from r1ci_plugins.plugins.registry import installed

    found = [one for one in installed() if one.origin.kind == "task pack"]
    broken = [one for one in found if one.error]
    if broken:
        return Finding("failed", broken[0].error.splitlines()[0], "see `r1ci plugins`")
    if not found:
        return Finding("failed", "none installed", "pip install r1ci-tasks-reasoning-gym")
    return Finding("ok", ", ".join(f"{one.origin.name} {one.origin.version} ({one.registers[0]})" for one in found))


def recipe_parts(recipe: Recipe, plugin_names: list[str], command: Command) -> Finding:
    """Plugins, packs, tasks, options and trainer flags of the recipe."""
    from r1ci_plugins.environment import prepare

    lines = prepare(recipe, plugins=plugin_names, command=command).findings()
    return Finding("ok", "; ".join(line for line in lines if "using" not in line))


def recipe_packages(recipe: Recipe, plugin_names: list[str], command: Command) -> Finding:
    """The packages that the recipe's flags and its teacher ask for, besides those of every run."""
    from r1ci_plugins.environment import prepare

    prepared = prepare(recipe, plugins=plugin_names, command=command, check_flags=False)
    wanted = [one for one in _FLAG_PACKAGES if one.asked(prepared.flags.get(one.flag))]
    missing = {one.package: f"{one.package} for {one.flag}" for one in wanted if not _version(one.package)}
    if recipe.synthesis.teacher == "endpoint" and not _version("openai"):
        missing["openai"] = "openai for synthesis.teacher: endpoint"
    if not missing:
        return Finding("ok", ", ".join({one.package: "" for one in wanted}) or "none but those of every run")
    only_flash = list(missing) == ["flash-attn"]
    if only_flash and prepared.cpu:
        return Finding("warning", "flash-attn is not installed, which only a GPU run needs", _FLASH_ATTN)
    fix = _FLASH_ATTN if only_flash else f"pip install {' '.join(missing)}"
    return Finding("failed", f"not installed: {', '.join(missing.values())}", fix)


def teacher(variable: str) -> Finding:
    """The key of the hosted teacher is in the environment."""
    if os.environ.get(variable):
        return Finding("ok", f"${variable} is set")
    return Finding("failed", f"${variable} is not set", f"export {variable}=... before `r1ci synthesize`")


def sandbox(config: SandboxConfig, plugin_names: list[str]) -> Finding:
    """The sandbox starts (its canary proves that it isolates) and runs a program."""
    from r1ci_plugins.environment import make_sandbox
    from r1ci_plugins.plugins.registry import load_plugins

    backend = make_sandbox(config, load_plugins(plugin_names))

    async def probe() -> Finding:
        try:
            async with asyncio.timeout(60):
                await backend.start()
                result = await backend.run("print(1)", config.contract_limits())
        except TimeoutError:
            return Finding("failed", "print(1) had not run after 60 s", "see `r1ci sandbox check`")
        finally:
            await backend.close()
        if result.stdout != "1\n":
            return Finding("failed", f"print(1) ended with {result.status}: {result.stderr[-300:]}")
        return Finding("ok", f"{result.isolation}, print(1) in {1000 * result.wall_s:.0f} ms")

    return asyncio.run(probe())


def model(name: str) -> Finding:
    """The model folder is complete, and its tokenizer has a chat template."""
    folder = Path(name)
    if not folder.is_dir():
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or folder.parent.is_dir() or os.environ.get("HF_HUB_OFFLINE"):
            return Finding("failed", f"there is no folder {name}", "correct the recipe's model, or make the folder")
        return Finding("warning", f"there is no folder {name}; it is taken for a Hugging Face hub name, not checked")
    if not (folder / "config.json").is_file():
        return Finding("failed", f"{name} has no config.json", "point the recipe's model at a Hugging Face folder")
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        return Finding("failed", f"{name} has no weights", "download or copy the model again")
    if not _has_chat_template(folder):
        return Finding("failed", f"the tokenizer in {name} has no chat template", "use an instruct model")
    return Finding("ok", name)


def _has_chat_template(folder: Path) -> bool:
    if any((folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json")):
        return True
    file = folder / "tokenizer_config.json"
    return file.is_file() and bool(json.loads(file.read_text(encoding="utf-8")).get("chat_template"))


def disk(output_dir: Path) -> Finding:
    """Free space where the run writes."""
    place = next(p for p in (output_dir.absolute(), *output_dir.absolute().parents) if p.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Finding("failed", f"{place} is not a writable folder", "correct the recipe's output_dir")
    free = shutil.disk_usage(place).free
    return _space(free, f"{free / _GIB:.1f} GiB free at {place}", 1 * _GIB, 10 * _GIB, "free some, or move output_dir")


def shared_memory() -> Finding:
    """Size of /dev/shm, through which Ray and vLLM pass tensors."""
    place = Path("/dev/shm")
    if not place.is_dir():
        return Finding("failed", "there is no /dev/shm", "mount a tmpfs there")
    size = shutil.disk_usage(place).total
    return _space(size, f"/dev/shm has {size / _GIB:.1f} GiB", 0, 2 * _GIB, "in a container: --shm-size=8g")


def _space(size: int, detail: str, least: int, enough: int, fix: str) -> Finding:
    status = "failed" if size < least else "warning" if size < enough else "ok"
    return Finding(status, detail, "" if status == "ok" else fix)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
