"""Draw the contact sheet of a campaign's images."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from common.campaigns import rendering
from common.campaigns.results.lines import Line
from common.campaigns.spec import CampaignSpec
from common.errors import ObjectMissingError
from common.images.contact_sheet import Tile, draw_contact_sheet
from common.storage.port import Storage

FETCHES_AT_ONCE = 8


def draw_campaign_sheet(title: str, spec: CampaignSpec, lines: Sequence[Line], storage: Storage) -> bytes:
    """Return a PNG file that shows *lines*; a line without an image shows the reason."""
    with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
        prints = list(pool.map(lambda line: _build_tile(line, _render_prompt(line, spec), storage), lines))
    model = ", ".join(dict.fromkeys(arm.request.model for arm in spec.arms))
    return draw_contact_sheet(prints, title, model=model)


def _build_tile(line: Line, prompt: str, storage: Storage) -> Tile:
    caption, absence, data = f"{line.recipient.recipient_id}, {line.recipient.arm}", str(line.status), None
    if line.file is not None:
        try:
            data = storage.get(line.file.thumbnail_key or line.file.key)
        except ObjectMissingError:
            absence = "file missing"
    return Tile(data, caption, prompt, absence)


def _render_prompt(line: Line, spec: CampaignSpec) -> str:
    """Return the prompt of a line, or an empty string for an erased recipient."""
    if line.recipient.erased_at is not None:
        return ""
    return rendering.render_prompts(spec.arm(line.recipient.arm), line.recipient.fields).prompt
