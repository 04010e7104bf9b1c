"""gunicorn, where its own ways do not do: how it logs."""

import logging
import re

from gunicorn.config import Config
from gunicorn.glogging import Logger as GunicornLogger

from keyturn.ops.logs import Forwarder

# "Invalid request from ip=…: " and "Error handling request " go on with bytes of the client,
# which may be a token in the wrong place.
_CLIENT_BYTES = re.compile(
    r"(Invalid request from ip=\S*):.*|(Error handling request) %s.*", re.DOTALL
)


class Logger(GunicornLogger):  # type: ignore[misc] # gunicorn has no types
    """Tells everything our way. Its access log stays off: a request has a line of ours."""

    def setup(self, cfg: Config) -> None:
        """Take over all that is logged in this process by the standard library's means."""
        super().setup(cfg)
        logging.captureWarnings(capture=True)
        logging.getLogger().handlers = [Forwarder()]
        self.error_log.handlers = []
        self.error_log.propagate = True
        self.error_log.filters = [_without_client_bytes]


def _without_client_bytes(record: logging.LogRecord) -> bool:
    if match := _CLIENT_BYTES.fullmatch(record.msg):
        record.msg, record.args = match[1] or match[2], ()
    return True
