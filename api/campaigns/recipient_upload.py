"""How a file of recipients is received: streamed from the request's body, and all or nothing of it kept."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import BoundedSemaphore
from typing import IO, cast

from flask import Request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # it ships no types
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from api.campaigns import serializers
from api.campaigns.schemas import CampaignPath
from api.runtime.context import services
from api.web.errors import RefusedError
from api.web.problems import Fault
from api.web.strict_json import hurrying
from common.campaigns.recipients import importing, lists, revalidation
from common.campaigns.recipients.formats import detect
from common.campaigns.recipients.formats.detect import ENCODINGS, MEDIA_TYPES, Format
from common.campaigns.recipients.formats.xlsx_rows import BusyError
from common.campaigns.recipients.importing import Intake
from common.campaigns.recipients.lists import Loading
from common.campaigns.recipients.validation import Bad
from common.tables import RecipientList

SECONDS = 15 * 60
"""How long a file may take to arrive; a list that is older is given up by the clerk."""

_places = BoundedSemaphore(4)
"""For files that arrive at once in one process: each takes one of its threads, slow senders for long."""


def choose_format(request: Request) -> tuple[Format, str]:
    """Return the format of the request's body and its encoding; raise RefusedError for another media type."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError("content_encoding", "Send the body without Content-Encoding.")
    kind = MEDIA_TYPES.get(request.mimetype)
    encoding = ENCODINGS.get(request.mimetype_params.get("charset", "utf-8").lower())
    if kind is None or encoding is None:
        names = ", ".join(MEDIA_TYPES)
        raise RefusedError("unsupported_media_type", f"Send the file as one of {names}, in UTF-8 or with its charset.")
    return kind, encoding


class _Whole:
    """A body that is read to its end, and none that ends early: the server behind us does not notice."""

    def __init__(self, request: Request) -> None:
        self._stream, self._missing = request.stream, request.content_length or 0

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        self._missing -= len(data)
        if not data and self._missing > 0:
            raise ClientDisconnected
        return data


@contextmanager
def filling(path: CampaignPath, loading: Loading, request: Request) -> Iterator[Intake]:
    """Read the request's body into the list that is *loading* and yield what became of it.

    Whatever goes wrong here or in the block gives the list up. Raises RefusedError.
    """
    context, (kind, encoding) = services(), choose_format(request)
    if not _places.acquire(blocking=False):
        raise BusyError
    most = context.settings.max_recipients
    request.max_content_length = context.settings.max_recipients_bytes
    with ExitStack() as undoing, ExitStack() as leaving:
        leaving.callback(_places.release)
        seen: list[str] = []
        undoing.callback(_give_up, path, [loading], seen)
        with hurrying(request, SECONDS) as is_late:
            try:
                with detect.opened(cast("IO[bytes]", _Whole(request)), kind, encoding) as sheet:
                    try:
                        done = importing.take_in(
                            context.database, loading, sheet, context.prompt_rules.judge_always, most
                        )
                    finally:
                        seen.extend(importing.keep_columns(sheet))
            except RequestEntityTooLarge:
                size = context.settings.max_recipients_bytes
                raise RefusedError("body_too_large", f"A file of recipients may have {size} bytes.") from None
            except (ClientDisconnected, OSError, ParseException):
                if is_late():
                    raise RefusedError("request_timeout", f"The file did not arrive in {SECONDS} seconds.") from None
                raise RefusedError("bad_request", "The body ended early, or is not what its head says.") from None
        yield done
        undoing.pop_all()


@contextmanager
def refilling(path: CampaignPath, opened: Sequence[tuple[RecipientList, Loading]]) -> Iterator[list[Intake]]:
    """Check the rows of lists again, each into a new one, and yield what became of them; raise as ``filling``."""
    context = services()
    with ExitStack() as undoing:
        undoing.callback(_give_up, path, [loading for _, loading in opened])
        filled = []
        for old, loading in opened:
            judge, most = context.prompt_rules.judge_always, context.settings.max_recipients
            filled.append(revalidation.recheck(context.database, old, loading, judge, most))
            if filled[-1].rejected > old.rejected:
                raise refuse_rows(filled[-1])
        yield filled
        undoing.pop_all()


def refuse_rows(done: Intake) -> RefusedError:
    """Return the error for a file with rows that cannot be printed."""
    total = done.accepted + done.rejected
    detail = (
        f"{done.rejected} of {total} rows cannot be printed, and nothing was changed; recipients/errors.csv has them."
    )
    return RefusedError("recipients_rejected", detail, [_show(each) for each in done.shown])


def _show(bad: Bad) -> Fault:
    code, column, detail = bad.fault
    where = f"row {bad.number}, column {column}" if column else f"row {bad.number}"
    return Fault(code=code, detail=f"in {where}: {detail}")


def _give_up(path: CampaignPath, opened: Sequence[Loading], columns: Sequence[str] = ()) -> None:
    with serializers.changing(path) as (session, campaign):
        for loading in opened:
            lists.give_up(session, campaign, loading.number, columns)
