"""What bounds Keyturn, by itself: a bare Flask view, plain argon2, SQLite and PyJWT."""

import os
import secrets
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import argon2
import jwt
from flask import Flask, Response, jsonify

BARE = Flask(__name__)

ME = {
    "id": "9f1c1f0e-7a52-4f5c-8a3e-1d2c3b4a5968",
    "name": "Bob",
    "email": "bob@gmail.com",
    "createdAt": "2026-11-24T12:00:00.123456Z",
}


@BARE.get("/users/me")
def me() -> Response:
    """Answer what Keyturn answers, knowing nothing."""
    return jsonify(ME)


def argon2_rate(seconds: float) -> float:
    """Return how many passwords a second argon2-cffi verifies on all cores, at OWASP's cost."""
    hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
    stored = hasher.hash("bobPass")
    return _rate(
        lambda: hasher.verify(stored, "bobPass"), seconds, threads=len(os.sched_getaffinity(0))
    )


def sqlite_rate(seconds: float) -> float:
    """Return how many one-row updates a second SQLite keeps on disk, one after the other."""
    with tempfile.NamedTemporaryFile(suffix=".db") as file:
        database = sqlite3.connect(file.name, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE logins (id INTEGER PRIMARY KEY, generation INTEGER)")
        database.execute("INSERT INTO logins VALUES (1, 0)")

        def step() -> None:
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE logins SET generation = generation + 1 WHERE id = 1")
            database.execute("COMMIT")

        rate = _rate(step, seconds)
        database.close()
        return rate


def jwt_rate(seconds: float) -> float:
    """Return how many access tokens a second PyJWT verifies with HS256 on one core."""
    key = secrets.token_bytes(32)
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": "i", "aud": "a", "sub": "s", "iat": now, "exp": now + 900}
    token = jwt.encode(claims, key, algorithm="HS256")
    return _rate(
        lambda: jwt.decode(token, key, algorithms=["HS256"], audience="a", issuer="i"), seconds
    )


def _rate(step: Callable[[], object], seconds: float, *, threads: int = 1) -> float:
    over = threading.Event()

    def count(_: int) -> int:
        steps = 0
        while not over.is_set():
            step()
            steps += 1
        return steps

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        counts = pool.map(count, range(threads))
        time.sleep(seconds)
        over.set()
    return sum(counts) / (time.perf_counter() - began)
