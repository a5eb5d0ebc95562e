"""The contact sheet of a campaign's pictures."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from common.campaigns import rendering
from common.campaigns.results.lines import Line
from common.campaigns.spec import CampaignSpec
from common.errors import ObjectMissingError
from common.images.contact_sheet import Print, draw_contact_sheet
from common.storage.port import Storage

FETCHES_AT_ONCE = 8


def draw(title: str, spec: CampaignSpec, lines: Sequence[Line], storage: Storage) -> bytes:
    """Return a PNG file that shows *lines*; one without a picture says why."""
    with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
        prints = list(pool.map(lambda line: _show(line, _read_prompt(line, spec), storage), lines))
    model = ", ".join(dict.fromkeys(arm.request.model for arm in spec.arms))
    return draw_contact_sheet(prints, title, model=model)


def _show(line: Line, prompt: str, storage: Storage) -> Print:
    caption, absence, data = f"{line.recipient.recipient_id}, {line.recipient.arm}", str(line.status), None
    if line.file is not None:
        try:
            data = storage.get(line.file.thumbnail_key or line.file.key)
        except ObjectMissingError:
            absence = "the file is gone"
    return Print(data, caption, prompt, absence)


def _read_prompt(line: Line, spec: CampaignSpec) -> str:
    """Return what was asked for, and nothing of somebody who was erased."""
    if line.recipient.erased_at is not None:
        return ""
    return rendering.render(spec.arm(line.recipient.arm), line.recipient.fields).prompt
