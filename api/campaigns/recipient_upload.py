"""Receive a recipients file: read from the request body and stored completely or not at all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from flask import Request, request

from api.auth.bearer import current_caller
from api.campaigns import queries
from api.campaigns.recipient_schemas import FileReading, Receipt, RowError, UploadQuery
from api.campaigns.schemas import CampaignPath
from api.runtime.context import current_context
from api.runtime.uploads import UploadRule
from api.web.errors import RefusedError
from api.web.owner_places import OwnerPlaces
from api.web.problems import FieldError
from common.campaigns import digest
from common.campaigns.placeholders import spell_placeholder
from common.campaigns.recipients import importing, lists, notes, revalidation
from common.campaigns.recipients.formats import detect, encodings
from common.campaigns.recipients.formats.detect import MEDIA_TYPES, Format
from common.campaigns.recipients.formats.reading import Reading
from common.campaigns.recipients.formats.rows import Sheet
from common.campaigns.recipients.formats.xlsx.sheet import WORKBOOKS
from common.campaigns.recipients.importing import ImportResult
from common.campaigns.recipients.lists import ListContents, LoadingList
from common.campaigns.recipients.validation import InvalidRow
from common.tables import Campaign, RecipientList

UPLOAD_SECONDS = 15 * 60
"""Maximum duration of an upload; the clerk abandons a list that takes longer."""

_workbook_places = OwnerPlaces(total=2 * WORKBOOKS, share=1)
"""Workbooks that are being read or wait for it: no owner can keep all processes that read them busy."""

RECIPIENTS_UPLOAD = UploadRule(lambda settings: settings.max_recipients_bytes, UPLOAD_SECONDS)


def choose_format(request: Request) -> tuple[Format, str | None]:
    """Return the format of the request's body and its encoding, if declared; raise RefusedError for another type."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError("content_encoding", "Send the body without Content-Encoding.")
    kind = MEDIA_TYPES.get(request.mimetype)
    charset = request.mimetype_params.get("charset", "")
    encoding = encodings.find_encoding(charset) if charset else None
    if kind is None:
        names = ", ".join(MEDIA_TYPES)
        raise RefusedError("unsupported_media_type", f"Send the file as one of {names}, in UTF-8 or with its charset.")
    if charset and encoding is None:
        names = ", ".join(encodings.TITLES)
        raise RefusedError("unsupported_media_type", f"Send the file in UTF-8, or with one of these charsets: {names}.")
    return kind, encoding


class RecipientUpload:
    """A recipients file in the body of *request*, which is read into the list that is *loading*."""

    def __init__(self, path: CampaignPath, loading: LoadingList, request: Request) -> None:
        self._path = path
        self._loading = loading
        self._request = request
        self._sheet: Sheet | None = None

    def read(self) -> ImportResult:
        """Read the whole file into the list; raise RefusedError, or what ``import_rows`` raises."""
        context, (kind, encoding) = current_context(), choose_format(self._request)
        settings = context.settings
        self._request.max_content_length = settings.max_recipients_bytes
        with detect.open_sheet(self._request.stream, kind, encoding) as self._sheet:
            return importing.import_rows(
                context.database,
                self._loading,
                self._sheet,
                context.prompt_rules.judge_always,
                settings.max_recipients,
                context.prompt_counter,
            )

    def abandon(self) -> None:
        """Abandon the list, and keep the columns that were read, for its errors."""
        contents = None if self._sheet is None else importing.describe_sheet(self._loading, self._sheet)
        _abandon_lists(self._path, [self._loading], contents)


def receive_recipients(path: CampaignPath, query: UploadQuery) -> Receipt:
    """Store the body of the current request as a list of recipients, or nothing of it; raise RefusedError.

    No list is begun before its file has arrived completely and there is a place to read it.
    """
    kind, _ = choose_format(request)
    busy = ("too_many_uploads", "Too many workbooks are being read; try again later.")
    is_workbook = kind is Format.XLSX
    with _workbook_places.take(current_caller().owner, *busy) if is_workbook else nullcontext():
        return _import_recipients(path, query, kind)


