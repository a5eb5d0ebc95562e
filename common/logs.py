"""Structured logs: one event a line, JSON or columns, with the ids of the request, job and attempt at hand.

Nothing that a customer wrote (prompts, metadata) and no secret is ever passed to a logger.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from common.settings import Settings

QUIET_LIBRARIES = (
    "alembic",
    "botocore",
    "boto3",
    "celery",
    "diffusers",
    "httpx2",
    "kombu",
    "s3transfer",
    "transformers",
    "urllib3",
)
"""Libraries whose warnings are heard and whose chatter is not."""


def configure_logging(settings: Settings, process: str) -> None:
    """Send all logs of this process to standard error, each line marked with *process*."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())

    def name_process(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**event, "process": process}

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        name_process,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of the module *name*."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


@contextmanager
def bind_log_context(**ids: object) -> Iterator[None]:
    """Add *ids* to every line logged in this block, in this thread."""
    with structlog.contextvars.bound_contextvars(**{name: str(value) for name, value in ids.items()}):
        yield
