"""The machine that was measured on: figures mean nothing without it."""

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path


def facts() -> str:
    """Return a line on the machine and one on the versions that count."""
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ("gunicorn", "flask", "sqlalchemy", "pyjwt", "argon2-cffi", "pynacl")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True)
    return (
        f"{cores} cores of {model[1] if model else platform.machine()}, {memory:.0f} GiB, "
        f"Linux {platform.release()}\n"
        f"Python {platform.python_version()}, {', '.join(versions)}, Node {node.stdout.strip()}\n"
    )
