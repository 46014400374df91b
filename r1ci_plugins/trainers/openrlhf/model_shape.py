"""How large a model is and how long a sequence it takes: from its folder's config.json, or from a table of hub names.

Nothing is loaded and no hub is asked. What a config.json leaves out or has wrong is said, not believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).with_name("model_shapes.yaml")
_DENSE = ("llama", "mistral", "qwen2", "qwen3")
_LONGEST = 100_000_000
"""Tokens; a context above it is taken for nonsense."""

_UNSCALED = ("default", "su", "longrope", "llama3")
"""Kinds of rope scaling that leave ``max_position_embeddings`` as it is, as vLLM reads them."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a dense decoder of the Llama family.

    Attributes:
        vocab: Tokens of the vocabulary.
        hidden: Width of the residual stream.
        layers: Number of layers.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        head_dim: Width of a head.
        intermediate: Width of the MLP.
        tied: Whether the output shares the input's embedding.
        qkv_bias: Whether queries, keys and values have a bias.
        out_bias: Whether the attention's output has one.
        mlp_bias: Whether the three matrices of the MLP have one.
        qk_norm: Whether queries and keys are normalised.
    """

    vocab: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    tied: bool = False
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False

    @property
    def query_width(self) -> int:
        """Numbers per token of the queries of a layer."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Numbers per token of the keys of a layer, and of its values."""
        return self.kv_heads * self.head_dim

    @property
    def matrices(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each linear map of a layer."""
        attention = [(self.hidden, self.query_width), *[(self.hidden, self.kv_width)] * 2]
        mlp = [*[(self.hidden, self.intermediate)] * 2, (self.intermediate, self.hidden)]
        return [*attention, (self.query_width, self.hidden), *mlp]

    @property
    def parameters(self) -> int:
        """Number of parameters of the whole model."""
        layer = sum(inputs * outputs for inputs, outputs in self.matrices) + 2 * self.hidden
        layer += self.qkv_bias * (self.query_width + 2 * self.kv_width) + self.out_bias * self.hidden
        layer += self.mlp_bias * (2 * self.intermediate + self.hidden) + self.qk_norm * 2 * self.head_dim
        return self.layers * layer + self.hidden + self.vocab * self.hidden * (1 if self.tied else 2)

    def lora_parameters(self, rank: int) -> int:
        """Number of parameters of LoRA adapters of a rank at every linear map of the layers."""
        return self.layers * sum(rank * (inputs + outputs) for inputs, outputs in self.matrices)


@dataclass(frozen=True)
class Model:
    """What is known of a model without loading it.

    Attributes:
        name: Folder or hub name.
        shape: None if it is not known.
        context: Tokens that a sequence may have; None if that is not known.
        notes: What is not known or not believed, and why.
    """

    name: str
    shape: Shape | None
    context: int | None
    notes: tuple[str, ...] = ()


def find_model(name: str) -> Model:
    """What is known of a model.

    Args:
        name: A folder, whose config.json is read, or a hub name, which is looked up in ``model_shapes.yaml``.
    """
    config = Path(name) / "config.json"
    if not config.is_file():
        found = _table().get(name.lower())
        note = f"{name} is neither a folder with a config.json here nor in model_shapes.yaml"
        return Model(name, *found) if found else Model(name, None, None, (note,))
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Model(name, None, None, (f"{config} cannot be read: {error}",))
    if not isinstance(values, dict):
        return Model(name, None, None, (f"{config} holds no mapping",))
    notes: list[str] = []
    shape, context = _shape_of(values, notes), _context_of(values, notes)
    return Model(name, shape, context, tuple(f"{config}: {note}" for note in notes))


@cache
def _table() -> dict[str, tuple[Shape, int]]:
    import yaml

    entries = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    return {
        name.lower(): (Shape(**entry["shape"]), context)
        for entry in entries
        for name, context in entry["contexts"].items()
    }


def _size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LONGEST


def _shape_of(values: Mapping[str, Any], notes: list[str]) -> Shape | None:
    kind = values.get("model_type")
    if kind not in _DENSE:
        notes.append(f"model_type {kind!r} is none of {', '.join(_DENSE)}, so its size is not known")
        return None
    heads = values.get("num_attention_heads")
    sizes: dict[str, Any] = {
        "vocab": values.get("vocab_size"),
        "hidden": values.get("hidden_size"),
        "layers": values.get("num_hidden_layers"),
        "heads": heads,
        "kv_heads": values.get("num_key_value_heads") or heads,
        "intermediate": values.get("intermediate_size"),
    }
    if wrong := [name for name, value in sizes.items() if not _size(value)]:
        notes.append(f"no usable size of {', '.join(wrong)}, so the model's size is not known")
        return None
    sizes["head_dim"] = values.get("head_dim") or sizes["hidden"] // sizes["heads"]
    bias = bool(values.get("attention_bias"))
    return Shape(
        **sizes,
        tied=bool(values.get("tie_word_embeddings", False)),
        qkv_bias=bias or kind == "qwen2",
        out_bias=bias,
        mlp_bias=bool(values.get("mlp_bias")),
        qk_norm=kind == "qwen3",
    )


def _context_of(values: Mapping[str, Any], notes: list[str]) -> int | None:
    """``max_position_embeddings``, stretched by rope scaling as vLLM does."""
    longest = values.get("max_position_embeddings")
    if not _size(longest):
        said = "is missing" if longest is None else f"is {longest!r}"
        notes.append(f"max_position_embeddings {said}, so the context is not checked")
        return None
    assert isinstance(longest, int)
    scaling = values.get("rope_scaling") or values.get("rope_parameters") or {}
    if not isinstance(scaling, dict):
        notes.append(f"rope scaling is {scaling!r}, so the context is not checked")
        return None
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind in _UNSCALED:
        return longest
    factor: Any
    original: Any
    factor, original = scaling.get("factor"), scaling.get("original_max_position_embeddings", longest)
    sound = isinstance(factor, int | float) and not isinstance(factor, bool) and 1 <= factor <= 1000
    if not sound or not _size(original) or original * factor > _LONGEST:
        notes.append(
            f"rope scaling {kind!r} has factor {factor!r} and original_max_position_embeddings {original!r}, "
            "so the context is not checked"
        )
        return None
    return int((original if kind == "yarn" else longest) * factor)
