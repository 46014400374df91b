"""Programs that look at themselves and at the interpreter: frames, depth, source, ``__main__``, environment."""

# ruff: noqa: E501 - programs as they are run
from __future__ import annotations

PROGRAMS: dict[str, str] = {
    "globals": "print(sorted(k for k in globals()))\n",
    "main_values": "print(__name__, __doc__, __package__, __spec__, __cached__, __annotations__)\n",
    "main_builtins": "print(type(__builtins__).__name__)\n",
    "main_loader": "print(type(__loader__).__name__, __loader__.name)\n",
    "main_file": "import os\nprint(os.path.basename(__file__), os.path.isabs(__file__), os.path.exists(__file__))\n",
    "main_folder": "import os\nprint(os.path.dirname(os.path.abspath(__file__)) == os.getcwd())\n",
    "main_path": "import pathlib, os\nprint(pathlib.Path(__file__).parent.samefile(os.getcwd()))\n",
    "main_module": "import __main__\nx = 5\nprint(__main__.x, __main__.__file__ == __file__)\n",
    "main_import_self": "import main\nprint(main.__name__)\n",
    "main_overwritten": "open('main.py', 'w').write('print(9)')\n1 / 0\n",
    "main_removed": "import os\nos.remove('main.py')\n1 / 0\n",
    "main_moved_away": "import os\nos.mkdir('d')\nos.chdir('d')\n1 / 0\n",
    "main_moved_away_warning": "import os, warnings\nos.mkdir('d')\nos.chdir('d')\nwarnings.warn('w')\n",
    "argv": "import sys\nprint(sys.argv)\n",
    "argparse": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--n', type=int, default=3)\nprint(p.parse_args())\n",
    "argparse_error": "import argparse\np = argparse.ArgumentParser()\np.add_argument('n')\np.parse_args()\n",
    "argparse_help": "import argparse\nargparse.ArgumentParser(description='d').print_help()\n",
    "listdir": "import os\nprint(os.listdir('.'))\n",
    "glob": "import glob\nprint(glob.glob('*.py'))\n",
    "cwd": "import os\nprint(os.getcwd() == os.path.expanduser('~') or os.path.dirname(os.getcwd()) != '')\n",
    "read_self": "print(open(__file__).read())\n",
    "read_relative": "print(len(open('main.py').read()))\n",
    "getsource": "import inspect\ndef f(x):\n    # twice\n    return 2 * x\nprint(inspect.getsource(f))\n",
    "getsource_class": "import inspect\nclass A:\n    x = 1\n    def f(self): pass\nprint(inspect.getsource(A))\n",
    "getsource_module": "import inspect, sys\nprint(inspect.getsource(sys.modules['__main__']))\n",
    "getsource_lambda": "import inspect\nf = lambda x: x + 1\nprint(inspect.getsource(f))\n",
    "getsource_exec": "import inspect\nexec('def f(): pass')\ntry:\n    inspect.getsource(f)\nexcept OSError as e:\n    print(e)\n",
    "getsourcefile": "import inspect\ndef f(): pass\nprint(inspect.getsourcefile(f), inspect.getfile(f), inspect.getmodule(f).__name__)\n",
    "getsourcelines": "import inspect\n\n\ndef f():\n    pass\nprint(inspect.getsourcelines(f))\n",
    "signature": "import inspect\ndef f(a, b=2, *c, d, **e) -> int: pass\nprint(inspect.signature(f))\n",
    "linecache": "import linecache\nprint(repr(linecache.getline(__file__, 1)))\n",
    "currentframe": "import inspect\nprint(inspect.currentframe().f_lineno, inspect.currentframe().f_code.co_name)\n",
    "frame_back": "import sys\nprint(sys._getframe().f_back)\n",
    "frame_deep": "import sys\ntry:\n    sys._getframe(1)\nexcept ValueError as e:\n    print(e)\n",
    "frame_function": "import sys\ndef f(): return sys._getframe(1).f_code.co_name\nprint(f())\n",
    "frame_function_deep": "import sys\ndef f():\n    try:\n        return sys._getframe(2)\n    except ValueError as e:\n        return e\nprint(f())\n",
    "frame_globals": "import sys\nprint(sys._getframe().f_globals is globals(), sys._getframe().f_locals is globals())\n",
    "stack_length": "import inspect\ndef f(): return len(inspect.stack())\nprint(len(inspect.stack()), f())\n",
    "stack_context": "import inspect\nprint(inspect.stack()[0].code_context)\n",
    "print_stack": "import traceback\ndef f(): traceback.print_stack()\nf()\n",
    "extract_stack": "import traceback\nprint([(f.name, f.lineno, f.line) for f in traceback.extract_stack()])\n",
    "format_stack": "import traceback\nprint(''.join(traceback.format_stack()))\n",
    "walk_stack": "import traceback\nprint(len(list(traceback.walk_stack(None))))\n",
    "walk_tb": "import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError as e:\n    print(len(list(traceback.walk_tb(e.__traceback__))))\n",
    "tb_frames": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    print(e.__traceback__.tb_frame.f_back, e.__traceback__.tb_next, e.__traceback__.tb_lineno)\n",
    "handler_frame": "import signal\nsignal.signal(signal.SIGUSR1, lambda s, f: print(f.f_code.co_name, f.f_back))\nsignal.raise_signal(signal.SIGUSR1)\n",
    "settrace": "import sys\nn = []\nsys.settrace(lambda f, e, a: n.append(f.f_code.co_name))\ndef g(): pass\ng()\nsys.settrace(None)\nprint(n)\n",
    "setprofile": "import sys\nn = []\nsys.setprofile(lambda f, e, a: n.append((f.f_code.co_name, e)))\ndef g(): pass\ng()\nsys.setprofile(None)\nprint(n[:4])\n",
    "cprofile": "import cProfile\np = cProfile.Profile()\np.runcall(sum, [1, 2])\nprint(len(p.getstats()) > 0)\n",
    "timeit": "import timeit\nprint(timeit.timeit('1 + 1', number=10) < 1)\n",
    "tracemalloc": "import tracemalloc\ntracemalloc.start()\nx = [0] * 1000\nprint(tracemalloc.get_traced_memory()[0] > 0)\n",
    "faulthandler": "import faulthandler\nfaulthandler.dump_traceback()\n",
    "faulthandler_enabled": "import faulthandler\nprint(faulthandler.is_enabled())\n",
    "dis": "import dis\ndef f(x): return x + 1\ndis.dis(f)\n",
    "doctest": "def f(x):\n    '''\n    >>> f(1)\n    2\n    '''\n    return x + 1\nimport doctest\nprint(doctest.testmod())\n",
    "doctest_fails": "def f(x):\n    '''\n    >>> f(1)\n    3\n    '''\n    return x + 1\nimport doctest\ndoctest.testmod()\n",
    "unittest": "import unittest, sys\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(1, 1)\nr = unittest.main(exit=False, argv=['x'], testRunner=unittest.TextTestRunner(stream=open('log', 'w')))\nprint(r.result.wasSuccessful())\n",
    "unittest_suite": "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(1, 2)\nr = unittest.TestResult()\nunittest.defaultTestLoader.loadTestsFromTestCase(T).run(r)\nprint(len(r.failures), r.failures[0][1])\n",
    "help": "def f(a, b=2):\n    'Adds.'\nhelp(f)\n",
    "help_class": "class A:\n    'Doc.'\n    def f(self): 'Does.'\nhelp(A)\n",
    "help_builtin": "help(len)\n",
    "help_string": "help('zip')\n",
    "dir": "x = 1\nprint([n for n in dir() if not n.startswith('__')])\n",
    "vars": "x = 1\nprint(vars()['x'], locals() is globals())\n",
    "ast": "import ast\nprint(ast.dump(ast.parse(open(__file__).read()))[:60])\n",
    "runpy": "import runpy, sys\nif __name__ == '__main__':\n    print(sorted(k for k in runpy.run_path(__file__, run_name='again') if not k.startswith('_')))\n",
    "exec_self": "import os\nif not os.environ.get('AGAIN'):\n    os.environ['AGAIN'] = '1'\n    exec(open(__file__).read())\nprint('x')\n",
    "importlib_self": "import importlib.util\ns = importlib.util.spec_from_file_location('me', __file__)\nm = importlib.util.module_from_spec(s)\nif __name__ == '__main__':\n    s.loader.exec_module(m)\nprint(__name__)\n",
    "reload": "open('m.py', 'w').write('x = 1')\nimport m, importlib\nopen('m.py', 'w').write('xx = 22')\nprint(importlib.reload(m).xx)\n",
    "module_beside": "open('m.py', 'w').write('def f(): return 1 / 0')\nimport m\nm.f()\n",
    "package_beside": "import os\nos.mkdir('p')\nopen('p/__init__.py', 'w').write('from .q import v')\nopen('p/q.py', 'w').write('v = 3')\nimport p\nprint(p.v)\n",
    "shadowing": "open('random.py', 'w').write('x = 1')\nimport random\nprint(random.x)\n",
    "path_first": "import sys, os\nprint(os.path.realpath(sys.path[0]) == os.path.realpath(os.getcwd()))\n",
    "path_length": "import sys\nprint([p.rsplit('/', 1)[-1] for p in sys.path[1:5]])\n",
    "flags": "import sys\nprint(sys.flags)\n",
    "executable": "import sys\nprint(sys.executable)\n",
    "prefix": "import sys\nprint(sys.prefix, sys.base_prefix, sys.exec_prefix)\n",
    "version": "import sys, platform\nprint(sys.version_info[:3], platform.python_implementation())\n",
    "site": "import site\nprint([p.rsplit('/', 3)[-3:] for p in site.getsitepackages()])\n",
    "sysconfig": "import sysconfig\nprint(sysconfig.get_paths()['purelib'])\n",
    "recursion_limit": "import sys\nprint(sys.getrecursionlimit())\n",
    "digits_limit": "import sys\nprint(sys.get_int_max_str_digits())\n",
    "switch_interval": "import sys\nprint(sys.getswitchinterval())\n",
    "warn_options": "import sys, warnings\nprint(sys.warnoptions, [(f[0], f[2].__name__) for f in warnings.filters])\n",
    "hooks": "import sys\nprint(sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__, sys.gettrace(), sys.getprofile())\n",
    "last_error": "import sys\nprint(hasattr(sys, 'last_type'), hasattr(sys, 'ps1'))\n",
    "interactive": "import sys\nprint(bool(getattr(sys, 'ps1', sys.flags.interactive)))\n",
    "loaded_modules": "import sys\nprint(sorted(m for m in sys.modules if not m.startswith('_') and m not in ('zipimport', 'time')))\n",
    "module_count": "import sys\nprint('json' in sys.modules, 'numpy' in sys.modules, 'threading' in sys.modules, 'ctypes' in sys.modules)\n",
    "threads": "import threading\nprint(threading.active_count(), threading.current_thread().name, threading.main_thread() is threading.current_thread())\n",
    "thread_id": "import threading, os\nprint(threading.get_native_id() == os.getpid())\n",
    "environment": "import os\nprint(sorted(os.environ))\n",
    "environment_fixed": "import os\nprint({k: v for k, v in os.environ.items() if k not in ('HOME', 'TMPDIR')})\n",
    "environment_child": "import subprocess\nprint(sorted(l.split('=')[0] for l in subprocess.check_output(['env'], text=True).splitlines()))\n",
    "environment_set": "import os, subprocess\nos.environ['X'] = '1'\nprint(subprocess.check_output('echo $X', shell=True, text=True))\n",
    "home": "import os\nprint(os.path.expanduser('~') == os.environ['HOME'])\n",
    "tempdir": "import tempfile, os\nprint(os.access(tempfile.gettempdir(), os.W_OK))\n",
    "locale": "import locale\nprint(locale.getlocale(), locale.getpreferredencoding())\n",
    "time_zone": "import time, datetime\nprint(time.tzname, datetime.datetime.fromtimestamp(0))\n",
    "umask": "import os\nopen('f', 'w')\nprint(oct(os.stat('f').st_mode & 0o600))\n",
    "signals": "import signal\nprint([signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD)])\n",
    "signal_mask": "import signal\nprint(signal.pthread_sigmask(signal.SIG_BLOCK, []))\n",
    "descriptors": "import os\nf = open('x', 'w')\nprint(f.fileno())\n",
    "hash": "print(hash('a') == hash('a'), {1, 2, 3}, set('ab') == set('ba'))\n",
    "hash_order": "print({'b', 'a', 'c', 'd', 'e'})\n",
    "id_reuse": "print(id(1) == id(1))\n",
    "refcount": "import sys\nx = []\nprint(sys.getrefcount(x))\n",
    "intern": "import sys\nprint(sys.intern('a b') is sys.intern('a b'))\n",
    "gc_garbage": "import gc\nprint(gc.garbage, gc.callbacks)\n",
    "audit": "import sys\nn = []\nsys.addaudithook(lambda e, a: n.append(e) if e == 'mine' else None)\nsys.audit('mine')\nprint(n)\n",
    "builtins_replaced": "import builtins\nbuiltins.print = lambda *a: None\nprint('x')\n",
    "import_function": "print(__import__ is __builtins__.__import__, __import__.__name__)\n",
    "open_replaced": "import builtins\nbuiltins.open = None\n1 / 0\n",
    "pydoc": "import pydoc\nprint(pydoc.render_doc(len, renderer=pydoc.plaintext)[:40])\n",
    "trace_module": "import trace\nt = trace.Trace(count=1, trace=0)\nt.runfunc(lambda: 1)\nprint('ok')\n",
    "code_object": "def f(): pass\nprint(f.__code__.co_filename.endswith('main.py'), f.__code__.co_firstlineno, f.__qualname__, f.__module__)\n",
    "class_module": "class A: pass\nprint(A, A.__module__, A())\n",
    "dataclass_repr": "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nprint(P(1))\n",
    "type_hints": "import typing\nclass A: pass\ndef f(x: 'A') -> 'list[A]': pass\nprint(typing.get_type_hints(f))\n",
    "named_tuple": "from collections import namedtuple\nP = namedtuple('P', 'x y')\nprint(P.__module__, P(1, 2))\n",
    "enum": "from enum import Enum\nclass C(Enum):\n    A = 1\nprint(C.A, repr(C.A), C.__module__)\n",
    "pickle": "import pickle\nclass A:\n    x = 1\nprint(pickle.loads(pickle.dumps(A())).x, b'__main__' in pickle.dumps(A()))\n",
    "copyreg": "import copy\nclass A: pass\nprint(type(copy.deepcopy(A())).__name__)\n",
    "stack_limit": "import resource\nprint(resource.getrlimit(resource.RLIMIT_CORE)[0])\n",
    "contextvars": "import contextvars\nprint(len(contextvars.copy_context()))\n",
}
for _depth in (*range(960, 1001, 10), *range(990, 1003)):
    PROGRAMS[f"depth_{_depth}"] = f"def f(n): return 0 if n == 0 else 1 + f(n - 1)\nprint(f({_depth}))\n"
