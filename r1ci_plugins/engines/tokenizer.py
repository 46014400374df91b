"""A model's tokenizer and chat template, loaded by transformers from a folder or the hub."""

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1ci_plugins.errors import MachineProblem, RecipeError
from r1ci_plugins.protocol.chat_template import ChatTemplate

_SETUP_BUILDS_MODELS = "`make setup` builds the models of the CPU recipes"


def spare_torch() -> None:
    """In a process that renders prompts and loads no model: let transformers start without torch, 4 s sooner.

    Later imports of torch itself work as ever. Without effect where torch or transformers is imported already.
    """
    if {"torch", "transformers"} & set(sys.modules) or importlib.util.find_spec("transformers") is None:
        return
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # it would say that models cannot be loaded
    hidden: dict[str, Any] = sys.modules  # None: an import of it fails
    hidden["torch"] = None
    try:
        from transformers import AutoTokenizer  # noqa: F401 - transformers now knows: no torch
    finally:
        del hidden["torch"]


def load_template(
    model: str,
    instructions: str,
    *,
    file: str | None = None,
    options: Mapping[str, Any] | None = None,
    tools: Sequence[Mapping[str, Any]] = (),
) -> ChatTemplate:
    """Load a model's tokenizer and verify turn boundaries against its chat template.

    Args:
        model: Folder or hub name.
        instructions: The head prompt.
        file: A chat template in place of the model's own; None means the model's own.
        options: Variables for the chat template, such as ``enable_thinking``.
        tools: Schemas of the tools that the model may call.

    Raises:
        MachineProblem: The model folder or its tokenizer cannot be loaded.
        RecipeError: The file of the chat template cannot be read.
        TemplateError: The chat template cannot carry the protocol.
    """
    if importlib.util.find_spec("transformers") is None:
        raise MachineProblem(
            "prompts are rendered by the model's chat template, and transformers is not installed",
            fix="pip install 'r1ci-plugins[data]', or [gpu] for training too",
        )
    exists = os.path.isdir(model)
    looks_local = exists or model.startswith((".", "/", "~")) or model.count("/") != 1
    looks_local = looks_local or os.path.isdir(os.path.dirname(model))
    if looks_local and not os.path.isfile(os.path.join(model, "config.json")):
        raise MachineProblem(
            f"the model folder {model!r} {'has no config.json' if exists else 'is missing'}",
            where="recipe key model",
            fix=f"give a Hugging Face model folder or hub name; {_SETUP_BUILDS_MODELS}",
        )
    source = _read_template(file) if file else None
    from transformers import AutoTokenizer, PreTrainedTokenizerFast  # takes seconds: what is missing is found before

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(model, trust_remote_code=True)
        if not hasattr(tokenizer, "backend_tokenizer"):
            # Beside a tekken.json, and where mistral-common is installed (vLLM needs it), transformers takes Mistral's
            # own tokenizer, which has no chat template. The same vocabulary is in the folder's tokenizer.json.
            tokenizer = PreTrainedTokenizerFast.from_pretrained(model)
    except Exception as error:  # transformers and the hub raise many types
        place = "from this folder" if exists else "from the hub, and there is no such folder"
        cause = next(iter(str(error).splitlines()), "")
        raise MachineProblem(
            f"the tokenizer of {model!r} cannot be loaded {place}: {type(error).__name__}: {cause}",
            where="recipe key model",
            fix=f"check the folder or hub name, and that the hub can be reached from here; {_SETUP_BUILDS_MODELS}",
        ) from error
    if source is not None:
        tokenizer.chat_template = source
    return ChatTemplate(tokenizer, instructions, options=options, tools=tools)


def _read_template(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RecipeError(
            f"the chat template {file} cannot be read: {reason}",
            where="recipe key protocol.chat_template",
            fix="give the path of a Jinja file, or leave the key out: the model's own template is then used",
        ) from error
