"""A real PostgreSQL of the tests' own: a new cluster in a folder of its own, on the loopback."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.server import free_port

USER = "postgres"  # of Debian's package; PostgreSQL refuses to run as root


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, newest version first, or None."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


class Postgres:
    """One cluster. Commits need not outlive the machine, so nothing is synced to disk.

    They outlive its processes only where `synchronous_commit` is on.
    """

    OPTIONS = ("fsync=off", "full_page_writes=off", "max_connections=300")

    def __init__(self, bin_folder: Path, *, synchronous_commit: str = "off") -> None:
        self._bin = bin_folder
        self._options = (*self.OPTIONS, f"synchronous_commit={synchronous_commit}")
        self._user = USER if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="keyturn-postgres-"))
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self.port = free_port()
        self._run(
            "initdb",
            "--username=keyturn",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--wal-segsize=1",
        )

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://keyturn@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = [f"-c {option}" for option in self._options]
        where = f"-c listen_addresses=127.0.0.1 -c port={self.port}"
        where += f" -c unix_socket_directories={self._folder}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "start", "--wait", "--log", log, "-o", " ".join([where, *options]))

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `immediate` is a crash, after which it recovers from its log as it starts."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def limit_files(self, size: int | None) -> None:
        """Let no file of its grow beyond this size, in bytes: a full disk to whoever wants to."""
        postmaster = (self._folder / "data" / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        limit = "unlimited" if size is None else size
        for pid in (postmaster, *children):  # as its user: who may change the limits of others?
            command = ["prlimit", f"--pid={pid}", f"--fsize={limit}:unlimited"]
            subprocess.run(command, check=False, user=self._user)

    def dump(self, database: str) -> Path:
        """Take a backup, as of the moment at which it begins."""
        file = self._folder / f"{database}.dump"
        self._ask("pg_dump", database, "--format=custom", f"--file={file}")
        return file

    def restore(self, dump: Path, database: str) -> None:
        """Bring a backup into an empty database."""
        self._ask("pg_restore", database, "--exit-on-error", str(dump))

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        self._call(program, *arguments, "--pgdata", str(self._folder / "data"))

    def _ask(self, program: str, database: str, *arguments: str) -> None:
        where = f"postgresql://keyturn@127.0.0.1:{self.port}/{database}"
        self._call(program, f"--dbname={where}", *arguments)

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._user,
            cwd=self._folder,
        )
