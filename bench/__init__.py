"""Measurements against the service as it is deployed: real gunicorn, SQLite on disk."""
