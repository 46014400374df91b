"""Reading a model's answer strictly: the forms that tasks ask for, and one rule for every kind of odd text."""

from __future__ import annotations


class Unreadable(ValueError):
    """The answer is not in the form that was asked for. A checker lets it pass: it counts as a wrong answer."""
