"""Measurements of the service as it is deployed: real gunicorn, SQLite on disk.

What is compared is measured in one run, in turns, so that what counts, the ratio, holds on a
noisy machine. `make bench` measures what is promised.
"""
