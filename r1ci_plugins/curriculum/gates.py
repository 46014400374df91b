"""Gates: when a stage ends, and which prompts have nothing to teach. Small classes; their state is JSON."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from r1ci_plugins.recipe.schema import PlateauConfig


class StageEnd:
    """Ends a stage after its steps, or earlier where accuracy has stopped rising.

    Args:
        plateau: When accuracy counts as flat; None means that steps alone decide.
    """

    def __init__(self, plateau: PlateauConfig | None) -> None:
        self._plateau = plateau
        self._accuracies: list[float] = []
        self._steps = 0

    def step(self, accuracy: float | None) -> None:
        """One training step has been sampled; its accuracy is None if no sample is known."""
        self._steps += 1
        if accuracy is not None:
            self._accuracies.append(accuracy)

    @property
    def steps(self) -> int:
        """Steps of this stage so far."""
        return self._steps

    def reason(self, most: int) -> str:
        """Why the stage ends now; empty if it goes on. ``most`` is its number of steps."""
        if self._steps >= most:
            return f"{most} steps"
        if self._plateau is None:
            return ""
        window, gain = self._plateau.window, self._plateau.gain
        if len(self._accuracies) < 2 * window:
            return ""
        before, now = fmean(self._accuracies[-2 * window : -window]), fmean(self._accuracies[-window:])
        if now - before < gain:
            return f"accuracy rose from {before:.1%} to {now:.1%} only, between {window} steps and the next {window}"
        return ""

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` takes."""
        return {"steps": self._steps, "accuracies": list(self._accuracies)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._steps, self._accuracies = int(state["steps"]), list(state["accuracies"])


def alike(rewards: Sequence[float], known: Sequence[bool]) -> bool:
    """Whether a prompt's known samples, at least two, all have one reward: nothing says which was better."""
    values = [reward for reward, counts in zip(rewards, known, strict=True) if counts]
    return len(values) > 1 and max(values) - min(values) < 1e-9
