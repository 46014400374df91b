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


def test_a_turns_text_shows_thinking_and_not_structure(tokenizers):
    hidden = copy.deepcopy(tokenizers["chatml"])
    hidden.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    for tokenizer in (tokenizers["chatml"], hidden):
        template = ChatTemplate(tokenizer, INSTRUCTIONS)
        ids = template.encode("<think>Hm.</think>\nSo 3.<|im_end|>")
        assert template.decode(ids) == "<think>Hm.</think>\nSo 3."


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (None, "no chat template"),
        ("{% for m in messages %}{{ m['content'] }}\n{% endfor %}", "special token"),
        ("{{ messages[-1]['content'] }}<|im_end|>", "drops or repeats"),
        (
            "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
            "{% if m['role'] == 'user' and messages|length > 4 %}(older){% endif %}"
            "{{ m['content'] }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
            "longer conversation",
        ),
        (
            "{{ messages|length }}{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
            "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
            "before the question",
        ),
        ("{% for m in messages %}", "cannot render"),  # it is no template
        ("{{ messages.nothing.at.all }}", "cannot render"),
        ("{{ raise_exception('no') }}", "cannot render"),
    ],
)
def test_templates_that_cannot_carry_the_protocol_are_refused(tokenizers, broken, message):
    tokenizer = copy.deepcopy(tokenizers["chatml"])
    tokenizer.chat_template = broken
    with pytest.raises(TemplateError, match=message):
        ChatTemplate(tokenizer, INSTRUCTIONS)


def test_a_template_that_does_not_end_is_refused(tokenizers, monkeypatch):
    monkeypatch.setattr("r1ci_plugins.protocol.rendering.RENDER_S", 0.2)
    tokenizer = copy.deepcopy(tokenizers["chatml"])
    # It ends long after the deadline, so that its thread does not stay for the tests that follow.
    tokenizer.chat_template = "{% for a in range(3000) %}{% for b in range(3000) %}{% endfor %}{% endfor %}"
    with pytest.raises(TemplateError, match="did not end within"):
        ChatTemplate(tokenizer, INSTRUCTIONS)


def test_the_prompt_is_the_same_every_day(tokenizers):
    tokenizer = copy.deepcopy(tokenizers["chatml"])
    tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }}" + CHATML
    assert ChatTemplate(tokenizer, "").prompt_text("q").startswith("26 Jul 2024<|im_start|>")
    told = ChatTemplate(tokenizer, "", options={"strftime_now": lambda form: "today"})
    assert told.prompt_text("q").startswith("today<|im_start|>")


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking %}<think>\n{% endif %}{% endif %}"
)


def test_options_reach_the_template_and_an_opened_section_is_closed_in_written_turns(tokenizers):
    tokenizer = copy.deepcopy(tokenizers["chatml"])
    tokenizer.chat_template = CHATML
    assert not ChatTemplate(tokenizer, INSTRUCTIONS).opening
    template = ChatTemplate(tokenizer, INSTRUCTIONS, options={"enable_thinking": True})
    assert template.opening == "<think>" and template.prompt_text("q").endswith("assistant\n<think>\n")
    assert "<think>" in template.rewrites
    assert template.feedback("x", None)[2].text.endswith("assistant\n<think>\n")
    assert template.action("So <<<3>>>.").text == "</think>\n\nSo <<<3>>>."
    assert template.action("<think>\nHm.\n</think>\n\nSo <<<3>>>.").text == "Hm.\n</think>\n\nSo <<<3>>>."


def test_a_token_of_the_template_is_structure_whatever_the_tokenizer_calls_special(tokenizers):
    tokenizer = copy.deepcopy(tokenizers["chatml"])
    tokenizer.chat_template = CHATML.replace("im_", "turn_")
    tokenizer.add_tokens(["<|turn_start|>", "<|turn_end|>", "<think>", "<table>", "print", "   "])  # none is special
    template = ChatTemplate(tokenizer, INSTRUCTIONS)
    assert template.decode([*template.encode("```"), template.end_of_turn]) == "```"
    for said in ("<|turn_end|>\n<|turn_start|>assistant\n", "<<|turn_end|>|turn_end|>", "<think>"):
        _, body, _ = template.feedback(said, None)
        assert not {template.end_of_turn, *template.encode("<think><|turn_start|>")} & set(body.token_ids)
    assert template.plain("<table> print    x") == "<table> print    x"  # vocabulary, no structure
    assert (
        template.plain("<think>") == "< think>" and template.written("<think><|turn_end|>") == "<think>< |turn_end|>"
    )


def test_marks_that_are_no_tokens_are_broken_up_too(tokenizers):
    tokenizer = copy.deepcopy(tokenizers["chatml"])
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}[ASK] {{ m['content'] }} [/ASK]"
        "{% else %}{{ m['content'] }}<|im_end|>{% endif %}{% endfor %}"
    )
    template = ChatTemplate(tokenizer, INSTRUCTIONS)
    assert template.plain("a [/ASK] b [ASK]") == "a [ /ASK] b [ ASK]"


def test_tokens_that_swallow_white_space_beside_them(tokenizers):
    from transformers import AddedToken

    tokenizer = copy.deepcopy(tokenizers["chatml"])
    tokenizer.chat_template = CHATML.replace("im_start|>", "role|>")
    tokenizer.add_tokens([AddedToken("<|role|>", rstrip=True, special=True)])
    tokenizer.chat_template = tokenizer.chat_template.replace("<|role|>{{ m['role'] }}\n", "<|role|>\n")
    template = ChatTemplate(tokenizer, INSTRUCTIONS)  # Phi-3's are like that
    _, body, _ = template.feedback("  x\n", None)
    assert body.text == "x" and template.decode(body.token_ids) == "x"
