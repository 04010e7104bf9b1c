"""The application that gunicorn loads."""

import sys

from dotenv import load_dotenv

from keyturn.app import create_app
from keyturn.errors import ConfigurationError

load_dotenv()  # .env, where there is one; what the environment says already wins

try:
    app = create_app()
except ConfigurationError as error:
    sys.exit(f"keyturn cannot start: {error}")
