r"""Values in LaTeX: what is the same, what is not, and what takes too long to find out."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r1ci_tasks_symbench.latex_values import boxed, same
from r1ci_tasks_symbench.math_problem import latex

from r1ci_plugins.tasks.answers import Unreadable


def equal(answer: str, reference: str) -> bool:
    try:
        return same(answer, reference)
    except Unreadable:
        return False


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("1/6", r"\frac{1}{6}"),
        (r"\dfrac16", r"\frac{1}{6}"),
        (r"$\frac{1}{6}$", r"\frac{1}{6}"),
        (r"\boxed{\frac 16}", r"\frac{1}{6}"),
        (r"\(\frac{-1}{6}\)", r"-\frac{1}{6}"),
        ("0.125", r"\frac18"),
        ("0.3333333", r"\frac13"),
        ("(18,-18)", "(18, -18)"),
        (r"\left(18, -18\right)", "(18, -18)"),
        ("18, -18", "(18, -18)"),
        (r"\{7, 5, 4\}", r"\{4,5,7\}"),
        (r"\sqrt{12}", r"2\sqrt{3}"),
        (r"2\sqrt3", r"2\sqrt{3}"),
        ("3.4641016", r"2\sqrt{3}"),
        (r"\frac{10\sqrt{3}}{3}", r"\frac{10}{\sqrt{3}}"),
        (r"\sqrt5+\sqrt2", r"\sqrt 2+\sqrt 5"),
        ("10π", r"10\pi"),
        (r"\pi \cdot 10", r"10\pi"),
        ("31.415926535", r"10\pi"),
        (r"\binom{9}{2}", "36"),
        ("1000", r"1,\!000"),
        ("1,000", "1000"),
        ("3 .", "3"),
        ("３", "3"),
        ("30", r"30^\circ"),
        (r"30^{\circ}", "30"),
        (r"6\text{ cm}", "6"),
        ("34", r"34\text{ sq. units}"),
        (r"\$3.60", "3.6"),
        ("18", r"18\%"),
        ("8", "K=8"),
        ("x = 5", "5"),
        (r"56\%", r"0.56 = 56\%"),
        (r"50\%", r"\frac{1}{2}"),
        ("50%", "0.5"),
        (r"50\%", "50"),
        ("50", r"50\%"),
        ("0.5", r"50\%"),
        (r"0.5\%", r"0.5\%"),
        ("[0, 1]", "[0,1]"),
        (r"\left(0, 1\right]", "(0,1]"),
        (r"\[42\]", "42"),
        ("__42__", "42"),
        (r"\text{42}", "42"),
        (r"$\boxed{42}$.", "42"),
        ("CD=4, AB=9", "AB=9, CD=4"),
        ("b", r"\text{B}"),
        ("b + a", "a+b"),
        (r"\frac{bx(h-x)}{h}", r"\frac{bx}{h}(h-x)"),
        ("-562949953421312", "-2^{49}"),
        ("3:5", "3:5"),
        (r"\tan\theta=2\theta", r"\tan \theta = 2\theta"),
    ],
)
def test_the_same(answer: str, reference: str) -> None:
    assert equal(answer, reference)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("", "1"),
        (r"0.5\%", r"\frac{1}{2}"),
        (r"0.5\%", "0.5"),
        (r"5000\%", r"50\%"),
        ("0.005", r"50\%"),
        ("(0, 1)", "[0, 1]"),
        ("[0, 1]", "(0, 1)"),
        ("[0, 1)", "[0, 1]"),
        ("(0, 1]", "[0, 1]"),
        ("0 0", "0"),
        ("2 3", "6"),
        ("4 2", "42"),
        ("1", "2"),
        ("1001", "1000"),
        ("0.333", r"\frac13"),
        ("0", r"\frac{1}{29,\!322,\!216}"),
        ("3.46", r"2\sqrt{3}"),
        (r"2\sqrt{5}", r"2\sqrt{3}"),
        ("(-18, 18)", "(18, -18)"),
        ("(7, 3)", "(18, -18)"),
        ("-18, 18", "(18, -18)"),
        ("(18, -18, 0)", "(18, -18)"),
        ("18", "(18, -18)"),
        ("4, 5", r"\{4,5,7\}"),
        ("4, 5, 5", r"\{4,5,7\}"),
        ("AB=4, CD=9", "AB=9, CD=4"),
        ("5:3", "3:5"),
        ("a-b", "a+b"),
        (r"\text{A}", r"\text{B}"),
        ("x", "5"),
        ("1 or 2", "1"),
        ("nan", "1"),
        (r"\frac{1}{0}", "1"),
        ("562949953421312", "-2^{49}"),
    ],
)
def test_not_the_same(answer: str, reference: str) -> None:
    assert not equal(answer, reference)


@pytest.mark.parametrize(
    "answer",
    [
        *("9^{9^{9}}", "9^9^9", "9**9**9", "9!!", "(99!)!", r"\binom{999999}{499999}", r"\sum_{k=1}^{10^{9}} k"),
        *("(" * 60 + "1" + ")" * 60, "{" * 100, r"\frac" * 30, "1" * 5000, "1+" * 5000, r"\sqrt" * 24),
        *(r"\int_0^1 x dx", r"\lim_{x \to 0} x", "x = y = z", "x < 5", "__import__('os').getpid()", "\ud800"),
    ],
)
@pytest.mark.parametrize("reference", ["1", r"2\sqrt{3}", "a+b", "(1, 2)"])
def test_what_might_take_long_is_refused(answer: str, reference: str) -> None:
    assert not equal(answer, reference)


@settings(deadline=None, max_examples=150)
@given(st.fractions(), st.fractions())
def test_fractions_are_exact(a: Fraction, b: Fraction) -> None:
    for written in (latex(a), f"{a.numerator}/{a.denominator}"):
        assert equal(written, latex(a))
        assert equal(written, latex(b)) == (a == b)


@settings(deadline=None, max_examples=30)
@given(st.integers(-20, 20).filter(bool), st.integers(1, 12), st.integers(1, 60))
def test_what_is_written_is_a_value_in_lowest_terms(above: int, below: int, radicand: int) -> None:
    written = latex(Fraction(above, below), radicand)
    assert equal(rf"\frac{{{above}\sqrt{{{radicand}}}}}{{{below}}}", written)
    assert not equal(rf"\frac{{{above}\sqrt{{{radicand + 1}}}}}{{{below}}}", written)


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet=r"0123456789.,()[]{}^_+-*/\ =abpixe", max_size=40) | st.text(max_size=40))
def test_any_text_is_judged(answer: str) -> None:
    assert equal(answer, r"\frac{3\sqrt{7}}{19}") in (True, False)


@pytest.mark.parametrize(
    ("solution", "value"),
    [
        (r"So $x = \boxed{\frac{1}{2}}$, or \boxed{3}.", "3"),
        (r"It is $\boxed{\frac{\sqrt{3}}{2}}$.", r"\frac{\sqrt{3}}{2}"),
        (r"$\boxed 5$ it is", "5"),
        ("7", "7"),
    ],
)
def test_the_last_box_is_the_answer(solution: str, value: str) -> None:
    assert boxed(solution) == value


def test_an_open_box_is_an_error() -> None:
    with pytest.raises(ValueError, match="without its end"):
        boxed(r"\boxed{1")
