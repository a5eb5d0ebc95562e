"""From what was asked to what will be made: the model's defaults filled in, its limits and the service's held."""

import secrets
from collections.abc import Collection, Iterator, Sequence
from uuid import UUID

from api.jobs.schemas import UNKNOWN_ASSET, NewJob
from api.web.errors import RefusedError, refuse
from api.web.problems import Fault
from common.jobs.request import LARGEST_SEED, Adapter, ImageRequest, Mode, OutputFormat
from common.jobs.spec import Order
from common.models.catalog import ModelCard
from common.settings import Settings
from common.tables.states import Priority
from common.tables.webhook_states import EventType
from common.webhooks.urls import parse

IMAGE_STRENGTH = 0.8
"""Of a request that names an init image but no strength: the default of diffusers, as is 1 where there is a mask."""


def place(
    wish: NewJob,
    cards: Sequence[ModelCard],
    settings: Settings,
    owner: str,
    key_id: UUID,
    missing: Collection[str] = (),
    receiver_faults: Sequence[Fault] = (),
) -> Order:
    """Return the order for *wish*; raise RefusedError with everything that its model or the service forbids.

    *missing* are the fields of *wish* that name no asset of the owner's, *receiver_faults* what the guard has against
    its webhook.
    """
    card = pick(wish.model, cards, settings)
    faults = [
        *_find_faults(wish, card),
        *_find_adapter_faults(wish, card, cards),
        *_find_input_faults(wish, card, missing),
        *_find_webhook_faults(wish),
        *receiver_faults,
    ]
    if faults:
        raise refuse(faults)
    request = _complete(wish, card)
    if request.pixel_steps > settings.max_pixel_steps:
        most = settings.max_pixel_steps
        detail = f"width × height × steps × num_images is {request.pixel_steps}; one job may have {most}."
        raise RefusedError("cost_limit", detail)
    return Order(
        owner=owner,
        key_id=key_id,
        request=request,
        priority=wish.priority or Priority.INTERACTIVE,
        deadline_seconds=wish.deadline_s,
        annotations=dict(wish.metadata or {}),
        palette=wish.palette or None,
        webhook_url=None if wish.webhook_url is None else parse(wish.webhook_url).url,
        webhook_events=None if wish.webhook_events is None else [*map(EventType, dict.fromkeys(wish.webhook_events))],
    )


def default_name(cards: Sequence[ModelCard], settings: Settings) -> str | None:
    """Return the name of the model that a request gets which names none."""
    return settings.default_model or next((card.name for card in cards), None)


def pick(name: str | None, cards: Sequence[ModelCard], settings: Settings) -> ModelCard:
    """Return the card of the model called *name*, or of the default one."""
    wanted = name or default_name(cards, settings)
    for card in cards:
        if card.name == wanted:
            return card
    if name is None:
        raise RefusedError("model_unavailable", "No press has offered the default model yet.")
    detail = "is no model of this service; GET /v1/models lists them"
    raise refuse([Fault(code="unknown_model", detail=detail, pointer="/model")])


def _complete(wish: NewJob, card: ModelCard) -> ImageRequest:
    return ImageRequest(
        prompt=wish.prompt,
        negative_prompt=wish.negative_prompt or "",
        model=card.name,
        width=wish.width or card.default_width,
        height=wish.height or card.default_height,
        steps=wish.steps or card.default_steps,
        guidance_scale=card.default_guidance_scale if wish.guidance_scale is None else wish.guidance_scale,
        seed=secrets.randbelow(LARGEST_SEED + 1) if wish.seed is None else wish.seed,
        num_images=wish.num_images or 1,
        scheduler=wish.scheduler,
        output_format=wish.output_format or OutputFormat.PNG,
        adapters=_complete_adapters(wish, card),
        init_image=wish.init_image,
        mask_image=wish.mask_image,
        strength=_complete_strength(wish),
    )


