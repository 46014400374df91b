"""A real HTTP server on 127.0.0.1 that speaks the OpenAI protocol, and breaks it in every way that servers do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler", dict[str, Any]], None]


def say(text: str | None, *, finish: str = "stop", prompt_tokens: int = 100, completion_tokens: int = 50) -> Behaviour:
    """An ordinary completion."""

    def behave(handler: Handler, request: dict[str, Any]) -> None:
        message = {"role": "assistant", "content": text}
        usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }
        choice = {"index": 0, "message": message, "finish_reason": finish}
        handler.give_json(
            {"id": "1", "object": "chat.completion", "created": 1, "model": request["model"], "choices": [choice]}
            | {"usage": usage}
        )

    return behave


def status(code: int, **headers: str) -> Behaviour:
    """An error status."""
    return lambda handler, request: handler.give_json({"error": {"message": f"status {code}"}}, code, headers)


def raw(body: str, content_type: str = "application/json") -> Behaviour:
    """Status 200 and whatever body."""
    return lambda handler, request: handler.give(body.encode(), 200, {"Content-Type": content_type})


def hang(seconds: float) -> Behaviour:
    """No reply for a while, then a closed connection."""
    return lambda handler, request: time.sleep(seconds)


def cut_off(handler: Handler, request: dict[str, Any]) -> None:
    """Half of the promised body, then a closed connection."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "1", "choices": [{"message": {"content": "<<<4')
    handler.wfile.flush()


def close(handler: Handler, request: dict[str, Any]) -> None:
    """A connection closed without a word."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(request)
            behaviour = self.server.next_behaviour(request)
        with suppress(BrokenPipeError, ConnectionResetError):
            behaviour(self, request)
        self.close_connection = True

    def give_json(self, values: Any, code: int = 200, headers: dict[str, str] | None = None) -> None:
        self.give(json.dumps(values).encode(), code, {"Content-Type": "application/json", **(headers or {})})

    def give(self, body: bytes, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Plays behaviours in turn, the last one for ever; or asks a function for each request's behaviour."""

    daemon_threads = True

    def __init__(self, *behaviours: Behaviour, choose: Callable[[dict[str, Any]], Behaviour] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviours, self.choose = list(behaviours), choose
        self.requests: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next_behaviour(self, request: dict[str, Any]) -> Behaviour:
        if self.choose is not None:
            return self.choose(request)
        return self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]


@contextmanager
def serving(*behaviours: Behaviour, choose: Callable[[dict[str, Any]], Behaviour] | None = None) -> Iterator[Server]:
    """A server that runs for the length of a with block."""
    server = Server(*behaviours, choose=choose)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
