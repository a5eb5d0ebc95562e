"""Resolve a request to a complete job spec: fill in the model's defaults and check all limits."""

import secrets
from collections.abc import Collection, Iterator, Sequence
from uuid import UUID

from api.jobs.schemas import UNKNOWN_ASSET, NewJob
from api.web.errors import RefusedError, refuse_request
from api.web.problems import FieldError
from common.jobs.request import LARGEST_SEED, Adapter, ImageRequest, Mode, OutputFormat
from common.jobs.spec import JobSpec
from common.models.catalog import ModelCard
from common.settings import Settings
from common.states.jobs import Priority
from common.states.webhooks import EventType
from common.webhooks.urls import parse_url

IMAGE_STRENGTH = 0.8
"""The default strength with an init image, as in diffusers; with a mask it is 1."""


def build_job_spec(
    body: NewJob,
    cards: Sequence[ModelCard],
    settings: Settings,
    owner: str,
    key_id: UUID,
    missing: Collection[str] = (),
    receiver_faults: Sequence[FieldError] = (),
) -> JobSpec:
    """Return the job spec for *body*; raise RefusedError with every fault found.

    *missing* lists the fields of *body* that name an unknown asset, *receiver_faults* the faults of its webhook URL.
    """
    card = resolve_model(body.model, cards, settings)
    faults = [
        *_find_faults(body, card),
        *_find_adapter_faults(body, card, cards),
        *_find_input_faults(body, card, missing),
        *_find_webhook_faults(body),
        *receiver_faults,
    ]
    if faults:
        raise refuse_request(faults)
    request = _build_request(body, card)
    if request.pixel_steps > settings.max_pixel_steps:
        most = settings.max_pixel_steps
        detail = f"width × height × steps × num_images is {request.pixel_steps}; it must not exceed {most}."
        raise RefusedError("cost_limit", detail)
    return JobSpec(
        owner=owner,
        key_id=key_id,
        request=request,
        priority=body.priority or Priority.INTERACTIVE,
        deadline_seconds=body.deadline_s,
        annotations=dict(body.metadata or {}),
        palette=body.palette or None,
        webhook_url=None if body.webhook_url is None else parse_url(body.webhook_url).url,
        webhook_events=None if body.webhook_events is None else [*map(EventType, dict.fromkeys(body.webhook_events))],
    )


def find_default_model(cards: Sequence[ModelCard], settings: Settings) -> str | None:
    """Return the name of the model used when a request names none."""
    return settings.default_model or next((card.name for card in cards), None)


def resolve_model(name: str | None, cards: Sequence[ModelCard], settings: Settings) -> ModelCard:
    """Return the card of the model *name*, or of the default model."""
    wanted = name or find_default_model(cards, settings)
    for card in cards:
        if card.name == wanted and card.fault is None:
            return card
        if card.name == wanted:
            raise RefusedError("model_unavailable", f"No press can use the model {card.name}: {card.fault}")
    if name is None:
        raise RefusedError("model_unavailable", "No press has registered the default model yet.")
    detail = "unknown model; see GET /v1/models"
    raise refuse_request([FieldError(code="unknown_model", detail=detail, pointer="/model")])


def _build_request(body: NewJob, card: ModelCard) -> ImageRequest:
    return ImageRequest(
        prompt=body.prompt,
        negative_prompt=body.negative_prompt or "",
        model=card.name,
        width=body.width or card.default_width,
        height=body.height or card.default_height,
        steps=body.steps or card.default_steps,
        guidance_scale=card.default_guidance_scale if body.guidance_scale is None else body.guidance_scale,
        seed=secrets.randbelow(LARGEST_SEED + 1) if body.seed is None else body.seed,
        num_images=body.num_images or 1,
        scheduler=body.scheduler,
        output_format=body.output_format or OutputFormat.PNG,
        adapters=_resolve_adapters(body, card),
        init_image=body.init_image,
        mask_image=body.mask_image,
        strength=_resolve_strength(body),
    )


def _resolve_strength(body: NewJob) -> float:
    if body.strength is not None:
        return body.strength
    return IMAGE_STRENGTH if body.init_image is not None and body.mask_image is None else 1.0


