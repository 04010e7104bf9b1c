"""Clients of other makers, in Node: tests/node holds their versions, `make test` installs them."""

import shutil
import subprocess
from pathlib import Path

from tests.support.parts import missing, need
from tests.support.server import ROOT

FOLDER = ROOT / "tests" / "node"
MODULES = FOLDER / "node_modules"
LONGEST = 300  # seconds; a bound, not an expectation


class Node:
    """Runs programs in a folder of their own, which sees the installed packages."""

    def __init__(self, folder: Path) -> None:
        self._node = need("node", "nodejs")
        if not MODULES.is_dir():
            missing("tests/node/node_modules: npm ci --prefix tests/node")
        self.folder = folder
        (folder / "node_modules").symlink_to(MODULES)
        shutil.copy(FOLDER / "package.json", folder)

    def run(self, program: Path | str, *arguments: str) -> str:
        """Run a script, which must work, and return what it printed."""
        done = subprocess.run(
            [self._node, str(program), *arguments],
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
