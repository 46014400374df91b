from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from r1ci_plugins.engines.tokenizer import load_template
from r1ci_plugins.errors import MachineProblem, RecipeError, TemplateError


def test_without_transformers_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MachineProblem, match=r"r1ci-plugins\[data\]"):
        load_template("m", "")


@pytest.fixture
def folder(tokenizers, tmp_path):
    tokenizers["chatml"].save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    return tmp_path


@pytest.mark.stack
def test_a_tokenizer_without_chat_template_of_its_own_kind_is_read_from_tokenizer_json(folder, monkeypatch):
    import transformers

    # As transformers does beside a tekken.json, where mistral-common is installed.
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: SimpleNamespace())
    assert load_template(str(folder), "Think.").prompt_text("q").count("Think.") == 1


@pytest.mark.stack
def test_a_chat_template_of_ones_own(folder, tmp_path):
    file = tmp_path / "mine.jinja"
    file.write_text(
        "{{ word }}{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    made = load_template(str(folder), "", file=str(file), options={"word": "mine"})
    assert made.prompt_text("q") == "mine<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"
    with pytest.raises(RecipeError, match=r"protocol\.chat_template"):
        load_template(str(folder), "", file=str(tmp_path / "none.jinja"))
    with pytest.raises(TemplateError, match="cannot render"):
        load_template(str(folder), "", options={"messages": []})
