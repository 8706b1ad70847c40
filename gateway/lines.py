"""What the process says on stderr: one record a line, in words of its own.

Names and answers of others stand in some of them (a charter's text, a witness's answer). So whatever a terminal or a reader of logs
might obey is written as an escape, and where a record has further lines, as a trace does, they are indented: no line but the
gateway's own begins at the margin.
"""

import logging
import sys
from typing import Final

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FURTHER: Final = "\n    "


class Lines(logging.Formatter):
    """Formats a record so that nothing in it passes for another one."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        return FURTHER.join(map(_shown, super().format(record).split("\n")))


def _shown(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def start_logging(level: str) -> None:
    """To stderr; aiohttp's own loggers say what strangers send, so they are heard from errors on only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("aiohttp").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
