"""Make: order a picture by a form that knows what the model takes, watch it being printed, and go on from it."""

from tempfile import TemporaryFile
from typing import Any

from flask import jsonify, request
from werkzeug.wrappers import Response

from api.auth.bearer import caller
from api.console.access import demand, visitor
from api.console.pages import generate_form
from api.console.pages.code_snippets import write_recipes
from api.console.rendering import render, render_live, show_locally
from api.console.routing import page
from api.console.urls import lead_to
from api.images import queries, serializers
from api.images.uploads import receive, redraw
from api.jobs import prepare, queries as job_queries, resolve, serializers as job_serializers
from api.jobs.schemas import Job, NewJob
from api.jobs.submit import submit
from api.runtime.context import services
from api.web.errors import RefusedError
from api.web.validation import not_found
from common.ids import parse_id
from common.images import assets
from common.images.assets import PictureFile
from common.jobs import styles
from common.jobs.styles import StyleSpec
from common.keys import Scope
from common.storage.links import Linked
from common.tables import Asset

CARD_FIELDS = {
    *("name", "title", "default_width", "default_height", "default_steps", "default_guidance_scale", "min_size"),
    *("max_size", "size_multiple", "max_steps", "max_images", "schedulers", "negative_prompt", "modes", "adapters"),
}

MOST_STYLES = 100


@page("/make", Scope.JOBS_WRITE)
def show_form() -> Response:
    """Show the form, filled in as for the job that the address names, and that job."""
    job = _find_job(request.args.get("job", ""))
    wish = {} if job is None else generate_form.of_request(job.request)
    if "seed" in wish and request.args.get("seed") != "same":
        del wish["seed"]  # the same again would be the same picture again
    start = request.args.get("start", "")
    if start:
        wish |= {"init_image": start, "strength": 0.5, "num_images": 1}
        wish.pop("mask_image", None)
    return _show(wish, job)


@page("/make", Scope.JOBS_WRITE, post=True)
def make() -> Response:
    """Order what the form says; or show it again, with what is wrong with it."""
    wish = generate_form.read(request.form)
    try:
        order = prepare.place(NewJob.model_validate(_heed_style(wish)))
        job_id, _ = submit(order, None, None)
    except RefusedError as refused:
        return _show(wish, None, refused)
    return lead_to("generate:show_form", job=job_id, seed="same" if request.form.get("seed") else None)


@page("/make/<job_id>/now", Scope.JOBS_READ, live=True)
def show_print(job_id: str) -> Response:
    """Show how a job gets on, or what came of it."""
    job = _find_job(job_id)
    if job is None:
        raise not_found()
    version = repr(job.model_dump(exclude={"images": {"__all__": {"url", "thumbnail_url", "url_expires_at"}}}))
    return render_live("generate/print.html", version, **_tell(job))


@page("/make/pictures", Scope.JOBS_WRITE, post=True)
def take_picture() -> Response:
    """Keep a picture to start from, or a mask that was drawn over one; answer with its id."""
    settings = services().settings
    return _answer_picture(_keep(receive(request, settings.max_asset_bytes)))


@page("/make/pictures/<image_id>", Scope.JOBS_WRITE, post=True)
def take_print(image_id: str) -> Response:
    """Keep one of the owner's prints as a picture to start from, and lead to the form that does."""
    demand(Scope.JOBS_READ)
    found = parse_id(image_id)
    if found is None:
        raise not_found()
    context = services()
    with context.database.reading() as session:
        image = queries.find_image(session, caller().owner, found)
    wanted = serializers.file_of(image)
    if wanted is None:
        raise RefusedError("image_not_readable", f"The image is {image.status}; there is no file of it to start from.")
    asset = _keep(_redraw(context.storage.get(wanted.key)))
    return lead_to("generate:show_form", job=image.job_id, start=asset.id)


def _show(wish: dict[str, Any], job: Job | None, refused: RefusedError | None = None) -> Response:
    context = services()
    cards = context.offer.cards()
    start = _find_asset(str(wish.get("init_image", "")))
    worn = []
    if visitor().may(Scope.STYLES_READ):
        with context.database.reading() as session:
            worn = [row.name for row in styles.list_newest(session, caller().owner, after=None, limit=MOST_STYLES)]
    return render(
        "generate/form.html",
        200 if refused is None else 422,
        cards=[card.model_dump(mode="json", include=CARD_FIELDS) for card in cards],
        default=resolve.default_name(cards, context.settings),
        styles=worn,
        wish=generate_form.fill(wish),
        refused=refused,
        start=None if start is None else _link_asset(start),
        **(_tell(job) if job is not None else {}),
    )


def _tell(job: Job) -> dict[str, Any]:
    recipes = write_recipes(job.request, services().settings.base_url)
    return {"job": job, "recipes": recipes, "may_make": visitor().may(Scope.JOBS_WRITE)}


def _heed_style(wish: dict[str, Any]) -> dict[str, Any]:
    """Return *wish* with its style going before what the form says besides."""
    with services().database.reading() as session:
        row = styles.find(session, caller().owner, str(wish.get("style", "")))
    return wish if row is None else generate_form.leave_to_style(wish, StyleSpec.from_row(row.spec))


def _find_job(text: str) -> Job | None:
    job_id, context = parse_id(text), services()
    if job_id is None or not visitor().may(Scope.JOBS_READ):
        return None
    with context.database.reading() as session:
        return job_serializers.show_job(session, job_queries.find_job(session, caller().owner, job_id), context)


def _find_asset(text: str) -> Asset | None:
    asset_id = parse_id(text)
    if asset_id is None:
        return None
    with services().database.reading() as session:
        return assets.find(session, caller().owner, asset_id)


def _redraw(data: bytes) -> PictureFile:
    with TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return redraw(file)


def _keep(file: PictureFile) -> Asset:
    context = services()
    most, days = context.settings.max_assets, caller().kept.asset_days or context.settings.asset_days
    return assets.add(context.database, context.storage, caller().owner, file, days=days, most=most)


def _link_asset(asset: Asset) -> str:
    linked = Linked(asset.storage_key, assets.CONTENT_TYPE, f"{asset.id}.png")
    return show_locally(serializers.sign(linked, services()))


def _answer_picture(asset: Asset) -> Response:
    return jsonify(id=str(asset.id), url=_link_asset(asset), width=asset.width, height=asset.height)