def _complete_strength(wish: NewJob) -> float:
    if wish.strength is not None:
        return wish.strength
    return IMAGE_STRENGTH if wish.init_image is not None and wish.mask_image is None else 1.0


def _complete_adapters(wish: NewJob, card: ModelCard) -> tuple[Adapter, ...]:
    own = {adapter.name: adapter.default_scale for adapter in card.adapters}
    return tuple(
        Adapter(name=wanted.name, scale=own[wanted.name] if wanted.scale is None else wanted.scale)
        for wanted in wish.adapters or ()
    )


def _find_faults(wish: NewJob, card: ModelCard) -> Iterator[Fault]:
    for name, side in (("width", wish.width), ("height", wish.height)):
        if side is not None and not (card.min_size <= side <= card.max_size and side % card.size_multiple == 0):
            sides = f"{card.min_size} to {card.max_size} and a multiple of {card.size_multiple}"
            yield Fault(code="out_of_range", detail=f"must be {sides} for {card.name}", pointer=f"/{name}")
    for name, number, most in (
        ("steps", wish.steps, card.max_steps),
        ("num_images", wish.num_images, card.max_images),
    ):
        if number is not None and number > most:
            yield Fault(code="out_of_range", detail=f"must be at most {most} for {card.name}", pointer=f"/{name}")
    if wish.scheduler is not None and wish.scheduler not in card.schedulers:
        names = ", ".join(card.schedulers) or "left out"
        yield Fault(
            code="incompatible", detail=f"does not go with model {card.name}: must be {names}", pointer="/scheduler"
        )
    if wish.negative_prompt and not card.negative_prompt:
        yield Fault(
            code="incompatible",
            detail=f"does not go with model {card.name}, which has none",
            pointer="/negative_prompt",
        )


def _find_adapter_faults(wish: NewJob, card: ModelCard, cards: Sequence[ModelCard]) -> Iterator[Fault]:
    own = {adapter.name for adapter in card.adapters}
    known = {adapter.name for each in cards for adapter in each.adapters}
    names = [adapter.name for adapter in wish.adapters or ()]
    for place, name in enumerate(names):
        if name not in known:
            code, detail = "unknown_adapter", "is no adapter of this service; GET /v1/models lists them"
        elif name not in own:
            code, detail = "incompatible", f"does not go with model {card.name}"
        elif name in names[:place]:
            code, detail = "incompatible", "is named twice"
        else:
            continue
        yield Fault(code=code, detail=detail, pointer=f"/adapters/{place}/name")


def _find_webhook_faults(wish: NewJob) -> Iterator[Fault]:
    if wish.webhook_events is not None and wish.webhook_url is None:
        yield Fault(code="incompatible", detail="goes with a webhook_url only", pointer="/webhook_events")


def _find_input_faults(wish: NewJob, card: ModelCard, missing: Collection[str]) -> Iterator[Fault]:
    for name in missing:
        yield Fault(code="unknown_asset", detail=UNKNOWN_ASSET, pointer=f"/{name}")
    for name, given in (("mask_image", wish.mask_image), ("strength", wish.strength)):
        if given is not None and wish.init_image is None:
            yield Fault(code="incompatible", detail="goes with an init_image only", pointer=f"/{name}")
    mode = Mode.TEXT if wish.init_image is None else Mode.IMAGE if wish.mask_image is None else Mode.INPAINT
    if mode not in card.modes:
        name = "mask_image" if mode is Mode.INPAINT else "init_image"
        able = ", ".join(card.modes)
        yield Fault(code="incompatible", detail=f"{card.name} works in these modes: {able}", pointer=f"/{name}")
    steps = wish.steps or card.default_steps
    if wish.init_image is not None and int(steps * _complete_strength(wish)) < 1:
        detail = f"leaves none of {steps} steps to take"
        yield Fault(code="out_of_range", detail=detail, pointer="/strength")
