"""How pages are put together: templates, what all of them may use, and the headers that each carries."""

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import Flask, current_app, g, make_response, render_template, request
from werkzeug.wrappers import Response

from api.console.navigation import NOTES, SECTIONS
from api.console.routing import section_of
from api.console.state import desk
from api.console.static import asset
from api.console.urls import link
from api.runtime.context import services
from common.keys import Scope
from common.storage.links import PATH


def install(app: Flask) -> None:
    """Give the templates of *app* what all pages use."""
    environment = app.jinja_env
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.globals.update(link=link, asset=asset, Scope=Scope)
    environment.filters.update(
        iso=show_time,
        local=show_locally,
        money=show_money,
        seconds=show_seconds,
        short=shorten_id,
        count=show_count,
        percent=show_percent,
    )


def render(template: str, status: int = 200, **values: Any) -> Response:
    """Return a page."""
    visitor = g.get("visitor")
    sections = [section for section in SECTIONS if visitor is not None and visitor.may(section.scope)]
    note = NOTES.get(request.args.get("note", ""))
    here = section_of(current_app.view_functions.get(request.endpoint or ""))
    return make_response(
        render_template(f"console/{template}", visitor=visitor, sections=sections, here=here, note=note, **values),
        status,
    )


def render_live(template: str, version: str, **values: Any) -> Response:
    """Return a part of a page that is asked for again and again: whole only if *version* is news to the browser."""
    tag = hashlib.sha256(version.encode()).hexdigest()[:24]
    is_known = request.if_none_match.contains_weak(tag)
    response = Response(status=304) if is_known else render(template, **values)
    response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def secure(response: Response) -> Response:
    """Have the browser load and send nothing but what this page is made of."""
    origin = desk().image_origin
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
    if services().settings.base_url.startswith("https:"):
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response


def show_locally(url: str) -> str:
    """Return a link to a file as this page can follow it: on this server, by whatever name the reader calls it."""
    context = services()
    base = context.settings.base_url + PATH
    return f"{context.path_prefix}{PATH}{url.removeprefix(base)}" if url.startswith(base) else url


def show_time(moment: datetime) -> str:
    """Return a time for a ``<time>`` element, which a script shows in the reader's zone."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def show_money(amount: Decimal | None, currency: str = "") -> str:
    """Return an amount with as many places as it takes to tell it from nothing."""
    if amount is None:
        return "–"
    places = 2 if abs(amount) >= 1 or not amount else 4 if abs(amount) >= Decimal("0.01") else 6
    whole, _, rest = f"{amount:,.{places}f}".partition(".")
    return f"{whole}.{rest.rstrip('0'):0<2} {currency}".strip()


def show_seconds(seconds: float | None) -> str:
    """Return a span of time in the two units that matter."""
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
    """Return the end of an id, which is where ids of one moment differ."""
    return str(identifier)[-8:]


def show_count(number: float) -> str:
    """Return a number with its thousands told apart."""
    return f"{number:,}"


def show_percent(share: float | None) -> str:
    """Return a share of 0 to 1 in percent."""
    return "–" if share is None else f"{share:.0%}"
