"""Programs that import: what is preloaded must not show before it is imported, and all of it after."""

# ruff: noqa: E501 - programs as they are run
from __future__ import annotations

# Submodules that a package does not import by itself: using them without importing them is an error.
FORGOTTEN = (
    "xml.etree", "concurrent.futures", "importlib.util", "importlib.machinery", "importlib.abc", "email.mime", "urllib.parse", "urllib.request",
    "logging.handlers", "unittest.mock", "multiprocessing.pool", "collections.abc", "os.path", "json.decoder", "http.client",
    "ctypes.util", "asyncio.tasks", "html.parser", "encodings.idna", "wsgiref.util", "xml.dom.minidom", "curses.ascii", "dbm.dumb",
)  # fmt: skip
USED = (
    "math", "random", "itertools", "functools", "collections", "re", "json", "datetime", "decimal", "fractions", "statistics", "string",
    "heapq", "bisect", "operator", "copy", "typing", "enum", "dataclasses", "textwrap", "struct", "time", "calendar", "cmath", "numbers",
    "array", "queue", "threading", "subprocess", "tempfile", "pathlib", "shutil", "glob", "csv", "hashlib", "base64", "zlib", "pickle",
    "traceback", "warnings", "contextlib", "abc", "inspect", "ast", "types", "weakref", "secrets", "uuid", "difflib", "logging", "ctypes",
    "socket", "select", "signal", "resource", "linecache", "tokenize", "platform", "locale", "sqlite3", "io", "asyncio", "multiprocessing",
)  # fmt: skip
PROGRAMS: dict[str, str] = {
    "modules_grow": "import sys\nbefore = set(sys.modules)\nimport json\nprint(sorted(set(sys.modules) - before))\n",
    "modules_decimal": "import sys\nbefore = set(sys.modules)\nimport decimal\nprint(sorted(set(sys.modules) - before))\n",
    "modules_twice": "import sys, json\na = json\ndel sys.modules['json']\nimport json\nprint(a is json, json.dumps(1))\n",
    "module_none": "import sys\nsys.modules['json'] = None\nimport json\n",
    "module_replaced": "import sys, types\nsys.modules['numpy'] = types.ModuleType('numpy')\nimport numpy\nprint(hasattr(numpy, 'array'))\n",
    "find_spec": "import importlib.util as u, sys\nprint(u.find_spec('json').name, 'json' in sys.modules, u.find_spec('nothing_here'))\n",
    "find_spec_origin": "import importlib.util as u\ns = u.find_spec('json')\nprint(s.origin.rsplit('/', 2)[-2:], s.submodule_search_locations is not None)\n",
    "find_spec_library": "import importlib.util as u\nprint([n for n in ('numpy', 'scipy', 'pandas', 'torch') if u.find_spec(n)])\n",
    "module_spec": "import json\nprint(json.__spec__.name, type(json.__spec__.loader).__name__, json.__loader__ is json.__spec__.loader)\n",
    "import_module": "import importlib\nprint(importlib.import_module('json').dumps([1]))\n",
    "import_relative": "from . import x\n",
    "import_star": "from math import *\nprint(sqrt(4), pi)\n",
    "import_as": "import os.path as p, xml.etree.ElementTree as E\nprint(p.join('a', 'b'), E.fromstring('<a/>').tag)\n",
    "import_submodule_binds": "import xml.etree.ElementTree\nprint(xml.etree.ElementTree.__name__)\n",
    "import_in_function": "def f():\n    import json\n    return json.dumps({})\nprint(f())\n",
    "import_in_thread": "import threading\nt = threading.Thread(target=lambda: print(__import__('decimal').Decimal(1)))\nt.start(); t.join()\n",
    "import_circular": "open('a.py', 'w').write('import b\\nx = 1')\nopen('b.py', 'w').write('import a\\nprint(a.x)')\nimport a\n",
    "import_error_inside": "open('bad.py', 'w').write('1 / 0')\nimport bad\n",
    "import_syntax_inside": "open('bad.py', 'w').write('x = (')\nimport bad\n",
    "import_hook": "import sys\nclass F:\n    def find_spec(s, n, p=None, t=None): print('asked', n)\nsys.meta_path.insert(0, F())\ntry:\n    import nothing_here\nexcept ImportError as e:\n    print(e)\n",
    "optional": "try:\n    import ujson as json\nexcept ImportError:\n    import json\nprint(json.dumps([1]))\n",
    "pkgutil": "import pkgutil\nprint('json' in {m.name for m in pkgutil.iter_modules()})\n",
    "numpy": "import numpy as np\nprint(np.arange(6).reshape(2, 3) @ np.ones((3, 2)))\n",
    "numpy_error": "import numpy as np\nnp.zeros((2, 3)) @ np.zeros((2, 3))\n",
    "numpy_linalg": "import numpy as np\nnp.linalg.inv(np.zeros((2, 2)))\n",
    "numpy_warning": "import numpy as np\nprint(np.array([1.0]) / np.array([0.0]))\n",
    "numpy_overflow": "import numpy as np\nprint(np.int8(127) + np.int8(1))\n",
    "numpy_attribute": "import numpy as np\nnp.arrray([1])\n",
    "numpy_old_alias": "import numpy as np\nnp.float\n",
    "numpy_filters": "import numpy, warnings\nprint([(f[0], f[2].__name__) for f in warnings.filters])\n",
    "numpy_environment": "import os\na = dict(os.environ)\nimport numpy\nprint({k: v for k, v in os.environ.items() if a.get(k) != v})\n",
    "numpy_modules": "import sys, numpy\nprint('sympy' in sys.modules, 'mpmath' in sys.modules, 'pandas' in sys.modules)\n",
    "numpy_submodules": "import numpy\nprint(hasattr(numpy, 'linalg'), hasattr(numpy, 'fft'), hasattr(numpy, 'random'))\n",
    "numpy_threads": "import numpy as np\na = np.ones((300, 300))\nprint((a @ a).sum())\n",
    "numpy_print": "import numpy as np\nnp.set_printoptions(precision=3, suppress=True)\nprint(np.linspace(0, 1, 7), np.pi * np.eye(2))\n",
    "numpy_show": "import numpy as np\nprint(repr(np.array([1, 2])), np.float64(1.5), [np.float64(1.5)])\n",
    "numpy_from": "from numpy.linalg import det\nprint(round(det([[1, 2], [3, 4]]), 6))\n",
    "numpy_pool": "import numpy as np\nfrom multiprocessing import Pool\ndef f(n): return int(np.arange(n).sum())\nif __name__ == '__main__':\n    with Pool(2) as p: print(p.map(f, [3, 4]))\n",
    "sympy": "import sympy\nx = sympy.symbols('x')\nprint(sympy.factor(x**2 - 1), sympy.solve(x**2 - 2))\n",
    "sympy_star": "from sympy import *\nx, y = symbols('x y')\nprint(integrate(sin(x), x), diff(x**y, x))\n",
    "sympy_pretty": "from sympy import *\nx = symbols('x')\npprint(Integral(sqrt(1/x), x))\n",
    "sympy_error": "from sympy import *\nsympify('x +')\n",
    "sympy_attribute": "import sympy\nsympy.solv\n",
    "sympy_filters": "import sympy, warnings\nprint([(f[0], f[2].__name__) for f in warnings.filters])\n",
    "sympy_modules": "import sys, sympy\nprint('numpy' in sys.modules, 'mpmath' in sys.modules)\n",
    "sympy_abc": "from sympy.abc import x\nprint(x + 1)\n",
    "sympy_numpy": "import sympy, numpy as np\nf = sympy.lambdify(sympy.Symbol('x'), sympy.Symbol('x')**2, 'numpy')\nprint(f(np.array([1, 2])))\n",
    "pandas": "import pandas as pd\nprint(pd.DataFrame({'a': [1, 2]}).describe())\n",
    "pandas_error": "import pandas as pd\npd.DataFrame({'a': [1]})['b']\n",
    "networkx": "import networkx as nx\nprint(nx.shortest_path(nx.path_graph(4), 0, 3))\n",
    "networkx_error": "import networkx as nx\nnx.shortest_path(nx.Graph(), 1, 2)\n",
    "matplotlib": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('f.png')\nplt.show()\nprint(open('f.png', 'rb').read(4))\n",
    "matplotlib_forgotten": "import matplotlib\nmatplotlib.pyplot.plot([1])\n",
    "scipy": "import scipy.optimize\nprint(round(scipy.optimize.brentq(lambda x: x * x - 2, 0, 2), 6))\n",
    "sklearn": "import os\na = dict(os.environ)\nimport sklearn\nprint({k for k in os.environ if k not in a})\n",
    "ortools": "from ortools.sat.python import cp_model\n",
    "z3": "import z3\n",
    "regex": "import regex\nprint(regex.findall(r'\\p{Lu}', 'aBcD'))\n",
    "requests": "import requests\n",
    "pip": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-m', 'pip', '--version'], capture_output=True).returncode)\n",
    "pip_install": "import os\nprint(os.system('pip install numpy 2>/dev/null') != 0)\n",
    "random_unseeded": "import random\nprint(0 <= random.random() < 1)\n",
    "random_seeded": "import random\nrandom.seed(5)\nprint(random.random(), random.sample(range(99), 5))\n",
    "numpy_seeded": "import numpy as np\nrng = np.random.default_rng(5)\nprint(rng.random(3))\nnp.random.seed(5)\nprint(np.random.rand(3))\n",
    "urlopen": "import urllib.request\ntry:\n    urllib.request.urlopen('http://127.0.0.1:9', timeout=3)\nexcept Exception as e:\n    print(type(e).__name__)\n",
}  # fmt: skip
for _name in FORGOTTEN:
    PROGRAMS[f"forgotten_{_name}"] = f"import {_name.partition('.')[0]}\n{_name}\nprint('there')\n"
    PROGRAMS[f"remembered_{_name}"] = f"import {_name}\n{_name}\nprint('there')\n"
for _name in USED:
    PROGRAMS[f"forgotten_import_{_name}"] = f"print({_name})\n"
    PROGRAMS[f"import_{_name}"] = (
        f"import {_name}, sys\nprint({_name}.__name__, '{_name}' in sys.modules, len(dir({_name})))\n"
    )
