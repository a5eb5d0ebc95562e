"""Write the results of a campaign as JSON Lines and CSV."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator

from api.campaigns.result_schemas import LineCost, LineError, LineSafety, ResultLine
from api.images.schemas import Colour
from api.runtime.context import AppContext
from common.campaigns.csv_injection import defuse_cell
from common.campaigns.results.lines import Line, LineStatus
from common.campaigns.results.public_links import PublicLinks
from common.campaigns.spec import CampaignSpec
from common.tables import Campaign, Image

LINES_AT_ONCE = 200
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


class ResultSerializer:
    """Converts the result lines of one campaign to their representation."""

    def __init__(self, campaign: Campaign, context: AppContext) -> None:
        self._campaign = campaign
        self._base_url = context.settings.base_url
        self._links = PublicLinks(context.settings.read_secret(), self._base_url)
        self._styles = {arm.name: arm.style for arm in CampaignSpec.from_row(campaign.spec).arms}

    def show(self, line: Line) -> ResultLine:
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
        )

    def _link(self, line: Line) -> str | None:
        if not (self._campaign.has_links and line.may_come):
            return None
        return self._links.url(self._campaign, line.recipient.id, line.index)


def encode_jsonl(lines: Iterable[ResultLine]) -> Iterator[bytes]:
    """Yield *lines* as JSON, one to a line."""
    for some in _batch_lines(lines):
        yield "".join(f"{line.model_dump_json()}\n" for line in some).encode()


def encode_csv(lines: Iterable[ResultLine]) -> Iterator[bytes]:
    """Yield *lines* as CSV (RFC 4180), with cells escaped so that none is a formula."""
    yield (BYTE_ORDER_MARK + _encode_rows([list(COLUMNS)])).encode()
    for some in _batch_lines(lines):
        yield _encode_rows([[_format_cell(read(line)) for read in COLUMNS.values()] for line in some]).encode()


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
