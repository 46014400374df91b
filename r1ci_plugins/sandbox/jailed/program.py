"""Runs a program as ``python main.py`` would: its streams, its ``__main__``, how an error is told, how it all ends.

The program runs in a process that has been an interpreter for long, below our frames and with much loaded. What it
could see of that is hidden here, and what the interpreter does around a program is done by hand, in CPython's order.
"""

from __future__ import annotations

import ast
import atexit
import builtins
import contextlib
import ctypes
import gc
import io
import os
import signal
import sys
import threading
import weakref
from types import TracebackType
from typing import Any

from r1ci_plugins.sandbox.jailed.shelf import Shelf

SOURCE_NAME = "main.py"
ORDER_FD, MARK_FD = 250, 251
FILE_INPUT = 257  # Py_file_input
SPECIAL = ("path", "argv", "ps1", "ps2", "last_type", "last_value", "last_traceback", "last_exc", "meta_path")

_libc = ctypes.CDLL(None)
_libc.fopen.restype = ctypes.c_void_p
_libc.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
# Compiles a file as `python main.py` does, with the same messages, and runs it.
_run_file = ctypes.PYFUNCTYPE(
    ctypes.py_object,
    *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int),
    *(ctypes.py_object, ctypes.py_object, ctypes.c_int, ctypes.c_void_p),
)(("PyRun_FileExFlags", ctypes.pythonapi))
_untrack = ctypes.PYFUNCTYPE(None, ctypes.py_object)(("PyObject_GC_UnTrack", ctypes.pythonapi))
_track = ctypes.PYFUNCTYPE(None, ctypes.py_object)(("PyObject_GC_Track", ctypes.pythonapi))


class OrderedStderr(io.FileIO):
    """stderr that leaves a mark in stdout, so that the host can put the two in order.

    Descriptors 1 and 2 are pipes of their own, whose relative order the host cannot see. After each write the number
    of bytes goes into stdout's pipe behind a token. A program that forges marks confuses only its reader.
    """

    def __init__(self, stdout: io.TextIOWrapper, token: bytes) -> None:
        super().__init__(2, "w", closefd=False)
        self.stdout, self.token = stdout, token

    def write(self, data: Any) -> int:
        with contextlib.suppress(OSError, ValueError):
            self.stdout.flush()
        written = super().write(data) or 0
        with contextlib.suppress(OSError):
            os.write(ORDER_FD, self.token + b"%08x" % written)
        return written


def make_streams(token: bytes) -> None:
    """Make the three streams as the interpreter does, but let stdout pass on each line at once, as on a terminal."""

    def text(raw: io.FileIO, name: str, **options: Any) -> io.TextIOWrapper:
        raw.name = name
        buffer = io.BufferedReader(raw) if name == "<stdin>" else io.BufferedWriter(raw)
        stream = io.TextIOWrapper(buffer, encoding="utf-8", newline="\n", **options)
        stream.mode = "r" if name == "<stdin>" else "w"  # type: ignore[misc]
        return stream

    stdin = text(io.FileIO(0, closefd=False), "<stdin>", errors="surrogateescape")
    stdout = text(io.FileIO(1, "w", closefd=False), "<stdout>", errors="surrogateescape", line_buffering=True)
    stderr = text(OrderedStderr(stdout, token), "<stderr>", errors="backslashreplace", line_buffering=True)
    sys.stdin = sys.__stdin__ = stdin  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = stdout  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = stderr  # type: ignore[misc]


