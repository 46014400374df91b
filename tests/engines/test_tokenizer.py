from __future__ import annotations

import sys

import pytest

from r1ci_plugins.engines.tokenizer import load_template
from r1ci_plugins.errors import MachineProblem


def test_without_transformers_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MachineProblem, match=r"r1ci-plugins\[data\]"):
        load_template("m", "")
