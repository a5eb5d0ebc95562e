"""Serve the console's static files under URLs that change with their content."""

import hashlib
from functools import cache
from pathlib import Path

from flask import send_from_directory
from werkzeug.wrappers import Response

from api.console.routing import register_page
from api.console.urls import build_page_url

ROOT = Path(__file__).parent / "static"
FOREVER_SECONDS = 365 * 24 * 3600


@register_page("/static/<version>/<path:name>", None)
def serve(version: str, name: str) -> Response:
    """Return a file; the version in the path lets browsers cache it permanently."""
    return send_from_directory(ROOT, name, max_age=FOREVER_SECONDS)


def build_asset_url(name: str) -> str:
    """Return the URL of a static file."""
    return build_page_url("static:serve", version=_hash_asset(name), name=name)


@cache
def _hash_asset(name: str) -> str:
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()[:12]
