"""Generate images with a form that applies the model's limits, and follow the job live."""

from tempfile import TemporaryFile
from typing import Any

from flask import jsonify, request
from werkzeug.wrappers import Response

from api.auth.bearer import current_caller
from api.console.access import current_user, require_scope
from api.console.pages import generate_form, generate_repeat
from api.console.pages.code_snippets import render_snippets
from api.console.pages.generate_repeat import RepeatedJob
from api.console.refusals import current_refusal
from api.console.rendering import render_live_fragment, render_page
from api.console.routing import FormPage, register_page
from api.console.urls import build_page_url, redirect_to
from api.images import queries
from api.images.uploads import PICTURE_UPLOAD, receive_picture, sanitize_picture
from api.jobs import prepare, queries as job_queries, resolve, serializers as job_serializers
from api.jobs.schemas import Job, NewJob
from api.jobs.submit import submit_job
from api.runtime.context import current_context
from api.runtime.uploads import takes_upload
from api.web.errors import RefusedError
from api.web.file_routes import sends_files
from api.web.validation import refuse_not_found
from common.access.keys import Scope
from common.db.ids import parse_id
from common.images import assets
from common.images.assets import PictureFile
from common.images.served_files import find_published_file
from common.jobs import styles
from common.jobs.request import OutputFormat
from common.jobs.styles import StyleSpec
from common.models.catalog import ModelCard
from common.tables import Asset

CARD_FIELDS = {
    *("name", "title", "default_width", "default_height", "default_steps", "default_guidance_scale", "min_size"),
    *("max_size", "size_multiple", "fixed_size", "max_steps", "max_images", "schedulers", "negative_prompt", "modes"),
    *("guidance_scale", "adapters"),
}

MOST_STYLES = 100


@register_page("/generate", Scope.JOBS_WRITE)
def show_form() -> Response:
    """Show the form, prefilled from the job in ``job`` if given, and that job."""
    if current_refusal() is not None:
        return _render_form(generate_form.return_generate_form(request.form), _find_repeated(), [])
    job = _find_job(request.args.get("job", ""))
    repeated = None if job is None else generate_repeat.repeat_job(job)
    fields = {} if repeated is None else dict(repeated.fields)
    if request.args.get("seed") != "same":
        fields.pop("seed", None)  # the same seed would give the same image
    start = request.args.get("start", "")
    if start:
        fields |= {"init_image": start, "strength": 0.5, "num_images": 1}
        fields.pop("mask_image", None)
    cards = _list_cards()
    default = resolve.find_default_model(cards, current_context().settings)
    gone = generate_repeat.drop_unavailable(fields, cards, default) if fields and cards else []
    return _render_form(generate_form.fill_generate_form(fields), repeated, gone, job)


@register_page("/generate", Scope.JOBS_WRITE, post=True, form=FormPage("generate:show_form", generate_form.name_field))
def create_job() -> Response:
    """Submit the job; what the form does not have is that of the job which it repeats, if any."""
    fields, repeated = _prefer_style(generate_form.parse_generate_form(request.form)), _find_repeated()
    if repeated is not None:
        fields = repeated.add_palette(fields)
    spec = prepare.prepare_job(NewJob.model_validate(fields), None if repeated is None else repeated.policy)
    job_id = submit_job(spec, None, None).resource.id
    return redirect_to("generate:show_form", job=job_id, seed="same" if request.form.get("seed") else None)


@register_page("/generate/<job_id>/now", Scope.JOBS_READ, live=True)
def show_job_result(job_id: str) -> Response:
    """Return the live progress or the result of a job."""
    job = _find_job(job_id)
    if job is None:
        raise refuse_not_found()
    version = repr(job.model_dump(exclude={"images": {"__all__": {"url", "thumbnail_url", "url_expires_at"}}}))
    return render_live_fragment("generate/print.html", version, **_build_job_values(job))


@register_page("/generate/pictures", Scope.JOBS_WRITE, post=True)
@takes_upload(PICTURE_UPLOAD)
def upload_picture() -> Response:
    """Store an uploaded source image or mask as an asset and return its id."""
    settings = current_context().settings
    return _respond_picture(_store_asset(receive_picture(request, settings.max_asset_bytes)))


