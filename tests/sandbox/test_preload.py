from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.sandbox.preload import PROFILES, profile_of

words = st.sampled_from(
    [
        "import",
        "from",
        "numpy",
        "sympy",
        "scipy",
        "pandas",
        "os",
        " ",
        "\n",
        ",",
        ".",
        " as ",
        "(",
        "*",
        "\0",
        "\ud800",
        "é",
    ]
)


@given(code=st.lists(words, max_size=30).map("".join) | st.text(st.characters(), max_size=200))
def test_any_text_has_a_profile(code):
    assert profile_of(code) in PROFILES


@given(data=st.data())
def test_the_profile_has_what_is_imported(data):
    known = sorted({module.partition(".")[0] for modules in PROFILES.values() for module in modules})
    wanted = data.draw(st.lists(st.sampled_from(known), unique=True))
    style = data.draw(st.sampled_from(["import {}", "from {} import *", "    import os, {}", "import {} as x"]))
    profile = profile_of("\n".join(["x = 1", *(style.format(name) for name in wanted)]))
    assert set(wanted) <= {module.partition(".")[0] for module in PROFILES[profile]}
