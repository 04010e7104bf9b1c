"""Attempts are claimed before they are made: of N at once, in any number of processes, N count."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from math import ceil
from typing import Any, cast

from sqlalchemy import Table, bindparam, case, delete, select, update
from sqlalchemy.orm import Session

from keyturn.database import by_dialect, retried, transaction
from keyturn.errors import BusyError, TooManyAttemptsError
from keyturn.single import Over, look_up, look_up_all, run, writing
from keyturn.throttle.budgets import Claim, microseconds
from keyturn.throttle.models import SpentBudget

SWEPT_WITH_A_CLAIM = 8  # more than an attempt adds, so that what is over cannot pile up

_BUDGETS = cast("Table", SpentBudget.__table__)
_budget = _BUDGETS.c

# Microseconds. A last claim that is further ahead was made before the clock was set back; one that
# is not, by another host, whose clock is a little ahead.
_STEP = 60_000_000


@by_dialect
def _claim(insert: Callable[[Table], Any]) -> Any:
    # The time is told by the new row: it would be full again after one attempt.
    statement = insert(_BUDGETS)
    new = statement.excluded
    now = new.claimed_at
    full_at = case(
        (_budget.claimed_at > now + _STEP, _budget.full_at - _budget.claimed_at + now),
        else_=_budget.full_at,
    )
    return statement.on_conflict_do_update(
        index_elements=[_budget.key],
        set_={
            "full_at": case((full_at > now, full_at + new.cost), else_=new.full_at),
            "claimed_at": now,
            "cost": new.cost,
            "size": new.size,
        },
        where=full_at + new.cost <= now + new.size,
    ).returning(_budget.key)


@cache
def _read(count: int) -> Any:
    keys: list[Any] = [bindparam(f"key_{number}") for number in range(count)]
    return select(_budget.key, _budget.full_at, _budget.claimed_at).where(_budget.key.in_(keys))


_GIVE_BACK = (
    update(_BUDGETS)
    .where(_budget.key == bindparam("claimed"))
    .values(full_at=_budget.full_at - _budget.cost)
)

# What another transaction holds is in use; waiting for it would be how transactions deadlock.
_SWEEP = delete(_BUDGETS).where(
    _budget.key.in_(
        select(_budget.key)
        .where(_budget.full_at <= bindparam("at"))
        .order_by(_budget.full_at)
        .limit(SWEPT_WITH_A_CLAIM)
        .with_for_update(skip_locked=True)
    )
)


@contextmanager
def claimed(claims: Sequence[Claim], *, now: datetime) -> Iterator[None]:
    """Claim an attempt, which is made within; it is given back if the service is too busy for it.

    Raises `TooManyAttemptsError`.
    """
    claim(claims, now=now)
    try:
        yield
    except BusyError:
        with writing(durable=False) as connection:
            give_back(connection, claims)
        raise


@retried
def claim(claims: Sequence[Claim], *, now: datetime) -> None:
    """Take one attempt from every budget, or from none. Raises `TooManyAttemptsError`.

    To be called outside of any transaction.
    """
    at = microseconds(now)
    # Without a lock, so that a flood of refusals stands in nobody's way.
    _refuse_spent(claims, at)
    with writing(durable=False) as connection:
        lacking = [it for it in claims if look_up(_claim(), _row(it, at), connection) is None]
        if lacking:
            _refuse_spent(lacking, at, connection)
        run(_SWEEP, {"at": at}, connection)


def give_back(over: Over, claims: Sequence[Claim]) -> None:
    """Put a claimed attempt back, within the caller's transaction: it was no wrong guess."""
    for claim in claims:
        run(_GIVE_BACK, {"claimed": claim.key}, over)


def _row(claim: Claim, at: int) -> dict[str, Any]:
    return {
        "key": claim.key,
        "holder": claim.holder,
        "kind": claim.kind,
        "full_at": at + claim.cost,
        "claimed_at": at,
        "cost": claim.cost,
        "size": claim.size,
    }


def _refuse_spent(claims: Sequence[Claim], at: int, over: Over | None = None) -> None:
    keys = {f"key_{number}": claim.key for number, claim in enumerate(claims)}
    spent = look_up_all(_read(len(claims)), keys, over)
    full_at = {budget.key: _full_at(budget, at) for budget in spent}
    wait = max(claim.wait(full_at.get(claim.key, at), at) for claim in claims)
    if wait > 0:
        raise TooManyAttemptsError(retry_after=ceil(wait / 1_000_000))


def _full_at(budget: Any, at: int) -> int:
    """Return when a budget is full again, as `_claim` reckons."""
    ahead = budget.claimed_at - at
    return int(budget.full_at - ahead if ahead > _STEP else budget.full_at)


def list_spent(session: Session, holder: str | None, *, now: datetime) -> Sequence[SpentBudget]:
    """Return the budgets that are not full, of one holder or of all, the longest spent first."""
    of_holder = [] if holder is None else [SpentBudget.holder == holder]
    spent = select(SpentBudget).where(SpentBudget.full_at > microseconds(now), *of_holder)
    return session.scalars(spent.order_by(SpentBudget.full_at.desc())).all()


@retried
def clear(session: Session, holder: str | None) -> int:
    """Fill the budgets of one holder, or all; return how many were not full."""
    of_holder = [] if holder is None else [_budget.holder == holder]
    with transaction(session):
        return session.connection().execute(delete(_BUDGETS).where(*of_holder)).rowcount
