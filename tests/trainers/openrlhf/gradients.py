"""Ranks of OpenRLHF's real actor trainer: the gradient of a recorded batch at the optimizer's boundary, in float32.

``python gradients.py MODEL FOLDER 2-padded 1-packed-auxiliary ...`` writes ``FOLDER/2-padded.pt`` and so on: the
number of ranks, the form of a micro-batch, and whether the loss has the second term on code outputs.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import traceback
from types import SimpleNamespace

from r1ci_plugins.recipe import cpu_flags
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.trainers.openrlhf import process_setup

SAMPLES, STEP, MICRO_BATCH = 10, 12, 2
EXCLUDED = {0, 1, 2, 3, 4, 7}  # of two ranks the first has nothing else


WEIGHT = 0.3
OUTCOME = OutcomeSummary("demo/a", "q", True, 1.0, {}, "answered", False, (), 0, (), (), (), 0, 1, 1.0)


def outputs_of(mask, number):
    """Some of the tokens that are not the policy's own, as ranges of positions; an excluded sample has them too."""
    free = [place + 1 for place, own in enumerate(mask[0].tolist()) if not own]
    return [(place, place + 1) for place in free[number % 2 :: 2]]


def batch(outputs=False):
    """Ragged samples with several ranges of own tokens; some are excluded."""
    import torch
    from openrlhf.trainer.ppo_utils.experience import Experience

    rng = random.Random(5)
    made = []
    for number in range(SAMPLES):
        length = rng.randrange(8, 40)
        mask = torch.tensor([[int(rng.random() < 0.6) for _ in range(length - 1)]])
        mask[0, -1] = 1
        made.append(
            Experience(
                sequences=torch.tensor([[rng.randrange(5, 300) for _ in range(length)]]),
                attention_mask=torch.ones(1, length, dtype=torch.long),
                action_mask=mask * 0 if number in EXCLUDED else mask,
                action_log_probs=torch.full((1, length - 1), -5.0),
                advantages=torch.full((1, length - 1), rng.uniform(-2, 2)),
                rewards=torch.tensor([1.0]),
                labels=[label(outputs_of(mask, number)) if outputs else ""],
                info={"reward": torch.tensor([1.0])},
            )
        )
    return made


def label(outputs):
    """A sample's label, as ``seams/samples.py`` writes it."""
    return json.dumps(OUTCOME.to_dict() | {"outputs": outputs})


def reference(model):
    """Gradient of policy loss and second term, padding- and rank-free, in plain torch; and the term's mean."""
    import torch
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    policy, nats = [], []
    for number, sample in enumerate(batch()):
        logits = plain(sample.sequences).logits[0, :-1]
        log_probs = logits.log_softmax(-1).gather(-1, sample.sequences[0, 1:, None])[:, 0]
        if number in EXCLUDED:
            continue
        own, advantages = sample.action_mask[0].bool(), sample.advantages[0]
        ratio = (log_probs - sample.action_log_probs[0]).exp()
        policy.append(-torch.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)[own])
        nats += [-log_probs[start - 1] for start, _ in outputs_of(sample.action_mask, number)]
    mean = torch.stack(nats).mean()
    (torch.cat(policy).mean() + WEIGHT * mean).backward()
    return {name: parameter.grad for name, parameter in plain.named_parameters()}, mean.item()


def arguments(model, packed):
    """What ``ActorPPOTrainer`` and ``DeepspeedStrategy`` read of OpenRLHF's command line."""
    from r1ci_plugins.recipe import openrlhf_flags

    args = SimpleNamespace()
    for name, flag in openrlhf_flags.flags("train_ppo").items():
        *path, last = name.split(".")
        owner = args
        for part in path:
            if not hasattr(owner, part):
                setattr(owner, part, SimpleNamespace())
            owner = getattr(owner, part)
        setattr(owner, last, flag.default)
    args.train.batch_size, args.train.micro_batch_size = STEP, MICRO_BATCH
    args.actor.eps_clip_low_high = (0.2, 0.2)
    args.actor.model_name_or_path = model
    args.ds.zero_stage, args.ds.packing_samples = 0, packed
    args.rollout.temperature = 1.0
    args.algo.kl.init_coef, args.actor.max_norm = 0.0, 0.0
    args.train.dynamic_batch_enable = False
    return args


def rank_of(model, form, output):
    """Append this rank's share, train once, and save the gradient before the optimizer takes it."""
    import torch
    from openrlhf.models import Actor
    from openrlhf.trainer.ray.ppo_actor import ActorPPOTrainer
    from openrlhf.utils import get_strategy

    from r1ci_plugins.trainers.openrlhf.seams import outputs

    args = arguments(model, "packed" in form)
    outputs.weight = lambda: WEIGHT
    strategy = get_strategy(args)
    strategy.setup_distributed()
    actor = Actor(model, packing_samples=args.ds.packing_samples)
    adam = {"lr": 1e-3, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.0}
    options = {"optim": "adam", "adam": adam, "scheduler_steps": 10, "lr_scheduler": "constant", "max_norm": 0.0}
    actor, optimizer, scheduler = strategy.prepare((actor, options))
    trainer = ActorPPOTrainer(
        strategy,
        actor,
        ema_model=None,
        actor_optim=optimizer,
        actor_scheduler=scheduler,
        micro_train_batch_size=MICRO_BATCH,
        dataloader_pin_memory=False,
    )
    gradients, step = [], strategy.optimizer_step

    def observed(*given, **named):
        if actor.model.is_gradient_accumulation_boundary():
            gradients.append({name: p.grad.clone() for name, p in actor.model.module.named_parameters()})
        step(*given, **named)

    strategy.optimizer_step = observed
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    share = -(-SAMPLES // world)
    for sample in batch("auxiliary" in form)[rank * share : (rank + 1) * share]:
        trainer.replay_buffer.append(sample)
    status = trainer.ppo_train(0.0)
    assert len(gradients) == 1, len(gradients)
    if not rank:
        torch.save({"gradients": gradients[0], "status": status}, output)


def main(model, folder, *shapes):
    """Each shape in forks of this process, which has imported everything once."""
    import openrlhf.trainer.ray.ppo_actor  # noqa: F401

    for shape in shapes:
        ranks, _, form = shape.partition("-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        children = []
        for rank in range(int(ranks)):
            child = os.fork()
            if not child:
                place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_PORT": port}
                os.environ |= {name: str(value) for name, value in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
                try:
                    rank_of(model, form, f"{folder}/{shape}.pt")
                    status = 0
                except BaseException:
                    traceback.print_exc()
                    status = 1
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
            children.append(child)
        if any([os.waitpid(child, 0)[1] for child in children]):
            sys.exit(f"{shape} failed")


if __name__ == "__main__":
    cpu_flags.fast_bfloat16 = lambda: False  # float32, whatever this CPU can do
    process_setup.install()
    main(*sys.argv[1:])