class Depth:
    """Hides how deep in our own calls a program runs: from the frames that it sees and from the recursion limit.

    Both are fields of the interpreter's thread state. Their places differ between versions, so they are looked for.
    Where they are not found, programs see our frames.
    """

    PROBE = b"seen = remaining.value\n"

    def __init__(self) -> None:
        get_state = ctypes.pythonapi.PyThreadState_Get
        get_state.restype = ctypes.c_void_p
        self._state = int(get_state() or 0)
        self._calls = 0  # that the interpreter counts between us and the program
        self._remaining = self._find_remaining()
        self._place = self._find_place()

    def frame(self) -> Any:
        """The field for the current frame. As long as its value is 0, what is called from C sees no frame above it.

        Any call of a Python function sets it again.
        """
        if self._place is None:
            return ctypes.c_size_t()
        index, offset = self._place
        field = ctypes.c_size_t.from_address(self._state + index)
        return field if offset is None else ctypes.c_size_t.from_address(field.value + offset)

    def forget(self) -> None:
        """Let the next call from C be the first that counts towards the recursion limit."""
        if self._remaining is not None:
            self._remaining.value = sys.getrecursionlimit() + self._calls

    def measure(self) -> None:
        """Find out what the interpreter counts on the way into ``main.py``, which must be PROBE."""
        if self._remaining is not None:
            space: dict[str, Any] = {"remaining": self._remaining, "__builtins__": builtins}
            file = _libc.fopen(SOURCE_NAME.encode(), b"rb")
            self.forget()
            _run_file(file, SOURCE_NAME.encode(), FILE_INPUT, space, space, 1, None)
            self._calls = sys.getrecursionlimit() - 1 - space["seen"]

    def _find_remaining(self) -> ctypes.c_int | None:
        """The field that counts down from the limit; it comes right before the limit."""
        limit = sys.getrecursionlimit()
        fields = (ctypes.c_int * 40).from_address(self._state)
        found = set(range(1, 40))
        try:
            for unusual in (5003, 6007):
                sys.setrecursionlimit(unusual)
                found = {i for i in found if fields[i] == unusual and 0 < unusual - fields[i - 1] < 200}
        finally:
            sys.setrecursionlimit(limit)
        if len(found) != 1:
            return None
        return ctypes.c_int.from_address(self._state + 4 * (found.pop() - 1))

    def _find_place(self) -> tuple[int, int | None] | None:
        """Where the current frame is noted: in the state, or before 3.13 in a record on the stack."""
        size = ctypes.sizeof(ctypes.c_size_t)
        inner = ctypes.c_size_t.from_address(id(sys._getframe()) + 3 * size).value
        words = (ctypes.c_size_t * 24).from_address(self._state)
        with open("/proc/self/maps") as lines:
            stack = next(line.split()[0] for line in lines if line.rstrip().endswith("[stack]"))
        low, high = (int(part, 16) for part in stack.split("-"))
        for index, word in enumerate(words):
            if word == inner:
                return size * index, None
            if low <= word < high - 2 * size:
                for offset in (0, size):
                    if ctypes.c_size_t.from_address(word + offset).value == inner:
                        return size * index, offset
        return None