for _depth in (320, 330, 331, 332, 333, 334, 340):
    PROGRAMS[f"depth_comprehension_{_depth}"] = (
        f"def f(n): return [f(n - 1) for _ in (1,)] if n else 0\nx = f({_depth})\nprint('fine')\n"
    )
for _depth in (490, 495, 497, 498, 499, 500, 505):
    PROGRAMS[f"depth_sorted_{_depth}"] = (
        f"def f(n): return sorted([0], key=lambda _: f(n - 1)) if n else 0\nx = f({_depth})\nprint('fine')\n"
    )
for _depth in (900, 994, 995, 996, 997, 998):
    PROGRAMS[f"depth_method_{_depth}"] = (
        f"class A:\n    def f(s, n): return n and s.f(n - 1)\nprint(A().f({_depth}))\n"
    )
for _depth in (900, 990, 994, 996, 998):
    PROGRAMS[f"depth_thread_{_depth}"] = (
        f"import threading\ndef f(n): return n and f(n - 1)\nt = threading.Thread(target=lambda: print(f({_depth})))\nt.start(); t.join()\n"
    )
    PROGRAMS[f"depth_memo_{_depth}"] = (
        f"from functools import lru_cache\n@lru_cache(None)\ndef f(n): return n and f(n - 1) + 1\nprint(f({_depth} // 2))\nprint(f({_depth}))\n"
    )
for _limit in (50, 100, 3000):
    PROGRAMS[f"limit_{_limit}"] = (
        f"import sys\nsys.setrecursionlimit({_limit})\ndef f(n):\n    try:\n        return f(n + 1)\n    except RecursionError:\n        return n\nprint(f(0), sys.getrecursionlimit())\n"
    )
