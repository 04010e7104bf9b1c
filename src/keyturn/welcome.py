"""What `make run` says before it serves: where, and what to try."""

import os

from dotenv import load_dotenv

from keyturn.config import Settings

TEXT = """
Keyturn serves on {url}. Try:

  curl -s {url}/auth/login -H 'Content-Type: application/json' \\
       -d '{{"email": "bob@gmail.com", "password": "bobPass"}}'
  curl -s {url}/users/me -H 'Authorization: Bearer ACCESS_TOKEN'
  curl -s {url}/auth/refresh -H 'Content-Type: application/json' \\
       -d '{{"refreshToken": "REFRESH_TOKEN"}}'

Stop it with Ctrl-C.
"""


def main() -> None:
    """Print the greeting for the address that gunicorn will listen at."""
    load_dotenv()
    settings = Settings.load(os.environ)
    print(TEXT.format(url=f"http://{settings.host}:{settings.port}"))  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
