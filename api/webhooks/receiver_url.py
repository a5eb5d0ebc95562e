"""Receivers that a request names: judged by the guard, and refused with the place where they are named."""

from api.runtime.context import services
from api.web.errors import refuse
from api.web.problems import Fault
from common.webhooks.urls import InvalidUrlError, NotAllowedError, parse


def find_faults(url: str | None, pointer: str) -> list[Fault]:
    """Return what is wrong with the URL of a receiver; nothing where there is none."""
    if url is None:
        return []
    try:
        services().guard.check(url)
    except NotAllowedError as error:
        return [Fault(code=error.code, detail="is a destination that is not allowed", pointer=pointer)]
    except InvalidUrlError as error:
        detail = f"cannot be a webhook's: {error.message[:1].lower()}{error.message[1:].rstrip('.')}"
        return [Fault(code=error.code, detail=detail, pointer=pointer)]
    return []


def check(url: str, pointer: str) -> str:
    """Return *url* in its one spelling; raise RefusedError."""
    faults = find_faults(url, pointer)
    if faults:
        raise refuse(faults)
    return parse(url).url
