"""Send the results of a campaign as files: JSON Lines, CSV, a ZIP archive and a contact sheet."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from flask import Response, request

from api.campaigns.result_schemas import LineCost, LineError, LineSafety, ResultLine, SheetQuery
from api.images.schemas import Colour
from api.runtime.context import AppContext, current_context
from api.server.exchange import Exchange
from api.web.errors import refuse_request
from api.web.owner_places import Release
from api.web.problems import FieldError
from api.web.validation import refuse_not_found
from common.campaigns import queries, rendering
from common.campaigns.csv_injection import defuse_cell
from common.campaigns.recipients.identity import ID_COLUMN
from common.campaigns.results import archive, lines as result_lines
from common.campaigns.results.archive import FileNames, InvalidPatternError
from common.campaigns.results.lines import Line, LineStatus
from common.campaigns.results.public_links import PublicLinks
from common.campaigns.spec import CampaignSpec
from common.errors import ObjectMissingError
from common.images.served_files import ServedFiles
from common.storage.links import format_content_disposition
from common.tables import Campaign, Image

LINES_AT_ONCE = 200
FETCHES_AT_ONCE = 8
BYTE_ORDER_MARK = "\ufeff"
"""Without it, Excel does not detect UTF-8."""

COLUMNS: dict[str, Callable[[ResultLine], object]] = {
    "recipient_id": lambda line: line.recipient_id,
    "list": lambda line: line.list_number,
    "row": lambda line: line.row,
    "index": lambda line: line.index,
    "variant": lambda line: line.variant,
    "style": lambda line: line.style,
    "status": lambda line: line.status,
    "picture": lambda line: line.picture,
    "link": lambda line: line.link,
    "image_id": lambda line: line.image_id,
    "image_url": lambda line: line.image_url,
    "seed": lambda line: line.seed,
    "safety": lambda line: line.safety.verdict if line.safety else None,
    "safety_score": lambda line: line.safety.score if line.safety else None,
    "palette_score": lambda line: line.palette_score,
    "colours": lambda line: " ".join(f"{each.colour} {each.share:.0%}" for each in line.colours),
    "cost": lambda line: f"{line.cost.amount.normalize():f}",
    "currency": lambda line: line.cost.currency,
    "rerolls": lambda line: line.rerolls,
    "error_code": lambda line: line.error.code if line.error else None,
    "error_message": lambda line: line.error.message if line.error else None,
}
"""The columns of the CSV file, in order."""


def send_lines(campaign: Campaign) -> Response:
    """Return the results of *campaign* as JSON Lines."""
    lines = encode_jsonl(_iter_result_lines(campaign))
    return _stream_response(campaign, lines, "application/jsonl", "-results.jsonl")


def send_table(campaign: Campaign) -> Response:
    """Return the results of *campaign* as CSV."""
    with current_context().database.reading() as session:
        lists = queries.list_current_lists(session, campaign.id)
    columns = dict.fromkeys(column for each in lists for column in each.columns)
    lines = encode_csv(_iter_result_lines(campaign), [column for column in columns if column != ID_COLUMN])
    return _stream_response(campaign, lines, "text/csv; charset=utf-8", "-results.csv")


def send_archive(campaign: Campaign, pattern: str) -> Response:
    """Return an archive of all available images, named by *pattern*; raise RefusedError for an invalid pattern."""
    context = current_context()
    try:
        names = FileNames(pattern)
    except InvalidPatternError as error:
        raise refuse_request([FieldError(code=error.code, detail=error.message, parameter="name")]) from None
    lines = result_lines.iterate_lines(context.database, campaign)
    content = archive.pack_archive(context.files, lines, names)
    return _stream_response(campaign, content, "application/zip", ".zip")


def send_sheet(campaign: Campaign, query: SheetQuery) -> Response:
    """Return a page of thumbnails; raise RefusedError with ``not_found`` for a page after the last."""
    context, spec = current_context(), CampaignSpec.from_row(campaign.spec)
    with context.database.reading() as session:
        total = result_lines.count_rows(session, campaign) * spec.images_per_recipient
        lines = result_lines.fetch_lines(session, campaign, (query.page - 1) * query.per_page, query.per_page)
    pages = max(1, -(-total // query.per_page))
    if query.page > pages:
        raise refuse_not_found()
    title = campaign.name if pages == 1 else f"{campaign.name}, page {query.page} of {pages}"
    response = Response(_draw_sheet(title, spec, lines, context.files), content_type="image/png")
    response.headers["Content-Disposition"] = format_content_disposition(
        f"{_build_file_stem(campaign)}-contact-sheet-{query.page}.png"
    )
    if query.page < pages:
        target = f"{context.path_prefix}/v1/campaigns/{campaign.id}/contact-sheet.png"
        response.headers["Link"] = f'<{target}?page={query.page + 1}&per_page={query.per_page}>; rel="next"'
    return response


def _iter_result_lines(campaign: Campaign) -> Iterator[ResultLine]:
    context = current_context()
    presenter = ResultSerializer(campaign, context)
    return (presenter.serialize(line) for line in result_lines.iterate_lines(context.database, campaign))


def _stream_response(campaign: Campaign, content: Iterator[bytes], content_type: str, extension: str) -> Response:
    """Return a file that is sent while it is made; raise RefusedError if the owner has no place for a download left."""
    detail = "You have too many downloads in progress; wait until one has ended."
    release = current_context().download_places.take(campaign.owner, "too_many_downloads", detail)
    Exchange.of(request.environ).leave_turn()
    filename = f"{_build_file_stem(campaign)}{extension}"
    response = Response(_release_after(content, release), content_type=content_type)
    response.call_on_close(release)  # for an answer that is given up before it is begun
    response.headers["Content-Disposition"] = format_content_disposition(filename)
    return response


def _release_after(content: Iterator[bytes], release: Release) -> Iterator[bytes]:
    yield from content
    release()


def _build_file_stem(campaign: Campaign) -> str:
    return archive.sanitise_name(campaign.name) or "campaign"


def _draw_sheet(title: str, spec: CampaignSpec, lines: Sequence[Line], files: ServedFiles) -> bytes:
    """Return a PNG file that shows *lines*; a line without an image shows the reason."""
    from common.images.contact_sheet import Tile, draw_contact_sheet  # noqa: PLC0415  (Pillow, for this alone)

    def build_tile(line: Line) -> Tile:
        data, absence = _fetch_thumbnail(line, files)
        caption = f"{line.recipient.recipient_id}, {line.recipient.arm}"
        return Tile(data, caption, _render_prompt(line, spec), absence)

    with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
        tiles = list(pool.map(build_tile, lines))
    model = ", ".join(dict.fromkeys(arm.request.model for arm in spec.arms))
    return draw_contact_sheet(tiles, title, model=model)


def _fetch_thumbnail(line: Line, files: ServedFiles) -> tuple[bytes | None, str]:
    """Return the thumbnail of a line, if it has one, and else the reason why not."""
    file = line.thumbnail or line.file
    if file is None:
        return None, str(line.status)
    try:
        return files.read_image(file), str(line.status)
    except ObjectMissingError:
        return None, "file missing"


def _render_prompt(line: Line, spec: CampaignSpec) -> str:
    """Return the prompt of a line, or an empty string for an erased recipient."""
    if line.recipient.erased_at is not None:
        return ""
    return rendering.render_prompts(spec.arm(line.recipient.arm), line.recipient.fields).prompt


class ResultSerializer:
    """Converts the result lines of one campaign to their representation."""

    def __init__(self, campaign: Campaign, context: AppContext) -> None:
        self._campaign = campaign
        self._base_url = context.settings.base_url
        self._links = PublicLinks(context.settings.read_secret(), self._base_url)
        self._styles = {arm.name: arm.style for arm in CampaignSpec.from_row(campaign.spec).arms}

    def serialize(self, line: Line) -> ResultLine:
        """Return the representation of *line*; for an erased recipient, only the cost."""
        image = None if line.status is LineStatus.ERASED else line.image
        return ResultLine(
            recipient_id=line.recipient.recipient_id,
            list_number=line.recipient.list_number,
            row=line.recipient.row,
            index=line.index,
            variant=line.recipient.arm,
            style=self._styles.get(line.recipient.arm),
            status=line.status,
            picture=line.picture,
            link=self._link(line),
            image_id=image.id if image else None,
            image_url=f"{self._base_url}/v1/images/{image.id}/content" if image and image.status.is_readable else None,
            seed=line.seed if image else None,
            width=image.width if image else None,
            height=image.height if image else None,
            safety=_serialize_safety(image) if image else None,
            colours=[Colour(**colour) for colour in (image.colours if image else None) or ()],
            palette_score=image.palette_score if image else None,
            cost=LineCost(amount=line.amount, currency=self._campaign.currency),
            rerolls=line.made.rerolls if line.made else 0,
            error=_serialize_error(line),
            values=line.recipient.fields,
        )

    def _link(self, line: Line) -> str | None:
        if not (self._campaign.has_links and line.may_come):
            return None
        return self._links.url(self._campaign, line.recipient.id, line.index)


def encode_jsonl(lines: Iterable[ResultLine]) -> Iterator[bytes]:
    """Yield *lines* as JSON, one to a line."""
    for some in _batch_lines(lines):
        yield "".join(f"{line.model_dump_json()}\n" for line in some).encode()


def encode_csv(lines: Iterable[ResultLine], columns: Sequence[str] = ()) -> Iterator[bytes]:
    """Yield *lines* as CSV (RFC 4180), with cells escaped so that none is a formula.

    The recipients' own *columns* come last; one that is called like a column of the results gets ``(list)`` after it.
    """
    own = [_rename_column(name, columns) if name in COLUMNS else name for name in columns]
    yield (BYTE_ORDER_MARK + _encode_rows([[*COLUMNS, *map(defuse_cell, own)]])).encode()
    for some in _batch_lines(lines):
        yield _encode_rows([_list_cells(line, columns) for line in some]).encode()


def _rename_column(name: str, columns: Sequence[str]) -> str:
    """Return the name that a list's column gets beside the results' column of its name: none that the list has."""
    choices = (f"{name} (list)" if number == 1 else f"{name} (list {number})" for number in count(1))
    return next(each for each in choices if each not in columns)


def _list_cells(line: ResultLine, columns: Sequence[str]) -> list[str]:
    cells = [_format_cell(read(line)) for read in COLUMNS.values()]
    return cells + [_format_cell(line.values.get(column)) for column in columns]


def _format_cell(value: object) -> str:
    return "" if value is None else defuse_cell(str(value))


def _encode_rows(rows: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _batch_lines(lines: Iterable[ResultLine]) -> Iterator[list[ResultLine]]:
    some: list[ResultLine] = []
    for line in lines:
        some.append(line)
        if len(some) == LINES_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _serialize_safety(image: Image) -> LineSafety:
    return LineSafety(verdict=image.verdict, score=max(image.safety.get("scores", {}).values(), default=None))


def _serialize_error(line: Line) -> LineError | None:
    if line.made is None or line.made.error_code is None or line.status in (LineStatus.ERASED, LineStatus.PRINTED):
        return None
    return LineError(code=line.made.error_code, message=line.made.error_message, retryable=line.made.error_retryable)
