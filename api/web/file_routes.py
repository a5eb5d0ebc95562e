"""Routes that send images or archives: each says so, and no other route can."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from flask import Flask, Response, current_app, request

from api.web.errors import respond_problem
from common.logs import get_logger

P = ParamSpec("P")
R = TypeVar("R")

ATTRIBUTE = "pressroom_sends_files"
DRAWING = "image/svg+xml"
"""The type of the console's own logo: a text, into which no press can print."""

log = get_logger(__name__)


def sends_files(view: Callable[P, R]) -> Callable[P, R]:
    """Declare that a view sends images or archives; a test shows of each what it sends."""
    vars(view)[ATTRIBUTE] = True
    return view


def is_file_view(view: Callable[..., object]) -> bool:
    """Return whether a view may send images or archives."""
    return bool(vars(view).get(ATTRIBUTE))


def is_file_type(media_type: str) -> bool:
    """Return whether *media_type* is one of images, of archives, or of bytes of any kind."""
    is_image = media_type.startswith("image/") and media_type != DRAWING
    return is_image or media_type in ("application/zip", "application/octet-stream")


def install(app: Flask) -> None:
    """Refuse the images and archives of all routes of *app* that do not declare them."""
    app.after_request(_refuse_undeclared_file)


def _refuse_undeclared_file(response: Response) -> Response:
    if not is_file_type(response.mimetype or "") or is_file_view(current_app.view_functions[request.endpoint or ""]):
        return response
    log.error("file_not_declared", endpoint=request.endpoint)
    return respond_problem("internal_error", "The error was logged under this request_id.")
