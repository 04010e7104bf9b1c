"""The settings of gunicorn.conf.py, for an app that has nothing of Keyturn to begin with."""

from pathlib import Path
from runpy import run_path

settings = run_path(str(Path(__file__).parents[1] / "gunicorn.conf.py"))
for _hook in ("on_starting", "post_worker_init"):  # they ask what only Keyturn has
    del settings[_hook]
globals().update(settings)
