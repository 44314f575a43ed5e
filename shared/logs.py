"""Logging: one line of fields for each event, on standard error; no patient data."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import structlog

from shared.workers.log_level import LEVEL

#: Libraries that are too talkative below these levels, or that print what peers send.
_QUIET = {
    "pynetdicom": logging.CRITICAL,
    "pydicom": logging.ERROR,
    "opentelemetry": logging.CRITICAL,
    "pika": logging.CRITICAL,
    "alembic": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    # Warnings of Python: pydicom's quote the values of a data set.
    "py.warnings": logging.CRITICAL,
}


#: The numbers of the methods of a logger.
_NUMBERS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
}


def configure(service: str, level: str, count: Callable[[str], None] = lambda _: None) -> None:
    """Send structlog and the standard library's logging to standard error as JSON (readable on a terminal).

    `service` is bound to every line; `count` is called with the level of each. Libraries that log what
    peers send are silenced.
    """
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    shared_processors: list[structlog.types.Processor] = [
        _dropped_below_the_level,
        _named(service),
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _counted(count),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared_processors, renderer],
        # Loggers are kept as they are made: the level, which may change, is looked up for each line.
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: record.levelno >= _least_level(record.name))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared_processors)
    )
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    LEVEL.configure(level, _set_level_of_libraries)


def _set_level_of_libraries(level: str) -> None:
    logging.getLogger().setLevel(level)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, logging.getLevelNamesMapping()[level]))


def _dropped_below_the_level(
    _logger: object, method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    if _NUMBERS.get(method, logging.CRITICAL) < LEVEL.number:
        raise structlog.DropEvent
    return event


def _least_level(name: str) -> int:
    """Return the level below which a logger is quiet; some libraries set their own when they are imported."""
    return _QUIET.get(name.partition(".")[0] if name not in _QUIET else name, logging.NOTSET)


def _counted(count: Callable[[str], None]) -> structlog.types.Processor:
    def count_level(
        _logger: object, _method: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        count(str(event.get("level", "")))
        return event

    return count_level


def _named(service: str) -> structlog.types.Processor:
    def add_service(
        _logger: object, _method: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        event.setdefault("service", service)
        return event

    return add_service
