"""The real parts that tests use besides Python: there, or the test says what is missing."""

import os
import shutil

import pytest


def need(program: str, package: str) -> str:
    """The path of a program of Debian's. Without it the test is skipped; in CI it fails."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    return found or missing(f"{program}: apt-get install {package}")


def missing(what: str) -> str:
    """End a test that lacks a real part: nothing is left out silently."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing in CI: {what}")
    pytest.skip(f"missing: {what}")
