"""A job's input images: fetched, verified against their digests, safety-checked and decoded."""

import hashlib
import io
from uuid import UUID

from PIL import Image

from common.errors import InputBlockedError, InputMissingError, ObjectMissingError
from common.images import assets
from common.jobs.request import ImageRequest, Mode
from common.logs import get_logger
from common.states.jobs import Verdict
from common.tables import Asset
from worker.checkers.interface import Finding, check_picture
from worker.engine.interface import Inputs
from worker.pictures import masks
from worker.pictures.safety_verdict import CheckedPicture
from worker.press.held_job import HeldJob
from worker.press.press import Press

log = get_logger(__name__)


def fetch_inputs(press: Press, work: HeldJob) -> Inputs:
    """Return the job's input images; most jobs have none.

    Raises InputMissingError, InputBlockedError, InvalidMaskError, SafetyUnavailableError, StorageError or
    DatabaseUnavailableError.
    """
    request, owner = work.claim.request, work.claim.owner
    if request.mode is Mode.TEXT:
        return Inputs()
    init = _open_input(press, owner, request, request.init_image)
    mask = None if request.mask_image is None else _open_input(press, owner, request, request.mask_image)
    return Inputs(init.convert("RGB"), None if mask is None else masks.read_mask(mask))


def fetch_fallback(press: Press, work: HeldJob) -> CheckedPicture | None:
    """Return the image that replaces blocked images of the job, with its finding; None if it is gone or was changed.

    Raises SafetyUnavailableError, StorageError or DatabaseUnavailableError.
    """
    try:
        return _open_asset(press, work.claim.owner, work.claim.request.fallback_image)[0]
    except InputMissingError as error:
        log.warning("fallback_missing", job_id=str(work.claim.job_id), reason=error.message)
        return None


def _open_input(press: Press, owner: str, request: ImageRequest, asset_id: UUID | None) -> Image.Image:
    """Return an input image, which passes the safety check, with its transparency if it has any."""
    picture, original = _open_asset(press, owner, asset_id)
    if press.safety.decide_verdict(request, picture.finding) is Verdict.BLOCK:
        raise InputBlockedError
    return original


def _open_asset(press: Press, owner: str, asset_id: UUID | None) -> tuple[CheckedPicture, Image.Image]:
    """Return an asset in RGB with its finding, and as it is stored."""
    with press.database.reading() as session:
        asset = None if asset_id is None else assets.find_named_asset(session, owner, asset_id)
    if asset is None:
        raise InputMissingError
    try:
        data = press.storage.get(asset.storage_key)
    except ObjectMissingError:
        raise InputMissingError from None
    if hashlib.sha256(data).hexdigest() != asset.sha256:
        raise InputMissingError("An input image of the job does not match its upload.")
    with Image.open(io.BytesIO(data), formats=("PNG",)) as file:
        stored = file.copy()
    picture = stored.convert("RGB")  # whatever is transparent lies on white already
    return CheckedPicture(picture, _check_asset(press, asset, picture)), stored


def _check_asset(press: Press, asset: Asset, picture: Image.Image) -> Finding:
    """Return the finding for an asset: the stored one if the same checker made it, otherwise a new one."""
    if asset.verdict is not None and asset.safety.items() >= press.checker.policy.items():
        return Finding.from_json(asset.safety)
    finding = check_picture(press.checker, picture)
    log.info("input_checked", asset_id=str(asset.id), verdict=finding.verdict)
    with press.database.transaction() as session:
        assets.record_verdict(session, asset.id, finding.verdict, finding.as_json())
    return finding