class Program:
    """One program, from an empty ``__main__`` to the exit status."""

    def __init__(self, depth: Depth, shelf: Shelf, scratch: str, show_last: bool) -> None:
        self.depth, self.shelf, self.show_last = depth, shelf, show_last
        path = os.path.join(scratch, SOURCE_NAME)
        loader = sys.modules["_frozen_importlib_external"].SourceFileLoader("__main__", path)
        self.main = type(sys)("__main__")
        self.main.__dict__.update(
            __loader__=loader, __builtins__=builtins, __annotations__={}, __file__=path, __cached__=None
        )
        sys.modules["__main__"] = self.main

    def run(self) -> int:
        """Run ``main.py`` and tell of an error that ends it; return the exit status, minus the signal for Ctrl-C."""
        space = self.main.__dict__
        frame = self.depth.frame()
        file = _libc.fopen(SOURCE_NAME.encode(), b"rb")
        try:
            if self.show_last:
                run_as_notebook(space)
            else:
                self.depth.forget()
                frame.value = 0
                _run_file(file, SOURCE_NAME.encode(), FILE_INPUT, space, space, 1, None)
        except BaseException as error:
            failure = error
        else:
            self.forget_file()
            return 0
        return self.tell(failure)  # where it is no longer being handled

    def forget_file(self) -> None:
        """Take away what names the file, as the interpreter does."""
        for name in ("__file__", "__cached__"):
            self.main.__dict__.pop(name, None)

    def tell(self, error: BaseException) -> int:
        """Do what the interpreter does about an exception that ends the program; return the exit status."""
        if isinstance(error, SystemExit):
            return exit_status(error)
        if isinstance(error, MemoryError):
            os.write(MARK_FD, b"m")
        trace = error.__traceback__.tb_next if error.__traceback__ else None  # without our own frame
        error.__traceback__ = trace
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
        if sys.version_info >= (3, 12):
            sys.last_exc = error
        frame = self.depth.frame()
        hook = getattr(sys, "excepthook", missing_hook)
        try:
            frame.value = 0
            hook(type(error), error, trace)
        except SystemExit as end:
            return exit_status(end)
        except MemoryError:
            os.write(2, b"MemoryError\n")
        except BaseException as second:
            second.__traceback__ = second.__traceback__.tb_next if second.__traceback__ else None
            tell_of_hook(error, second)
        self.forget_file()
        return -signal.SIGINT if type(error) is KeyboardInterrupt else 1

    def end(self, status: int) -> int:
        """Do what the interpreter does after a program, and return the exit status that comes of it."""
        frame = self.depth.frame()
        if len(threading._active) > 1 or threading._threading_atexits:  # type: ignore[attr-defined]
            try:
                threading._shutdown()  # type: ignore[attr-defined]
            except BaseException as error:
                tell_ignored(error, threading)
        frame.value = 0
        atexit._run_exitfuncs()
        failed = not flush()
        frame.value = 0
        if gc.isenabled():
            put_last(self.main.__dict__)
            gc.collect()
        for name in SPECIAL:
            if name in sys.__dict__:
                setattr(sys, name, None)
        for name in ("stdin", "stdout", "stderr"):
            setattr(sys, name, getattr(sys, f"__{name}__", None))
        sys.modules.pop("__main__", None)
        modules = [weakref.ref(self.main), *(weakref.ref(module) for module in self.shelf.take_others())]
        del self.main
        sys.modules.pop("io", None)  # without which no source lines are shown
        frame.value = 0
        gc.collect()
        for reference in reversed(modules):
            # Threads that nobody waits for would stumble; the interpreter has stopped them by now.
            if (module := reference()) is not None and len(threading._active) == 1:  # type: ignore[attr-defined]
                clear(module)
        for stream in (sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(BaseException):
                stream.flush()  # type: ignore[union-attr]
        return 120 if failed else status


def put_last(container: object) -> None:
    """Let the next collection come to a container after all others, as it does to that of a plain ``__main__``.

    In which order things are freed depends on that.
    """
    _untrack(container)
    _track(container)


def run_as_notebook(space: dict[str, Any]) -> None:
    """Execute, and show the value of a last expression as a notebook does, unless a semicolon ends it."""
    with open(SOURCE_NAME, "rb") as file:
        source = file.read()
    tree = ast.parse(source, SOURCE_NAME)
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(b";"):
        last = ast.Interactive([tree.body.pop()])
        exec(compile(tree, SOURCE_NAME, "exec", dont_inherit=True), space)
        exec(compile(last, SOURCE_NAME, "single", dont_inherit=True), space)
    else:
        exec(compile(tree, SOURCE_NAME, "exec", dont_inherit=True), space)


def exit_status(end: SystemExit) -> int:
    """The exit status of a SystemExit; anything but a number is written to stderr."""
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF if -(1 << 63) <= end.code < 1 << 63 else 0xFF
    for part in (end.code, "\n"):
        with contextlib.suppress(BaseException):
            if sys.stderr is None:
                os.write(2, str(part).encode())
            else:
                sys.stderr.write(str(part))
    return 1


def missing_hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What the interpreter does if there is no sys.excepthook."""
    sys.stderr.write("sys.excepthook is missing\n")
    sys.__excepthook__(kind, error, trace)


def tell_of_hook(error: BaseException, second: BaseException) -> None:
    """Tell of an error in sys.excepthook, and of the one that it should have told of."""
    with contextlib.suppress(BaseException):
        sys.stderr.write("Error in sys.excepthook:\n")
        sys.__excepthook__(type(second), second, second.__traceback__)
        sys.stderr.write("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, error.__traceback__)


def flush() -> bool:
    """Flush both streams; False if one cannot be."""
    fine = True
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        if stream is None or is_closed(stream):
            continue
        try:
            stream.flush()
        except BaseException as error:
            fine = False
            if name == "stdout" and sys.version_info >= (3, 13):
                tell_ignored(error, None, "Exception ignored on flushing sys.stdout")
            elif name == "stdout":
                tell_ignored(error, stream)
    return fine


def is_closed(stream: Any) -> bool:
    """Whether a stream says that it is closed."""
    try:
        return bool(stream.closed)
    except BaseException:
        return False


def _ignored_type() -> Any:
    """The type of what sys.unraisablehook is given. It has no name, so that one has to be caught."""
    caught: list[Any] = []

    class Raises:
        def __del__(self) -> None:
            raise ValueError

    hook, sys.unraisablehook = sys.unraisablehook, lambda ignored: caught.append(type(ignored))
    Raises()
    sys.unraisablehook = hook
    return caught[0]


_Ignored = _ignored_type()


def tell_ignored(error: BaseException, culprit: object, message: str | None = None) -> None:
    """Tell of an error that nobody can catch."""
    trace = error.__traceback__.tb_next if error.__traceback__ else None
    with contextlib.suppress(BaseException):
        sys.unraisablehook(_Ignored((type(error), error, trace, message, culprit)))


def clear(module: Any) -> None:
    """Let go of what is in a module that is still alive: private names first, as the interpreter does."""
    space = module.__dict__
    for private in (True, False):
        for name in list(space):
            if name != "__builtins__" and (not private or (name[:1] == "_" and name[1:2] != "_")):
                space[name] = None