def _resolve_adapters(body: NewJob, card: ModelCard) -> tuple[Adapter, ...]:
    own = {adapter.name: adapter.default_scale for adapter in card.adapters}
    return tuple(
        Adapter(name=wanted.name, scale=own[wanted.name] if wanted.scale is None else wanted.scale)
        for wanted in body.adapters or ()
    )


def _find_faults(body: NewJob, card: ModelCard) -> Iterator[FieldError]:
    for name, side, default in (
        ("width", body.width, card.default_width),
        ("height", body.height, card.default_height),
    ):
        if side is not None and (detail := _find_side_fault(side, default, card)) is not None:
            yield FieldError(code="out_of_range", detail=detail, pointer=f"/{name}")
    for name, number, most in (
        ("steps", body.steps, card.max_steps),
        ("num_images", body.num_images, card.max_images),
    ):
        if number is not None and number > most:
            yield FieldError(code="out_of_range", detail=f"must be at most {most} for {card.name}", pointer=f"/{name}")
    if body.scheduler is not None and body.scheduler not in card.schedulers:
        names = ", ".join(card.schedulers) or "none"
        yield FieldError(
            code="incompatible", detail=f"is not supported by model {card.name}; allowed: {names}", pointer="/scheduler"
        )
    is_scale_given = body.guidance_scale is not None and body.guidance_scale != card.default_guidance_scale
    for name, is_refused in (
        ("negative_prompt", body.negative_prompt and not card.negative_prompt),
        ("guidance_scale", is_scale_given and card.guidance_scale is False),
    ):
        if is_refused:
            yield FieldError(code="incompatible", detail=f"is not supported by model {card.name}", pointer=f"/{name}")


def _find_side_fault(side: int, default: int, card: ModelCard) -> str | None:
    if card.fixed_size:
        size = f"{card.default_width} × {card.default_height}"
        return None if side == default else f"must be {default}; {card.name} generates {size} pixels only"
    if card.min_size <= side <= card.max_size and side % card.size_multiple == 0:
        return None
    sides = f"{card.min_size} to {card.max_size} and a multiple of {card.size_multiple} for {card.name}"
    return f"must be {sides}; the nearest is {card.find_nearest_side(side)}"


def _find_adapter_faults(body: NewJob, card: ModelCard, cards: Sequence[ModelCard]) -> Iterator[FieldError]:
    own = {adapter.name for adapter in card.adapters}
    known = {adapter.name for each in cards for adapter in each.adapters}
    names = [adapter.name for adapter in body.adapters or ()]
    for place, name in enumerate(names):
        if name not in known:
            code, detail = "unknown_adapter", "unknown adapter; see GET /v1/models"
        elif name not in own:
            code, detail = "incompatible", f"is not supported by model {card.name}"
        elif name in names[:place]:
            code, detail = "incompatible", "must be unique"
        else:
            continue
        yield FieldError(code=code, detail=detail, pointer=f"/adapters/{place}/name")


def _find_webhook_faults(body: NewJob) -> Iterator[FieldError]:
    if body.webhook_events is not None and body.webhook_url is None:
        yield FieldError(code="incompatible", detail="requires webhook_url", pointer="/webhook_events")


def _find_input_faults(body: NewJob, card: ModelCard, missing: Collection[str]) -> Iterator[FieldError]:
    for name in missing:
        yield FieldError(code="unknown_asset", detail=UNKNOWN_ASSET, pointer=f"/{name}")
    for name, given in (("mask_image", body.mask_image), ("strength", body.strength)):
        if given is not None and body.init_image is None:
            yield FieldError(code="incompatible", detail="requires init_image", pointer=f"/{name}")
    mode = Mode.TEXT if body.init_image is None else Mode.IMAGE if body.mask_image is None else Mode.INPAINT
    if mode not in card.modes:
        name = "mask_image" if mode is Mode.INPAINT else "init_image"
        able = ", ".join(card.modes)
        yield FieldError(
            code="incompatible",
            detail=f"is not supported by model {card.name}; supported modes: {able}",
            pointer=f"/{name}",
        )
    steps = body.steps or card.default_steps
    if body.init_image is not None and int(steps * _resolve_strength(body)) < 1:
        detail = f"is too low: with {steps} steps, no step would be run"
        yield FieldError(code="out_of_range", detail=detail, pointer="/strength")
