"""Attempts are claimed before they are made: of N at once, in any number of processes, N count."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from math import ceil
from typing import Any, cast

from sqlalchemy import Row, Table, bindparam, case, delete, select, update
from sqlalchemy.orm import Session

from keyturn.database import by_dialect, delete_rows, retried, transaction
from keyturn.errors import BusyError, TooManyAttemptsError
from keyturn.single import look_up_all
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


_READ = select(_budget.key, _budget.full_at, _budget.claimed_at).where(
    _budget.key.in_(bindparam("keys", expanding=True))
)

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
def claimed(session: Session, claims: Sequence[Claim], *, now: datetime) -> Iterator[None]:
    """Claim an attempt, which is made within; it is given back if the service is too busy for it.

    Raises `TooManyAttemptsError`.
    """
    claim(session, claims, now=now)
    try:
        yield
    except BusyError:
        with transaction(session, durable=False):
            give_back(session, claims)
        raise


@retried
def claim(session: Session, claims: Sequence[Claim], *, now: datetime) -> None:
    """Take one attempt from every budget, or from none. Raises `TooManyAttemptsError`."""
    at = microseconds(now)
    keys = {"keys": [claim.key for claim in claims]}
    # Without a lock, so that a flood of refusals stands in nobody's way.
    _refuse_spent(claims, look_up_all(_READ, keys), at)
    with transaction(session, durable=False):
        granted = set(session.scalars(_claim(session), [_row(claim, at) for claim in claims]))
        if len(granted) < len(claims):
            lacking = [claim for claim in claims if claim.key not in granted]
            _refuse_spent(lacking, session.execute(_READ, keys).all(), at)
        session.execute(_SWEEP, {"at": at})


def give_back(session: Session, claims: Sequence[Claim]) -> None:
    """Put a claimed attempt back, within the caller's transaction: it was no wrong guess."""
    session.execute(_GIVE_BACK, [{"claimed": claim.key} for claim in claims])


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


def _refuse_spent(claims: Sequence[Claim], spent: Sequence[Row[str, int, int]], at: int) -> None:
    full_at = {budget.key: _full_at(budget, at) for budget in spent}
    wait = max(claim.wait(full_at.get(claim.key, at), at) for claim in claims)
    if wait > 0:
        raise TooManyAttemptsError(retry_after=ceil(wait / 1_000_000))


def _full_at(budget: Row[str, int, int], at: int) -> int:
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
        return delete_rows(session, delete(_BUDGETS).where(*of_holder))
