"""Databases for tests: migrated once, with the demo users, and copied for each test."""

import shutil
from itertools import count
from pathlib import Path
from typing import Protocol

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool


class Databases(Protocol):
    """Where a test's databases come from."""

    template_url: str

    def copy(self) -> str:
        """Return the URL of a new copy of the template."""

    def lasting_copy(self) -> str:
        """Return a copy that `drop` leaves alone, for what is shared by several tests."""

    def create(self) -> str:
        """Return the URL of a new database without tables."""

    def drop(self) -> None:
        """Remove all copies made so far."""


class SqliteDatabases:
    """SQLite files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._copies: list[Path] = []
        self._template = folder / "template.db"
        self.template_url = f"sqlite:///{self._template}"

    def copy(self) -> str:
        url = self.create()
        shutil.copy(self._template, self._copies[-1])
        return url

    def lasting_copy(self) -> str:
        url = self.copy()
        self._copies.pop()
        return url

    def create(self) -> str:
        path = self._folder / f"keyturn-{next(self._numbers)}.db"
        self._copies.append(path)
        return f"sqlite:///{path}"

    def drop(self) -> None:
        for path in self._copies:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        self._copies.clear()


class PostgresDatabases:
    """Databases of one PostgreSQL server, named after the test process."""

    def __init__(self, server_url: str, process: str) -> None:
        self._server = create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self._prefix = f"keyturn_{process}"
        self._numbers = count()
        self._copies: list[str] = []
        self._execute(f"CREATE DATABASE {self._prefix}")
        self.template_url = self._url(self._prefix)

    def copy(self) -> str:
        return self._create(template=self._prefix)

    def lasting_copy(self) -> str:
        url = self.copy()
        self._copies.pop()
        return url

    def create(self) -> str:
        return self._create(template="template0")

    def _create(self, template: str) -> str:
        name = f"{self._prefix}_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        self._copies.append(name)
        return self._url(name)

    def drop(self) -> None:
        for name in self._copies:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")
        self._copies.clear()

    def _url(self, name: str) -> str:
        return self._server.url.set(database=name).render_as_string(hide_password=False)

    def _execute(self, statement: str) -> None:
        with self._server.connect() as connection:
            connection.execute(text(statement))
