"""The sentences of trajectories that are made without a model: short, varied, and true of what happens in them."""

import random
from dataclasses import dataclass
from importlib.resources import files

import yaml

_SENTENCES = yaml.safe_load(files("r1ci_plugins.synthesis").joinpath("wording.yaml").read_text(encoding="utf-8"))
_STYLES: dict[str, str] = _SENTENCES.pop("styles")


@dataclass(frozen=True)
class Wording:
    """Chooses sentences; the same state of the generator gives the same sentences.

    Attributes:
        rng: Decides.
        terse: Whether a first program and a final answer come without sentences.
    """

    rng: random.Random
    terse: bool

    def opening(self, style: str) -> str:
        """Before the first program, where the prompt does not say how to begin."""
        if self.terse:
            return ""
        parts = []
        if self.rng.random() < 0.7:
            parts.append(self.say("openings"))
        if not parts or self.rng.random() < 0.6:
            parts.append(self.say("methods", how=how(style)))
        return " ".join(parts)

    def deliberation(self, style: str) -> str:
        """Before the first program, when thinking comes first."""
        if self.terse:
            return ""
        thoughts = self.rng.sample(_SENTENCES["thoughts"], self.rng.randint(2, 4))
        return " ".join([self.say("openings"), *thoughts, self.say("methods", how=how(style))])

    def say_unless_terse(self, occasion: str) -> str:
        """A sentence that introduces a first program or a final answer; it may be empty."""
        return "" if self.terse else self.say(occasion)

    def say(self, occasion: str, **values: str) -> str:
        """One of the sentences for an occasion, such as ``checks``, with values in its places."""
        # Not str.format: an error or a slip may hold braces, and values must not be filled into each other.
        text, *fields = self.rng.choice(_SENTENCES[occasion]).split("{")
        for field in fields:
            name, rest = field.split("}", 1)
            text += values[name] + rest
        return text


def how(style: str) -> str:
    """A style as an adverbial phrase."""
    return _STYLES.get(style, f"in another style ({style.replace('_', ' ')})")
