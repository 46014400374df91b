from __future__ import annotations

import importlib.util
import inspect
import json
import pickle

import pytest

from r1ci_plugins import errors
from r1ci_plugins.errors import InfrastructureFault, PluginError, R1CIError, plugin_error, plugin_line
from r1ci_plugins.tasks import answers

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


def caught(function):
    try:
        function()
    except Exception as error:
        return error


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("not even a message")


def divide():
    return 1 / 0


def test_an_exception_of_a_plugin_becomes_what_where_and_fix_with_the_plugins_innermost_line():
    line = divide.__code__.co_firstlineno + 1
    error = plugin_error(InfrastructureFault, "the term raised", caught(divide), where="here", fix="mend it")
    assert type(error) is InfrastructureFault and error.what == "the term raised ZeroDivisionError: division by zero"
    assert error.where == f"here, {__file__}:{line}" and error.fix == "mend it"


@pytest.mark.parametrize("function", [lambda: json.loads("{"), lambda: answers.integer("many")])
def test_frames_of_the_standard_library_and_of_this_package_are_not_the_plugins(function):
    assert plugin_line(caught(function)) == f"{__file__}:{function.__code__.co_firstlineno}"


def test_an_error_without_a_line_of_a_plugin_or_a_message_is_still_readable():
    error = plugin_error(PluginError, "the term raised", ValueError())
    assert str(error) == "the term raised ValueError" and error.where is None
    assert "its message cannot be read" in plugin_error(PluginError, "the term raised", Unprintable()).what


def test_an_error_of_ours_keeps_its_place_and_remedy():
    ours = R1CIError("no such file", where="there", fix="make it")
    error = plugin_error(PluginError, "the hook raised", ours, where="here", fix="update it")
    assert (error.what, error.where, error.fix) == (
        "the hook raised R1CIError: no such file",
        "here, there",
        "make it",
    )


def test_a_syntax_error_names_its_own_line(tmp_path):
    module = tmp_path / "broken.py"
    module.write_text("\n(")
    assert plugin_line(caught(lambda: compile(module.read_text(), str(module), "exec"))) == f"{module}:2"


def test_the_line_is_the_plugins_and_not_that_of_a_package_that_it_calls(tmp_path):
    """An installed package stands for numpy: the error is inside it, the line to mend is the plugin's."""
    module = tmp_path / "plugin.py"
    module.write_text("import yaml\n\n\ndef term(trajectory):\n    return yaml.safe_load('a: [')\n")
    spec = importlib.util.spec_from_file_location("plugin_for_test", module)
    plugin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plugin)
    error = None
    try:
        plugin.term(None)
    except Exception as raised:
        error = raised.with_traceback(raised.__traceback__.tb_next)  # without this test's own frame
    assert plugin_line(error) == f"{module}:5"


def test_any_error_becomes_one_that_says_what_where_and_how():
    from r1ci_plugins.errors import MachineProblem, readable

    for error, parts in {
        OSError(28, "No space left on device", "/runs/x"): ["No space left", "/runs/x", "free some space"],
        PermissionError(13, "Permission denied", "/runs/x"): ["Permission denied", "/runs/x", "who may read"],
        KeyError("a\nb"): ["unexpected KeyError", "--debug"],
    }.items():
        found = readable(error)
        assert isinstance(found, MachineProblem) and all(part in str(found) for part in parts)
    ours = MachineProblem("x")
    assert readable(ours) is ours
