"""Programs with several processes or threads, and those that start Python again."""

# ruff: noqa: E501 - programs as they are run
from __future__ import annotations

_SQUARE = "def f(x): return x * x\nif __name__ == '__main__':\n"
PROGRAMS: dict[str, str] = {
    "pool": "from multiprocessing import Pool\n" + _SQUARE + "    with Pool(2) as p: print(p.map(f, range(5)))\n",
    "pool_default": "from multiprocessing import Pool\n"
    + _SQUARE
    + "    with Pool() as p: print(sum(p.imap_unordered(f, range(5))))\n",
    "pool_64": "from multiprocessing import Pool\n"
    + _SQUARE
    + "    with Pool(64) as p: print(sum(p.map(f, range(99))))\n",
    "pool_spawn": "import multiprocessing as m\n"
    + _SQUARE
    + "    with m.get_context('spawn').Pool(1) as p: print(p.map(f, range(3)))\n",
    "pool_forkserver": "import multiprocessing as m\n"
    + _SQUARE
    + "    with m.get_context('forkserver').Pool(1) as p: print(p.map(f, range(3)))\n",
    "pool_error": "from multiprocessing import Pool\ndef f(x): return 1 // x\nif __name__ == '__main__':\n    with Pool(2) as p:\n        try:\n            p.map(f, [0])\n        except ZeroDivisionError as e:\n            print(e)\n",
    "pool_lambda": "from multiprocessing import Pool\nif __name__ == '__main__':\n    with Pool(1) as p:\n        try:\n            p.map(lambda x: x, [1])\n        except Exception as e:\n            print(type(e).__name__)\n",
    "pool_starmap": "from multiprocessing import Pool\nif __name__ == '__main__':\n    with Pool(2) as p: print(p.starmap(pow, [(2, 3), (3, 2)]))\n",
    "pool_threads": "from multiprocessing.pool import ThreadPool\nwith ThreadPool(4) as p: print(p.map(abs, [-1, 2]))\n",
    "pool_initializer": "from multiprocessing import Pool\ndef i(v):\n    global w\n    w = v\ndef f(x): return x + w\nif __name__ == '__main__':\n    with Pool(2, i, (10,)) as p: print(p.map(f, range(3)))\n",
    "start_method": "import multiprocessing as m\nprint(m.get_start_method())\n",
    "set_start_method": "import multiprocessing as m\n"
    + _SQUARE
    + "    m.set_start_method('spawn')\n    p = m.Process(target=print, args=('child',))\n    p.start(); p.join()\n    print(p.exitcode)\n",
    "forkserver_default": "import multiprocessing as m\n"
    + _SQUARE
    + "    m.set_start_method('forkserver')\n    with m.Pool(2) as p: print(p.map(f, range(4)))\n",
    "forkserver_executor": "import multiprocessing as m\nfrom concurrent.futures import ProcessPoolExecutor\n"
    + _SQUARE
    + "    m.set_start_method('forkserver')\n    with ProcessPoolExecutor(2) as e: print(list(e.map(f, range(4))))\n",
    "spawn_without_guard": "import multiprocessing as m\nm.set_start_method('spawn')\nprint('main', __name__)\n",
    "process": "from multiprocessing import Process\ndef f(): print('child', flush=True)\nif __name__ == '__main__':\n    p = Process(target=f); p.start(); p.join(); print(p.exitcode)\n",
    "process_error": "from multiprocessing import Process\ndef f(): 1 / 0\nif __name__ == '__main__':\n    p = Process(target=f, name='w'); p.start(); p.join(); print(p.exitcode)\n",
    "process_exit": "from multiprocessing import Process\nimport sys\nif __name__ == '__main__':\n    p = Process(target=sys.exit, args=(4,)); p.start(); p.join(); print(p.exitcode)\n",
    "process_terminate": "from multiprocessing import Process\nimport time\nif __name__ == '__main__':\n    p = Process(target=time.sleep, args=(9,)); p.start(); p.terminate(); p.join(); print(p.exitcode)\n",
    "process_daemon": "from multiprocessing import Process\nimport time\nif __name__ == '__main__':\n    Process(target=time.sleep, args=(9,), daemon=True).start()\n    print('end')\n",
    "process_waited_for": "from multiprocessing import Process\nimport time\ndef f():\n    time.sleep(0.1)\n    print('child', flush=True)\nif __name__ == '__main__':\n    Process(target=f).start()\n    print('end', flush=True)\n",
    "queue": "from multiprocessing import Process, Queue\ndef f(q): q.put([1, 2])\nif __name__ == '__main__':\n    q = Queue(); p = Process(target=f, args=(q,)); p.start(); print(q.get()); p.join()\n",
    "pipe": "from multiprocessing import Process, Pipe\ndef f(c): c.send('hi'); c.close()\nif __name__ == '__main__':\n    a, b = Pipe(); p = Process(target=f, args=(b,)); p.start(); print(a.recv()); p.join()\n",
    "lock": "from multiprocessing import Process, Lock, Value\ndef f(l, v):\n    for _ in range(100):\n        with l: v.value += 1\nif __name__ == '__main__':\n    l, v = Lock(), Value('i', 0)\n    ps = [Process(target=f, args=(l, v)) for _ in range(3)]\n    [p.start() for p in ps]; [p.join() for p in ps]\n    print(v.value)\n",
    "semaphore": "from multiprocessing import Semaphore, Event, Barrier, Condition\ns = Semaphore(2); s.acquire(); print(s.acquire(False), s.acquire(False), Event().is_set())\n",
    "array": "from multiprocessing import Array, Process\ndef f(a): a[0] = 7\nif __name__ == '__main__':\n    a = Array('i', 3); p = Process(target=f, args=(a,)); p.start(); p.join(); print(a[:])\n",
    "manager": "from multiprocessing import Manager\nif __name__ == '__main__':\n    with Manager() as m:\n        d = m.dict(); d['a'] = 1; print(dict(d))\n",
    "shared_memory": "from multiprocessing import shared_memory\ns = shared_memory.SharedMemory(create=True, size=16)\ns.buf[0] = 5\nprint(s.buf[0])\ns.close(); s.unlink()\n",
    "executor": "from concurrent.futures import ProcessPoolExecutor\n"
    + _SQUARE
    + "    with ProcessPoolExecutor(2) as e: print(list(e.map(f, range(4))))\n",
    "executor_80": "from concurrent.futures import ProcessPoolExecutor\n"
    + _SQUARE
    + "    with ProcessPoolExecutor(80) as e: print(sum(e.map(f, range(100))))\n",
    "executor_spawn": "import multiprocessing as m\nfrom concurrent.futures import ProcessPoolExecutor\n"
    + _SQUARE
    + "    with ProcessPoolExecutor(1, mp_context=m.get_context('spawn')) as e: print(list(e.map(f, range(3))))\n",
    "executor_error": "from concurrent.futures import ProcessPoolExecutor\ndef f(x): raise ValueError(x)\nif __name__ == '__main__':\n    with ProcessPoolExecutor(1) as e:\n        try:\n            e.submit(f, 3).result()\n        except ValueError as x:\n            print(x)\n",
    "executor_broken": "import os\nfrom concurrent.futures import ProcessPoolExecutor\nif __name__ == '__main__':\n    with ProcessPoolExecutor(1) as e:\n        try:\n            e.submit(os._exit, 1).result()\n        except Exception as x:\n            print(type(x).__name__)\n",
    "threads": "import threading\nr = []\nts = [threading.Thread(target=r.append, args=(i,)) for i in range(10)]\n[t.start() for t in ts]; [t.join() for t in ts]\nprint(sorted(r))\n",
    "threads_64": "import threading, time\nts = [threading.Thread(target=time.sleep, args=(0.1,)) for _ in range(64)]\n[t.start() for t in ts]; [t.join() for t in ts]\nprint('ok')\n",
    "threads_200": "import threading, time\nts = [threading.Thread(target=time.sleep, args=(0.1,)) for _ in range(200)]\n[t.start() for t in ts]; [t.join() for t in ts]\nprint('ok')\n",
    "thread_executor": "from concurrent.futures import ThreadPoolExecutor, as_completed\nwith ThreadPoolExecutor(8) as e:\n    print(sorted(f.result() for f in as_completed([e.submit(pow, 2, i) for i in range(8)])))\n",
    "thread_names": "import threading\nt = threading.Thread(target=lambda: print(threading.current_thread().name))\nt.start(); t.join()\n",
    "thread_local": "import threading\nl = threading.local()\nl.x = 1\nt = threading.Thread(target=lambda: print(hasattr(l, 'x')))\nt.start(); t.join()\n",
    "thread_stack": "import threading\nthreading.stack_size(64 << 20)\ndef f(n): return n and f(n - 1)\nimport sys\nsys.setrecursionlimit(50000)\nt = threading.Thread(target=lambda: print(f(20000)))\nt.start(); t.join()\n",
    "queue_threads": "import queue, threading\nq = queue.Queue()\nthreading.Thread(target=lambda: [q.put(i) for i in range(3)]).start()\nprint([q.get() for _ in range(3)])\n",
    "fork": "import os\nr, w = os.pipe()\nif os.fork() == 0:\n    os.write(w, b'child')\n    os._exit(0)\nos.wait()\nprint(os.read(r, 9))\n",
    "fork_pid": "import os\nprint(os.getpid() != os.getppid())\n",
    "waitpid": "import os\np = os.fork()\nif p == 0: os._exit(7)\nprint(os.waitpid(p, 0)[1] >> 8)\n",
    "system": "import os\nprint(os.system('exit 3') >> 8)\n",
    "popen": "import os\nprint(os.popen('echo hi').read())\n",
    "shell": "import subprocess\nprint(subprocess.check_output('echo hi | tr a-z A-Z', shell=True, text=True))\n",
    "shell_input": "import subprocess\nprint(subprocess.run(['cat'], input='text', capture_output=True, text=True).stdout)\n",
    "shell_stdin": "import subprocess\nprint(subprocess.run(['cat'], capture_output=True, text=True))\n",
    "shell_signal": "import subprocess\nprint(subprocess.run('kill -9 $$', shell=True).returncode)\n",
    "python_again": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(5)'], capture_output=True, text=True))\n",
    "python_again_library": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'import numpy; print(numpy.arange(3))'], capture_output=True, text=True).stdout)\n",
    "python_again_path": "import subprocess, sys\nc = 'import sys; print(sys.prefix, sys.path[1:3])'\nprint(subprocess.run([sys.executable, '-c', c], capture_output=True, text=True).stdout)\n",
    "python_again_file": "import subprocess, sys\nopen('s.py', 'w').write('import sys; print(sys.argv)')\nprint(subprocess.run([sys.executable, 's.py', 'a'], capture_output=True, text=True).stdout)\n",
    "python_again_error": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', '1/0'], capture_output=True, text=True).stderr)\n",
    "python_again_module": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-m', 'json.tool'], input='{}', capture_output=True, text=True).stdout)\n",
    "python_flags": "import subprocess\nprint(subprocess._args_from_interpreter_flags())\n",
    "rerun_self": "import subprocess, sys, os\nif os.environ.get('C'): print('child')\nelse: print(subprocess.run([sys.executable, __file__], env={**os.environ, 'C': '1'}, capture_output=True, text=True).stdout)\n",
    "exec_self": "import os, sys\nif len(sys.argv) > 1: print('second')\nelse:\n    sys.stdout.flush()\n    os.execv(sys.executable, [sys.executable, *sys.argv, 'x'])\n",
    "exec_other": "import os\nos.execvp('echo', ['echo', 'replaced'])\n",
    "posix_spawn": "import os\nprint(os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)[1]))\n",
    "asyncio": "import asyncio\nasync def f(i):\n    await asyncio.sleep(0.01 * i)\n    return i\nasync def main(): print(await asyncio.gather(*map(f, range(3))))\nasyncio.run(main())\n",
    "asyncio_subprocess": "import asyncio\nasync def main():\n    p = await asyncio.create_subprocess_exec('echo', 'hi', stdout=asyncio.subprocess.PIPE)\n    print((await p.communicate())[0])\nasyncio.run(main())\n",
    "asyncio_executor": "import asyncio\nasync def main(): print(await asyncio.to_thread(sum, [1, 2]))\nasyncio.run(main())\n",
    "asyncio_timeout": "import asyncio\nasync def main():\n    try:\n        async with asyncio.timeout(0.01): await asyncio.sleep(1)\n    except TimeoutError: print('late')\nasyncio.run(main())\n",
    "asyncio_server": "import asyncio\nasync def h(r, w): w.write(await r.readline()); w.close()\nasync def main():\n    s = await asyncio.start_server(h, '127.0.0.1', 0)\n    r, w = await asyncio.open_connection(*s.sockets[0].getsockname())\n    w.write(b'echo\\n'); print(await r.readline()); s.close()\nasyncio.run(main())\n",
    "socket_pair": "import socket\na, b = socket.socketpair()\na.send(b'x')\nprint(b.recv(1))\n",
    "stack_resource": "import resource, sys\nresource.setrlimit(resource.RLIMIT_STACK, (resource.getrlimit(resource.RLIMIT_STACK)[1],) * 2)\nsys.setrecursionlimit(10**6)\nprint('ok')\n",
    "files_200": "f = [open(f'f{i}', 'w') for i in range(400)]\nprint(len(f))\n",
    "cpu_count": "import os\nprint(os.cpu_count() == len(os.sched_getaffinity(0)))\n",
    "joblib": "from joblib import Parallel, delayed\nprint(Parallel(n_jobs=2)(delayed(abs)(-i) for i in range(4)))\n",
    "nice": "import os\nprint(os.nice(0) >= 0)\n",
    "daemon_leftover": "import subprocess\nsubprocess.Popen(['sleep', '0.01'])\nprint('end')\n",
}
