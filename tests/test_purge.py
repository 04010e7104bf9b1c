"""What is long over is deleted in batches, and between them others write."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from keyturn.audit import trail
from keyturn.auth import login, sessions
from tests.support.api import Api
from tests.support.console import Run
from tests.support.database import listening

PURGES = {
    "sessions": (sessions, "DELETE FROM refresh_tokens"),
    "audit": (trail, "DELETE FROM audit_events"),
}


def called_before(
    app: Flask, statement: str, call: Callable[[], object]
) -> AbstractContextManager[None]:
    """Call this before each statement of this thread that begins so."""
    own_thread = threading.current_thread()

    def hear(sent: str, _: object) -> None:
        if threading.current_thread() is own_thread and sent.startswith(statement):
            call()

    return listening(app, hear)


@pytest.mark.parametrize("command", PURGES)
def test_who_comes_to_log_in_or_refresh_during_a_batch_is_served_before_the_next(
    app: Flask,
    api: Api,
    run: Run,
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    module, statement = PURGES[command]
    monkeypatch.setattr(module, "PURGE_BATCH", 2)
    for left_alone in (login, trail):
        monkeypatch.setattr(left_alone, "PURGED_WITH_A_LOGIN", 0)
    for _ in range(5):
        api.tokens()
    clock.shift(timedelta(days=181))
    served: list[int] = []
    coming: list[Future[int]] = []

    def come() -> int:
        visitor = Api(app.test_client())
        return visitor.refresh(visitor.tokens()["refreshToken"]).status_code

    def pause(_: float) -> None:
        served.append(coming.pop().result(timeout=10))

    monkeypatch.setattr("keyturn.database.time.sleep", pause)
    with (
        ThreadPoolExecutor() as others,
        called_before(app, statement, lambda: coming.append(others.submit(come))),
    ):
        assert run(command, "purge").exit_code == 0
    assert len(served) >= 3
    assert set(served) == {200}
