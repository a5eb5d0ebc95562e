"""Render the console's pages: templates, filters and security headers."""

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import Flask, current_app, g, make_response, render_template, request
from werkzeug.wrappers import Response

from api.console.navigation import SECTIONS
from api.console.notes import find_note
from api.console.refusals import FormState, current_refusal
from api.console.routing import get_page_section
from api.console.state import console_state
from api.console.static import build_asset_url
from api.console.urls import build_page_url
from api.runtime.context import current_context
from common.access.keys import Scope
from common.storage.links import LINK_PATH


def install(app: Flask) -> None:
    """Register the template globals and filters on *app*."""
    environment = app.jinja_env
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.globals.update(link=build_page_url, asset=build_asset_url, form_at=FormState, Scope=Scope)
    environment.filters.update(
        iso=format_time,
        local=localize_url,
        money=format_money,
        seconds=format_seconds,
        short=shorten_id,
        count=format_count,
        percent=format_percent,
    )


def render_page(template: str, status: int = 200, **values: Any) -> Response:
    """Return the rendered page; with the status of the refusal, if it shows a refused form again."""
    visitor = g.get("visitor")
    sections = [section for section in SECTIONS if visitor is not None and visitor.may(section.scope)]
    refusal = current_refusal()
    shown = {"visitor": visitor, "sections": sections, "refusal": refusal, "note": find_note(request.args)}
    here = get_page_section(current_app.view_functions.get(request.endpoint or ""))
    return make_response(
        render_template(f"console/{template}", here=here, **shown, **values),
        status if refusal is None else refusal.status,
    )


def render_live_fragment(template: str, version: str, **values: Any) -> Response:
    """Return a live fragment, or 304 if the browser already has *version*."""
    tag = hashlib.sha256(version.encode()).hexdigest()[:24]
    is_known = request.if_none_match.contains_weak(tag)
    response = Response(status=304) if is_known else render_page(template, **values)
    response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def set_security_headers(response: Response) -> Response:
    """Set the security headers, such as the Content-Security-Policy."""
    origin = console_state().image_origin
    images = " ".join(filter(None, ("'self' data: blob:", origin)))
    policy = {
        "default-src": "'self'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": images,
        "connect-src": "'self'",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    response.headers["Content-Security-Policy"] = "; ".join(f"{name} {value}" for name, value in policy.items())
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    if current_context().settings.base_url.startswith("https:"):
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response


def localize_url(url: str) -> str:
    """Return *url* relative to this server if it is one of its file links, so that it works under any host name."""
    context = current_context()
    base = context.settings.base_url + LINK_PATH
    return f"{context.path_prefix}{LINK_PATH}{url.removeprefix(base)}" if url.startswith(base) else url


def format_time(moment: datetime) -> str:
    """Format a time for a ``<time>`` element, which a script shows in the reader's time zone."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_money(amount: Decimal | None, currency: str = "") -> str:
    """Format an amount with enough decimal places to show small values."""
    if amount is None:
        return "–"
    places = 2 if abs(amount) >= 1 or not amount else 4 if abs(amount) >= Decimal("0.01") else 6
    whole, _, rest = f"{amount:,.{places}f}".partition(".")
    return f"{whole}.{rest.rstrip('0'):0<2} {currency}".strip()


def format_seconds(seconds: float | None) -> str:
    """Format a duration with its two largest units."""
    if seconds is None:
        return "–"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours / 24:.1f} days"  # noqa: PLR2004


def shorten_id(identifier: object) -> str:
    """Return the last eight characters of an id, where ids created at the same time differ."""
    return str(identifier)[-8:]


def format_count(number: float) -> str:
    """Format a number with thousands separators."""
    return f"{number:,}"


def format_percent(share: float | None) -> str:
    """Format a fraction as a percentage."""
    return "–" if share is None else f"{share:.0%}"
