"""Writes a recipe to start from, by the templates in this folder: commented, and sized for its GPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from r1ci_plugins.recipe import strict_yaml

ESTIMATORS: Mapping[str, str] = {
    "grpo": "group_norm",
    "dr_grpo": "dr_grpo",
    "rloo": "rloo",
    "reinforce++": "reinforce",
    "reinforce++-baseline": "reinforce_baseline",
    "ppo": "gae",
}
"""Algorithms as papers name them, and OpenRLHF's ``algo.advantage.estimator`` of each."""

ALGORITHMS = (*ESTIMATORS, "sft")

_SAMPLES = 5
_PROMPTS = 128  # per step, as in the paper
_CRITIC = "  critic: {num_nodes: $nodes, num_gpus_per_node: $gpus, adam.lr: 9.0e-6}\n"
_ON_GPUS = """\
  ds: {zero_stage: 3, packing_samples: true, attn_implementation: flash_attention_2$sleep}"""
_VLLM = """
  vllm:
    num_engines: $all_gpus
    tensor_parallel_size: 1
    enable_prefix_caching: true
    enable_sleep: true  # gives its memory to the trainer, and takes it back
    gpu_memory_utilization: 0.6"""
_ON_CPU = "  ds: {zero_stage: 0, attn_implementation: sdpa, param_dtype: bf16}"
_CPU_VLLM = "\n  vllm: {num_engines: 1, enable_prefix_caching: true, gpu_memory_utilization: 0.1}"


@dataclass(frozen=True)
class NewRecipe:
    """What is asked of a new recipe.

    Attributes:
        file: Where it will be.
        model: Model folder or hub name.
        tasks: Task names or patterns; empty for the default suite.
        algorithm: One of ``ALGORITHMS``.
        nodes: Machines.
        gpus: GPUs of each machine; 0 for a machine without any.
        planned: The value of ``--for`` that its header shows; empty for none.
    """

    file: Path
    model: str
    tasks: Sequence[str]
    algorithm: str
    nodes: int
    gpus: int
    planned: str

    @property
    def command(self) -> str:
        """``train_sft`` or ``train_ppo``."""
        return "train_sft" if self.algorithm == "sft" else "train_ppo"

    def text(self) -> str:
        """The recipe's file."""
        template = "sft" if self.algorithm == "sft" else "reinforce"
        text = Path(__file__).with_name(f"{template}.yaml.txt").read_text(encoding="utf-8")
        return Template(text).substitute(self._values())

    def _values(self) -> Mapping[str, object]:
        gpus = self.nodes * self.gpus
        ranks = max(gpus, 1)
        # A whole number of micro-batches for every rank: the nearest to the paper's that has it.
        prompts = max(1, round(_PROMPTS / ranks)) * ranks if gpus else 4
        machine = f"{gpus} GPUs" if gpus > 1 else "one GPU" if gpus else "a CPU"
        online = self.algorithm != "sft"
        script = f"openrlhf.cli.{self.command}"
        several = f"torchrun --nproc_per_node {self.gpus} $(which {script})"
        sizes = {"nodes": self.nodes, "gpus": self.gpus or 1}
        return {
            "title": f"{self.algorithm} of {self.model} on {machine}. Sizes are starting points; see the dry run.",
            "file": self.file,
            "planned": f" --for {self.planned}" if self.planned else "",
            "launcher": several if gpus > 1 else script,
            "output_dir": strict_yaml.scalar(f"runs/{self.file.stem}"),
            "model": strict_yaml.scalar(self.model),
            "trajectories": strict_yaml.scalar("runs/synthesize-programs/synthesis/trajectories.jsonl.gz"),
            "tasks": self._tasks(small=not gpus),
            "code_calls": 8 if gpus else 2,
            "turn_tokens": 2048 if gpus else 128,
            "wall_s": 60 if gpus else 10,
            "context": 8192 if gpus else 1024,
            "prompts": prompts,
            "samples": _SAMPLES if gpus else 4,
            "batch": (prompts * _SAMPLES if online else max(1, round(32 / ranks)) * ranks) if gpus else 16,
            "episodes": 3 if gpus else 1,
            "eval_steps": 10 if gpus else 100,
            "estimator": ESTIMATORS.get(self.algorithm, ""),
            # Methods with another baseline than the group's put the KL term into the reward, as their papers do.
            "kl_loss": str(self.algorithm in ("grpo", "dr_grpo", "reinforce++-baseline")).lower(),
            "learning_rate": "1.0e-6" if online else "1.0e-5",
            **sizes,
            "critic": Template(_CRITIC).substitute(sizes) if self.algorithm == "ppo" else "",
            "devices": self._devices(online=online),
        }

    def _devices(self, *, online: bool) -> str:
        if not self.gpus:
            return _ON_CPU + (_CPU_VLLM if online else "")
        sleep = ", enable_sleep: true" if online else ""
        text = _ON_GPUS + (_VLLM if online else "")
        return Template(text).substitute(sleep=sleep, all_gpus=self.nodes * self.gpus)

    def _tasks(self, *, small: bool) -> str:
        count, held_out = (20, 5) if small else (100, 5)
        if not self.tasks:
            return (
                f"  train: [{{suite: default, part: train, count: {count}}}]  # 107 tasks, questions of each\n"
                f"  eval: [{{suite: default, part: test, count: {held_out}}}]  # 37 tasks that are never trained on"
            )
        names = ", ".join(strict_yaml.scalar(name) for name in self.tasks)
        return (
            f"  train: [{{tasks: [{names}], count: {count}}}]  # questions of each\n"
            f"  eval: [{{tasks: [{names}], count: {max(held_out, 20)}}}]  # other questions of the same tasks"
        )
