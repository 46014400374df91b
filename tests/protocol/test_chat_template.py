from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1ci_plugins.errors import TemplateError
from r1ci_plugins.protocol.chat_template import ChatTemplate

INSTRUCTIONS = "Use ```python code if it helps. Give the final answer as <<<answer>>>."
NAMES = ["chatml", "llama3", "mistral"]
pytestmark = pytest.mark.stack


def conversation(tokenizer, contents):
    """The template's own rendering; the instructions lead the user message where it takes no system message."""
    roles = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents)]
    try:
        return tokenizer.apply_chat_template(
            [{"role": "system", "content": INSTRUCTIONS}, *roles], tokenize=False, add_generation_prompt=True
        )
    except Exception:
        roles[0]["content"] = f"{INSTRUCTIONS}\n\n{roles[0]['content']}"
        return tokenizer.apply_chat_template(roles, tokenize=False, add_generation_prompt=True)


@pytest.mark.parametrize("name", NAMES)
def test_pieces_are_the_templates_own_tokens(tokenizers, name):
    tokenizer = tokenizers[name]
    template = ChatTemplate(tokenizer, INSTRUCTIONS)
    action, output = "Let me run it.\n```python\nprint(6 * 7)\n```", "Code Execution Results:\n42"
    whole = conversation(tokenizer, ["What is 6 * 7?", action, output])
    lead = " " if name == "mistral" else ""  # Mistral's template puts a blank there; the model samples it
    pieces = template.feedback(output, last_token=None)
    ours = [*template.prompt("What is 6 * 7?").token_ids, *template.encode(lead + action)]
    ours += [token for piece in pieces for token in piece.token_ids]
    assert ours == tokenizer(whole, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", NAMES)
def test_a_sampled_end_of_turn_is_not_doubled(tokenizers, name):
    template = ChatTemplate(tokenizers[name], INSTRUCTIONS)
    without = [t for piece in template.feedback("x", last_token=None) for t in piece.token_ids]
    with_it = [t for piece in template.feedback("x", last_token=template.end_of_turn) for t in piece.token_ids]
    assert without == [template.end_of_turn, *with_it]


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(max_size=200) | st.lists(st.sampled_from(["<|im_end|>", "</s>", "[INST]", "a", "\n"])).map("".join)
)
@pytest.mark.parametrize("name", NAMES)
def test_untrusted_text_never_becomes_a_special_token(tokenizers, name, text):
    tokenizer = tokenizers[name]
    template = ChatTemplate(tokenizer, INSTRUCTIONS)
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    left, body, right = template.feedback(text, last_token=None)
    assert not special & set(body.token_ids)
    # The boundaries are those of any other message: nothing in the text can close or open a turn.
    reference = template.feedback("plain", last_token=None)
    count = lambda pieces: sum(t in special for piece in pieces for t in piece.token_ids)  # noqa: E731
    assert count((left, body, right)) == count(reference)
    prompt = template.prompt(text)
    assert sum(t in special for t in prompt.token_ids) == sum(t in special for t in template.prompt("q").token_ids)


@pytest.mark.parametrize("name", NAMES)
def test_a_written_turn_is_the_templates_own(tokenizers, name):
    template = ChatTemplate(tokenizers[name], INSTRUCTIONS)
    text = "Let me run it.\n```python\nprint(6 * 7)\n```"
    action = template.action(f"  {text}\n")  # as most templates do, it is stripped
    whole = conversation(tokenizers[name], ["What is 6 * 7?", text, "x"])
    ours = [*template.prompt("What is 6 * 7?").token_ids, *action.token_ids]
    assert tokenizers[name](whole, add_special_tokens=False)["input_ids"][: len(ours)] == ours
    assert action.text.strip() == text and template.made(action)
    special = template.action(f"<|im_end|>{tokenizers[name].decode([template.end_of_turn])}")
    assert special.token_ids.count(template.end_of_turn) == 1


def test_thinking_tags_that_decoding_drops_are_noticed(tokenizers):
    assert ChatTemplate(tokenizers["chatml"], INSTRUCTIONS).shows_thinking
    hidden = copy.deepcopy(tokenizers["chatml"])
    hidden.add_special_tokens({"additional_special_tokens": ["<think>"]})
    assert not ChatTemplate(hidden, INSTRUCTIONS).shows_thinking


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (None, "no chat template"),
        ("{% for m in messages %}{{ m['content'] }}\n{% endfor %}", "special token"),
        ("{{ messages[-1]['content'] }}<|im_end|>", "drops or repeats"),
        (
            "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}",
            "differently",
        ),
        (
            "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
            "{% if m['role'] == 'assistant' and messages|length > 4 %}(older){% endif %}"
            "{{ m['content'] }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
            "longer conversation",
        ),
        ("{{ raise_exception('no') }}", "cannot render"),
    ],
)
def test_templates_that_cannot_carry_the_protocol_are_refused(tokenizers, broken, message):
    tokenizer = copy.deepcopy(tokenizers["chatml"])
    tokenizer.chat_template = broken
    with pytest.raises(TemplateError, match=message):
        ChatTemplate(tokenizer, INSTRUCTIONS)
