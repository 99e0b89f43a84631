"""Log one JSON object per line to standard output."""

import logging
import sys
from datetime import UTC, datetime

import msgspec

from addressbook import tracing


class JsonFormatter(logging.Formatter):
    """Format records as JSON; `extra={"fields": {...}}` adds keys."""

    def __init__(self) -> None:
        super().__init__()
        self._encode = msgspec.json.Encoder().encode

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if fields:
            line.update(fields)
        else:
            line["logger"] = record.name
        line.update(tracing.current.get({}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._encode(line).decode()


def configure(level: int) -> None:
    """Send all logs, including the libraries', through the JSON formatter."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
