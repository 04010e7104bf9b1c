"""A web server on the loopback interface that answers what a test says, and notes who asked."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What the server answers: a document as JSON, or bytes; with a pause after each byte."""

    content: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0

    @property
    def body(self) -> bytes:
        return (
            self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()
        )


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    path: str
    headers: dict[str, str]


class WebServer:
    """Answers every GET with `reply`, a `Reply` or a function of the request that returns one."""

    def __init__(self) -> None:
        self.reply: Reply | Callable[[Asked], Reply] = Reply(status=404)
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        self._thread.start()

    def close(self) -> None:
        """Stop: whoever asks from now on is refused the connection."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        return self.reply(asked) if callable(self.reply) else self.reply

    def _handler(server: "WebServer") -> type[BaseHTTPRequestHandler]:  # noqa: N805 - two selves
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                reply = server.answer(Asked(self.path, dict(self.headers)))
                self.send_response(reply.status)
                for name, value in {"Content-Length": len(reply.body), **reply.headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.send_body(reply)

            def send_body(self, reply: Reply) -> None:
                if not reply.pause:
                    self.wfile.write(reply.body)
                    return
                with suppress(OSError):  # nobody waits that long
                    for octet in reply.body:
                        self.wfile.write(bytes([octet]))
                        time.sleep(reply.pause)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler
