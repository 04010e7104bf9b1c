"""How gunicorn serves Keyturn. `gunicorn wsgi:app` in this folder reads it by itself."""

import ctypes
import gc
import json
import os
import shutil
import socket
import struct
import sys
import tempfile
from contextlib import suppress
from http import HTTPStatus

from dotenv import load_dotenv
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers import gthread

from keyturn.config import Settings
from keyturn.database import db
from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.ops.connections import Connection, Response
from keyturn.ops.serving import Worker
from keyturn.services import EXTENSION, services

load_dotenv()
try:
    settings = Settings.load(os.environ)
except ConfigurationError as error:
    sys.exit(f"keyturn cannot start: {error}")

bind = [f"{settings.host}:{settings.port}"]

# Threads, because argon2 releases the GIL: while one hashes, the others answer.
worker_class = "keyturn.ops.serving.Worker"
workers = settings.workers
threads = settings.threads
if settings.database_url.get_backend_name() != "sqlite":
    Worker.at_once = settings.threads  # who asks over a network waits more than it runs

# Loaded once and shared by the workers' memory; a fault in the settings stops the start, not a
# worker. Deploy new code with a new master (SIGUSR2) or a new container, not with SIGHUP.
preload_app = True

timeout = 30  # a worker whose main loop is silent for so long is replaced
graceful_timeout = 30  # what a stopping worker gives the requests it has begun
keepalive = 75  # longer than a reverse proxy keeps its side (nginx: 60), so the proxy closes first

# Nothing forwarded is believed here; TRUSTED_PROXIES says how many hops the application believes.
forwarded_allow_ips = ""
logger_class = "keyturn.ops.serving.Logger"

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads it as it is imported
if settings.metrics_port:
    bind.append(f"{settings.metrics_host}:{settings.metrics_port}")
    if METRICS_FOLDER not in os.environ:  # SIGHUP reads this file again
        os.environ[METRICS_FOLDER] = tempfile.mkdtemp(prefix="keyturn-metrics-")

control_socket_disable = True  # several instances would share one default path

SLOW_CLIENT = 10  # seconds without a byte, within a request


def on_starting(server):
    """Begin with signing keys that can be used: the first one is made here."""
    app = server.app.wsgi()  # preloaded; whoever wraps Keyturn wraps its `wsgi_app`
    with app.app_context():
        try:
            fault = services().current_signer().fault
        except UnavailableError as error:  # before its migrations; /readyz waits for them
            server.log.warning("signing keys: %s", error.__cause__)
            fault = None
        db.engine.dispose()  # no connection crosses a fork
    if fault is not None:
        sys.exit(f"keyturn cannot start: {fault}")


def when_ready(_server):
    """Let the garbage collector leave alone what is loaded by now, and all workers share.

    It would copy that memory by looking at it, most of all when a worker is to stop at once. What
    loading has left over goes back to the system, where the C library can give it: glibc.
    """
    gc.collect()
    gc.freeze()
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def post_fork(_server, worker):
    """Give up on a client that stalls in its headers or body: gthread's `timeout` does not."""
    for listener in worker.sockets:
        listener.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SLOW_CLIENT, 0)
        )


def post_worker_init(worker):
    """Let the worker begin another request while one waits for its hash."""
    worker.wsgi.extensions[EXTENSION].passwords.queue.on_wait = worker.let_others


def child_exit(_server, worker):
    """Forget what was going on in a worker; what it counted as done stays."""
    worker.forget()
    if settings.metrics_port:
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - see above

        mark_process_dead(worker.pid)


def pre_exec(server):
    """Let the master that takes over count for itself, from zero."""
    server.cfg.env_orig.pop(METRICS_FOLDER, None)


def on_exit(_server):
    """Take the metrics' folder away."""
    if settings.metrics_port:
        shutil.rmtree(os.environ[METRICS_FOLDER], ignore_errors=True)


def write_problem(sock, status, _reason, _message):
    """Answer what gunicorn itself refuses in the one shape of all errors (RFC 9457).

    Its message is left out: it repeats the client's bytes. Its reason is not always the status's.
    """
    reason = HTTPStatus(status).phrase
    code = reason.lower().replace(" ", "_").replace("-", "_")
    document = {
        "type": f"urn:keyturn:problem:{code}",
        "title": reason,
        "status": status,
        "detail": "The request is not valid HTTP, or larger than allowed.",
        "code": code,
    }
    body = json.dumps(document).encode("ascii")
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nCache-Control: no-store\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode("ascii") + body)


util.write_error = write_problem
util.close_graceful = util.close  # in the main loop; the worker's threads have seen clients off
wsgi.Response = Response
gthread.TConn = Connection
