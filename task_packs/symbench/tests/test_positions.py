import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r1ci_tasks_symbench.positions import positions

from r1ci_plugins.tasks.answers import Unreadable


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=1))
def test_the_usual_forms_read_alike(cells):
    plain = ", ".join(f"{r} {c}" for r, c in cells)
    for text in (plain, f"[{plain}]", plain.replace(", ", "\n"), str(cells), str([list(cell) for cell in cells])):
        assert positions(text) == cells


@pytest.mark.parametrize("text", ["", "0 1, 2", "0 a", "0.5 1", "[[0, 1], [2]]", "[[[0, 1]]]", "row 0 column 1"])
def test_other_texts_are_unreadable(text):
    with pytest.raises(Unreadable):
        positions(text)
