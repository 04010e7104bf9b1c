"""How the database would carry out the statements it was sent."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask, has_request_context, request
from sqlalchemy import Connection

from keyturn.database import Base
from tests.support.database import listening

TABLES = set(Base.metadata.tables)
COMMANDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
INDEX_SCANS = {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}
LIVES = re.compile(r"\(\(?idle_expires_at ?>")  # a bound that most logins are within


@dataclass(frozen=True)
class Sent:
    """A statement with its parameters, and what it was sent for."""

    by: str
    text: str
    parameters: Any


@contextmanager
def recorded(app: Flask) -> Iterator[dict[str, Sent]]:
    """Collect the statements that are sent meanwhile, by their text: each once."""
    sent: dict[str, Sent] = {}

    def record(text: str, parameters: Any) -> None:
        if text.startswith(COMMANDS):
            by = str(request.url_rule) if has_request_context() else "command"
            first = parameters[0] if isinstance(parameters, list) else parameters
            sent.setdefault(text, Sent(by, text, first))

    with listening(app, record):
        yield sent


@dataclass(frozen=True)
class Fault:
    """A step of a plan that reads a table or an index from end to end, or all logins that live."""

    table: str
    statement: str
    step: str


def faults(connection: Connection, sent: Sent) -> Iterator[Fault]:
    """Yield what is wrong with the plan of a statement."""
    read_whole = _in_sqlite if connection.dialect.name == "sqlite" else _in_postgresql
    for table, step in read_whole(connection, sent):
        if table in TABLES:
            yield Fault(table, f"{sent.by}: {sent.text}", step)


def _in_sqlite(connection: Connection, sent: Sent) -> Iterator[tuple[str, str]]:
    """https://www.sqlite.org/eqp.html: SCAN is the whole of a table or an index, SEARCH a part."""
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sent.text}", sent.parameters)
    for row in plan:
        step, table = row.detail.split()[:2]
        if step == "SCAN" or (step == "SEARCH" and LIVES.search(row.detail)):
            yield table, row.detail


def _in_postgresql(connection: Connection, sent: Sent) -> Iterator[tuple[str, str]]:
    """https://www.postgresql.org/docs/current/using-explain.html."""
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sent.text}", sent.parameters)
    return _in_node(plan.scalar_one()[0]["Plan"], table="")


def _in_node(node: dict[str, Any], table: str) -> Iterator[tuple[str, str]]:
    table = node.get("Relation Name", table)  # a bitmap's index is told below its table
    kind = node["Node Type"]
    bound = node.get("Index Cond", "")
    if kind == "Seq Scan" or (kind in INDEX_SCANS and (not bound or LIVES.match(bound))):
        yield table, json.dumps(node)
    for child in node.get("Plans", ()):
        yield from _in_node(child, table)
