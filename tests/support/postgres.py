"""A real PostgreSQL of the tests' own: a new cluster in a folder of its own, on the loopback."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

USER = "postgres"  # of Debian's package; PostgreSQL refuses to run as root


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, newest version first, or None."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


class Postgres:
    """One cluster. Commits need not outlive the machine, so nothing is synced to disk."""

    OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300")

    def __init__(self, bin_folder: Path) -> None:
        self._bin = bin_folder
        self._user = USER if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="keyturn-postgres-"))
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._run("initdb", "--username=keyturn", "--auth=trust", "--no-sync", "--encoding=UTF8")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://keyturn@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = [f"-c {option}" for option in self.OPTIONS]
        where = f"-c listen_addresses=127.0.0.1 -c port={self.port}"
        where += f" -c unix_socket_directories={self._folder}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "start", "--wait", "--log", log, "-o", " ".join([where, *options]))

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--mode=immediate")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments, "--pgdata", str(self._folder / "data")],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._user,
            cwd=self._folder,
        )
