"""Validate the webhook URLs in a request and report faults at their location."""

from api.runtime.context import current_context
from api.web.errors import refuse_request
from api.web.problems import FieldError
from common.webhooks.urls import DestinationNotAllowedError, InvalidUrlError, parse_url


def find_url_faults(url: str | None, pointer: str) -> list[FieldError]:
    """Return the faults of a receiver's URL; empty if it is valid or None."""
    if url is None:
        return []
    try:
        current_context().guard.check(url)
    except DestinationNotAllowedError as error:
        return [FieldError(code=error.code, detail="is not an allowed destination", pointer=pointer)]
    except InvalidUrlError as error:
        detail = f"is not a valid webhook URL: {error.message[:1].lower()}{error.message[1:].rstrip('.')}"
        return [FieldError(code=error.code, detail=detail, pointer=pointer)]
    return []


def normalize_url(url: str, pointer: str) -> str:
    """Return *url* in normalized form; raise RefusedError if it is not allowed."""
    faults = find_url_faults(url, pointer)
    if faults:
        raise refuse_request(faults)
    return parse_url(url).url
