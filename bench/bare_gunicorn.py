"""The settings of gunicorn.conf.py, for an app that has nothing of Keyturn to begin with."""

from pathlib import Path
from runpy import run_path

settings = run_path(str(Path(__file__).parents[1] / "gunicorn.conf.py"))
del settings["on_starting"]  # it makes the first key pair
globals().update(settings)
