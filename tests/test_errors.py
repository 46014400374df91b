from __future__ import annotations

import inspect
import pickle

import pytest

from r1ci_plugins import errors
from r1ci_plugins.errors import R1CIError

TYPES = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, R1CIError)]


@pytest.mark.parametrize("kind", TYPES)
def test_every_error_says_what_where_and_the_fix_and_crosses_processes(kind):
    error = kind("it broke", where="here", fix="mend it")
    assert str(error) == "it broke\n  where: here\n  fix:   mend it"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind and str(copy) == str(error)
    assert (copy.what, copy.where, copy.fix) == ("it broke", "here", "mend it")


def test_what_is_unknown_is_left_out():
    assert str(R1CIError("it broke")) == "it broke"
    assert str(pickle.loads(pickle.dumps(R1CIError("it broke", fix="mend it")))) == "it broke\n  fix:   mend it"


@pytest.mark.parametrize("kind", TYPES)
def test_every_error_is_documented(kind):
    assert kind.__doc__ and kind.__doc__.strip().endswith(".") or "Args:" in kind.__doc__