def _import_recipients(path: CampaignPath, query: UploadQuery, kind: Format) -> Receipt:
    with queries.lock_campaign(path) as (session, campaign):
        loading = lists.open_list(session, campaign, replaces=query.mode == "replace", id_column=query.id_column)
    upload = RecipientUpload(path, loading, request)
    try:
        done = upload.read()
        is_strict = query.on_error == "strict" or not done.accepted
        _limit_rejected_rows(done, 0 if is_strict else done.rejected)
        with queries.lock_campaign(path) as (session, campaign):
            lists.finish_list(session, campaign, loading, done.contents, done.digest)
            session.flush()
            campaign.digest = digest.compute_campaign_digest(session, campaign, current_context().settings)
    except BaseException:
        upload.abandon()
        raise
    return _serialize_receipt(campaign, loading, kind, done)


@contextmanager
def revalidate_recipients(
    path: CampaignPath, opened: Sequence[tuple[RecipientList, LoadingList]]
) -> Iterator[list[ImportResult]]:
    """Check the rows of existing lists again, each into a new list, and yield the results.

    Any error here or in the block abandons the new lists. Raises RefusedError.
    """
    context = current_context()
    judge, most = context.prompt_rules.judge_always, context.settings.max_recipients
    try:
        filled = []
        for old, loading in opened:
            filled.append(
                revalidation.revalidate_list(context.database, old, loading, judge, most, context.prompt_counter)
            )
            _limit_rejected_rows(filled[-1], old.rejected)
        yield filled
    except BaseException:
        _abandon_lists(path, [loading for _, loading in opened])
        raise


def _limit_rejected_rows(done: ImportResult, most: int) -> None:
    """Raise RefusedError if more than *most* rows were rejected."""
    if done.rejected > most:
        total = done.accepted + done.rejected
        detail = f"{done.rejected} of {total} rows are not valid, so nothing was changed; see recipients/errors.csv."
        raise RefusedError("recipients_rejected", detail, [_serialize_bad_row(each) for each in done.shown])


def _serialize_bad_row(bad: InvalidRow) -> FieldError:
    code, column, detail = bad.fault
    where = f"row {bad.number}, column {column}" if column else f"row {bad.number}"
    return FieldError(code=code, detail=f"in {where}: {detail}")


def _serialize_receipt(campaign: Campaign, loading: LoadingList, kind: Format, done: ImportResult) -> Receipt:
    errors = [
        RowError(row=bad.number, code=bad.fault.code, column=bad.fault.column or None, detail=bad.fault.detail)
        for bad in done.shown
    ]
    contents = done.contents
    return Receipt(
        number=loading.number,
        format=kind,
        columns=[*contents.columns],
        placeholders={column: spell_placeholder(column) for column in contents.columns},
        id_column=contents.id_column,
        reading=_serialize_reading(contents.reading),
        notes=[*notes.describe_contents(contents)],
        total=done.accepted + done.rejected,
        accepted=done.accepted,
        rejected=done.rejected,
        errors=errors,
        status=campaign.status,
        spec_digest=campaign.digest,
    )


def _serialize_reading(reading: Reading) -> FileReading:
    return FileReading(
        encoding=reading.encoding,
        encoding_guessed=reading.is_guessed,
        separator=reading.separator,
        sheet=reading.sheet,
        header_row=reading.header_row,
        hidden_rows=reading.hidden_rows,
        nested_columns=reading.nested_columns,
    )


def _abandon_lists(path: CampaignPath, opened: Sequence[LoadingList], contents: ListContents | None = None) -> None:
    with queries.lock_campaign(path) as (session, campaign):
        for loading in opened:
            lists.abandon_list(session, campaign, loading.number, contents)
