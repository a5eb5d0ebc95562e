"""Receive a recipients file: streamed from the request body and stored completely or not at all."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import BoundedSemaphore
from typing import IO, cast

from flask import Request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # it ships no types
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from api.campaigns import serializers
from api.campaigns.schemas import CampaignPath
from api.runtime.context import current_context
from api.web.errors import RefusedError
from api.web.problems import FieldError
from api.web.strict_json import limit_read_time
from common.campaigns.recipients import importing, lists, revalidation
from common.campaigns.recipients.formats import detect
from common.campaigns.recipients.formats.detect import ENCODINGS, MEDIA_TYPES, Format
from common.campaigns.recipients.formats.xlsx_rows import BusyError
from common.campaigns.recipients.importing import ImportResult
from common.campaigns.recipients.lists import LoadingList
from common.campaigns.recipients.validation import InvalidRow
from common.tables import RecipientList

UPLOAD_SECONDS = 15 * 60
"""Maximum duration of an upload; the clerk abandons a list that takes longer."""

_upload_slots = BoundedSemaphore(4)
"""Limits concurrent uploads per process: each one occupies a thread, and a slow sender occupies it for long."""


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


class _CompleteBody:
    """A request body that raises ClientDisconnected if it ends early, which gunicorn does not detect."""

    def __init__(self, request: Request) -> None:
        self._stream, self._missing = request.stream, request.content_length or 0

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        self._missing -= len(data)
        if not data and self._missing > 0:
            raise ClientDisconnected
        return data


@contextmanager
def load_recipients(path: CampaignPath, loading: LoadingList, request: Request) -> Iterator[ImportResult]:
    """Read the request body into the list that is *loading* and yield the result.

    Any error here or in the block abandons the list. Raises RefusedError.
    """
    context, (kind, encoding) = current_context(), choose_format(request)
    if not _upload_slots.acquire(blocking=False):
        raise BusyError
    most = context.settings.max_recipients
    request.max_content_length = context.settings.max_recipients_bytes
    with ExitStack() as undoing, ExitStack() as leaving:
        leaving.callback(_upload_slots.release)
        seen: list[str] = []
        undoing.callback(_discard_lists, path, [loading], seen)
        with limit_read_time(request, UPLOAD_SECONDS) as is_late:
            try:
                with detect.open_sheet(cast("IO[bytes]", _CompleteBody(request)), kind, encoding) as sheet:
                    try:
                        done = importing.import_rows(
                            context.database, loading, sheet, context.prompt_rules.judge_always, most
                        )
                    finally:
                        seen.extend(importing.list_data_columns(sheet))
            except RequestEntityTooLarge:
                size = context.settings.max_recipients_bytes
                raise RefusedError("body_too_large", f"The file must not exceed {size} bytes.") from None
            except (ClientDisconnected, OSError, ParseException):
                if is_late():
                    raise RefusedError(
                        "request_timeout", f"The file did not arrive within {UPLOAD_SECONDS} seconds."
                    ) from None
                raise RefusedError("bad_request", "The body is incomplete or does not match its headers.") from None
        yield done
        undoing.pop_all()


@contextmanager
def revalidate_recipients(
    path: CampaignPath, opened: Sequence[tuple[RecipientList, LoadingList]]
) -> Iterator[list[ImportResult]]:
    """Check the rows of existing lists again, each into a new list, and yield the results; raise as ``filling``."""
    context = current_context()
    with ExitStack() as undoing:
        undoing.callback(_discard_lists, path, [loading for _, loading in opened])
        filled = []
        for old, loading in opened:
            judge, most = context.prompt_rules.judge_always, context.settings.max_recipients
            filled.append(revalidation.revalidate_list(context.database, old, loading, judge, most))
            if filled[-1].rejected > old.rejected:
                raise refuse_rows(filled[-1])
        yield filled
        undoing.pop_all()


def refuse_rows(done: ImportResult) -> RefusedError:
    """Return the error for a file with invalid rows."""
    total = done.accepted + done.rejected
    detail = f"{done.rejected} of {total} rows are not valid, so nothing was changed; see recipients/errors.csv."
    return RefusedError("recipients_rejected", detail, [_serialize_bad_row(each) for each in done.shown])


def _serialize_bad_row(bad: InvalidRow) -> FieldError:
    code, column, detail = bad.fault
    where = f"row {bad.number}, column {column}" if column else f"row {bad.number}"
    return FieldError(code=code, detail=f"in {where}: {detail}")


def _discard_lists(path: CampaignPath, opened: Sequence[LoadingList], columns: Sequence[str] = ()) -> None:
    with serializers.lock_campaign(path) as (session, campaign):
        for loading in opened:
            lists.abandon_list(session, campaign, loading.number, columns)