@register_page("/generate/assets/<asset_id>", Scope.JOBS_WRITE)
@sends_files
def show_picture(asset_id: str) -> Response:
    """Return one of the owner's own uploads, as the service has rewritten it."""
    asset = _find_asset(asset_id)
    if asset is None:
        raise refuse_not_found()
    data = current_context().files.read_asset(asset, current_caller().owner)
    return Response(data, content_type=assets.CONTENT_TYPE, headers={"Cache-Control": "private, no-cache"})


@register_page("/generate/pictures/<image_id>", Scope.JOBS_WRITE, post=True)
def copy_print_to_asset(image_id: str) -> Response:
    """Store one of the owner's images as a source image, and redirect to the form with it."""
    require_scope(Scope.JOBS_READ)
    found = parse_id(image_id)
    if found is None:
        raise refuse_not_found()
    context = current_context()
    with context.database.reading() as session:
        image = queries.load_image(session, current_caller().owner, found)
    wanted = find_published_file(image)
    if wanted is None:
        raise RefusedError("image_not_readable", f"The image is {image.status} and has no file to start from.")
    asset = _store_asset(_sanitize_bytes(context.files.read_image(wanted)))
    return redirect_to("generate:show_form", job=image.job_id, start=asset.id)


def _find_repeated() -> RepeatedJob | None:
    """Return the job that the form repeats, with what the form does not have; None if it repeats none."""
    try:
        job = _find_job(request.form.get("repeats", ""))
    except RefusedError:  # deleted since; nothing but the strictness of its policy is lost, and its palette
        return None
    return None if job is None else generate_repeat.repeat_job(job)


def _list_cards() -> list[ModelCard]:
    return [card for card in current_context().models.cards() if card.fault is None]


def _render_form(
    fields: dict[str, Any], repeated: RepeatedJob | None, gone: list[str], job: Job | None = None
) -> Response:
    context = current_context()
    cards = _list_cards()
    start, mask = _find_asset(str(fields.get("init_image", ""))), _find_asset(str(fields.get("mask_image", "")))
    worn = []
    if current_user().may(Scope.STYLES_READ):
        with context.database.reading() as session:
            worn = [
                row.name
                for row in styles.list_newest_styles(session, current_caller().owner, after=None, limit=MOST_STYLES)
            ]
    return render_page(
        "generate/form.html",
        cards=[card.model_dump(mode="json", include=CARD_FIELDS) for card in cards],
        default=resolve.find_default_model(cards, context.settings),
        styles=worn,
        formats=[*OutputFormat],
        fields=fields,
        gone=gone,
        repeated=repeated,
        start=None if start is None else _link_asset(start),
        mask=None if mask is None else _link_asset(mask),
        **(_build_job_values(job) if job is not None else {}),
    )


def _build_job_values(job: Job) -> dict[str, Any]:
    recipes = render_snippets(job.request, job.palette, current_context().settings.base_url)
    return {"job": job, "recipes": recipes, "may_make": current_user().may(Scope.JOBS_WRITE)}


def _prefer_style(fields: dict[str, Any]) -> dict[str, Any]:
    """Return *fields* without the fields that its style sets."""
    with current_context().database.reading() as session:
        row = styles.find_style(session, current_caller().owner, str(fields.get("style", "")))
    return fields if row is None else generate_form.drop_styled_fields(fields, StyleSpec.from_row(row.spec))


def _find_job(text: str) -> Job | None:
    job_id, context = parse_id(text), current_context()
    if job_id is None or not current_user().may(Scope.JOBS_READ):
        return None
    with context.database.reading() as session:
        row = job_queries.load_job(session, current_caller().owner, job_id)
        shown = job_serializers.serialize_job(session, row, context)
    return job_serializers.tell_prompt_tokens(shown, context)


def _find_asset(text: str) -> Asset | None:
    asset_id = parse_id(text)
    if asset_id is None:
        return None
    with current_context().database.reading() as session:
        return assets.find_asset(session, current_caller().owner, asset_id)


def _sanitize_bytes(data: bytes) -> PictureFile:
    with TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return sanitize_picture(file)


def _store_asset(file: PictureFile) -> Asset:
    context = current_context()
    most, days = context.settings.max_assets, current_caller().kept.asset_days or context.settings.asset_days
    return assets.create_asset(context.database, context.storage, current_caller().owner, file, days=days, most=most)


def _link_asset(asset: Asset) -> str:
    return build_page_url("generate:show_picture", asset_id=asset.id)


def _respond_picture(asset: Asset) -> Response:
    return jsonify(id=str(asset.id), url=_link_asset(asset), width=asset.width, height=asset.height)
