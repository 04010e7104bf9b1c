"""A real nginx on docs/deploy/nginx.conf, in front of Keyturn and of a service it guards."""

import http.client
import json
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.parts import need
from tests.support.server import ROOT, START_DEADLINE, free_port

CONFIGURATION = ROOT / "docs" / "deploy" / "nginx.conf"
NAME = "api.example.com"

# What Debian has in /etc/nginx/nginx.conf; here everything is in one folder.
MAIN = """
daemon off;
pid {folder}/pid;
{user}
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/keyturn.conf;
}}
"""


@dataclass(frozen=True)
class Seen:
    """A request as it reached the service."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def sent(self, name: str) -> list[str]:
        """The values of a header, however it is spelled where `-` and `_` are one, as in WSGI."""
        wanted = _as_in_wsgi(name)
        return [value for key, value in self.headers if _as_in_wsgi(key) == wanted]


def _as_in_wsgi(name: str) -> str:
    return name.upper().replace("-", "_").replace(".", "_")


class Orders:
    """A service that believes its proxy, and notes what it gets. /orders/closed is its own 401."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.connections: set[object] = set()
        orders = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                orders.seen.append(Seen(self.command, self.path, self.headers.items(), body))
                orders.connections.add(self.client_address)
                self.send_response(401 if self.path == "/orders/closed" else 200)
                self.send_header("Content-Length", "6")
                self.end_headers()
                self.wfile.write(b"orders")

            do_POST = do_GET  # noqa: N815 - its name

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass(frozen=True)
class Reply:
    """What came back through nginx."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Nginx:
    """Runs the documented file, with what it calls yours filled in, and changed where told."""

    def __init__(
        self, folder: Path, *, keyturn: int, orders: int, changed: Mapping[str, str] | None = None
    ) -> None:
        self._program = need("nginx", "nginx-light")
        self._folder = folder
        self.port = free_port()
        _write_certificate(folder)
        self._write_configuration(
            {
                "127.0.0.1:8000": f"127.0.0.1:{keyturn}",
                "127.0.0.1:9000": f"127.0.0.1:{orders}",
                "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
                f"/etc/ssl/{NAME}.pem": f"{folder}/certificate.pem",
                f"/etc/ssl/{NAME}.key": f"{folder}/key.pem",
                **(changed or {}),
            }
        )
        self._context = ssl.create_default_context(cafile=folder / "certificate.pem")
        self._context.check_hostname = False  # it is asked by its address

    def _write_configuration(self, yours: dict[str, str]) -> None:
        text = CONFIGURATION.read_text()
        for documented, here in yours.items():
            assert text.count(documented) == 1, documented
            text = text.replace(documented, here)
        (self._folder / "keyturn.conf").write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""
        (self._folder / "nginx.conf").write_text(MAIN.format(folder=self._folder, user=user))

    def start(self) -> None:
        log = self._folder / "error.log"
        self._process = subprocess.Popen(
            [self._program, "-p", self._folder, "-c", self._folder / "nginx.conf", "-e", log]
        )
        deadline = time.monotonic() + START_DEADLINE
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"nginx did not start:\n{log.read_text()}")
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        try:
            return self.ask("GET", "/").status == 404
        except OSError:
            return False

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=START_DEADLINE)

    def log(self) -> str:
        return (self._folder / "error.log").read_text()

    def send(
        self, method: str, path: str, body: dict[str, str] | None, headers: dict[str, str]
    ) -> Reply:
        """Send one request with JSON, or without a body."""
        if body is None:
            return self.ask(method, path, headers.items())
        headers = {**headers, "Content-Type": "application/json"}
        return self.ask(method, path, headers.items(), json.dumps(body).encode())

    def ask(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        source: str = "127.0.0.1",
    ) -> Reply:
        """Send one request from an address of the loopback interface; a header may come twice."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.port,
            timeout=START_DEADLINE,
            source_address=(source, 0),
            context=self._context,
        )
        try:
            connection.putrequest(method, path, skip_host=True)
            connection.putheader("Host", NAME)
            for name, value in headers:
                connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return Reply(response.status, response.msg, response.read())
        finally:
            connection.close()


def _write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
