"""The console's own files, from this server alone: each under a name that changes with its content."""

import hashlib
from functools import cache
from pathlib import Path

from flask import send_from_directory
from werkzeug.wrappers import Response

from api.console.routing import page
from api.console.urls import link

ROOT = Path(__file__).parent / "static"
FOREVER_SECONDS = 365 * 24 * 3600


@page("/static/<version>/<path:name>", None)
def serve(version: str, name: str) -> Response:
    """Answer with a file; the version is there for browsers, which need not ask again."""
    return send_from_directory(ROOT, name, max_age=FOREVER_SECONDS)


def asset(name: str) -> str:
    """Return the link to a file of the console."""
    return link("static:serve", version=_digest(name), name=name)


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()[:12]
