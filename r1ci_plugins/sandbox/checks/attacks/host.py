"""Targets on the host, one context manager each. Most check that the host itself can reach them."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from r1ci_plugins.sandbox import canary


@contextlib.contextmanager
def host_listener() -> Iterator[dict[str, object]]:
    """A server on the host's loopback that the host itself can reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        yield {"port": port}


@contextlib.contextmanager
def host_abstract_socket() -> Iterator[dict[str, object]]:
    """An abstract socket on the host that the host itself can reach."""
    name = f"r1ci-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(f"\0{name}")
        server.listen()
        client.connect(f"\0{name}")
        yield {"socket": name}


@contextlib.contextmanager
def host_files() -> Iterator[dict[str, object]]:
    """Files of the host that everybody may read there, unless their folder is closed."""
    with canary.sentinels(str(Path.home())) as paths:
        yield {"files": [str(path) for path in paths]}


@contextlib.contextmanager
def host_process() -> Iterator[dict[str, object]]:
    """A process of the host with a secret in its environment; it must live on."""
    secret = secrets.token_hex(16)
    command = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command, env={"R1CI_SECRET": secret}) as process:
        try:
            yield {"host_pid": process.pid, "host_self": os.getpid(), "secret": secret}
            assert process.poll() is None, "the process of the host was ended"
        finally:
            process.kill()
