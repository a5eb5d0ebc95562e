"""From what was asked of a campaign to its spec: styles resolved, every default filled in, every limit held."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from api.auth.bearer import caller
from api.campaigns.schemas import Defaults, NewCampaign, NewTemplate, NewVariant
from api.jobs import prepare, resolve
from api.jobs.schemas import UNKNOWN_ASSET, NewJob
from api.runtime.context import services
from api.web.errors import RefusedError, refuse
from api.web.problems import Fault
from common.campaigns import templates
from common.campaigns.spec import Arm, CampaignSpec, OnBlock, SeedRule, Template
from common.campaigns.templates import TemplateError
from common.clock import utcnow
from common.images import assets
from common.jobs.spec import Order
from common.safety import refusal_counts

SAMPLE = "x"
"""Stands for the prompts of recipients while an arm's request is made."""


def make(body: NewCampaign) -> CampaignSpec:
    """Return the spec of what *body* asks for; raise RefusedError with the places at fault."""
    faults = [*_find_faults(body), *_find_template_faults(body)]
    if faults:
        raise refuse(faults)
    arms = tuple(_make_arms(body))
    if body.palette_floor is not None and not all(arm.palette for arm in arms):
        detail = "needs a palette, by a style or the defaults, in every arm"
        raise refuse([Fault(code="incompatible", detail=detail, pointer="/palette_floor")])
    said = body.model_dump(exclude_none=True, include=set(CampaignSpec.model_fields) - {"arms"})
    return CampaignSpec(arms=arms, **said)


def _find_faults(body: NewCampaign) -> Iterator[Fault]:
    if body.seed is not None and body.seed_rule is not SeedRule.FIXED:
        yield Fault(code="incompatible", detail="goes with the seed_rule fixed only", pointer="/seed")
    if (body.fallback_image is not None) != (body.on_block is OnBlock.FALLBACK):
        detail = "goes with on_block fallback, and that with it"
        yield Fault(code="incompatible", detail=detail, pointer="/fallback_image")
    if body.webhook_events is not None and body.webhook_url is None:
        yield Fault(code="incompatible", detail="goes with a webhook_url only", pointer="/webhook_events")
    if body.deadline is not None and body.deadline <= max(utcnow(), body.start_at or utcnow()):
        yield Fault(code="out_of_range", detail="must lie ahead, and after start_at", pointer="/deadline")
    names = [variant.name for variant in body.variants or ()]
    for place, name in enumerate(names):
        if name in names[:place]:
            yield Fault(code="incompatible", detail="is named twice", pointer=f"/variants/{place}/name")
    if body.fallback_image is not None:
        with services().database.reading() as session:
            if assets.find(session, caller().owner, body.fallback_image) is None:
                yield Fault(code="unknown_asset", detail=UNKNOWN_ASSET, pointer="/fallback_image")


def _find_template_faults(body: NewCampaign) -> Iterator[Fault]:
    found = [("/template", body.template)]
    found += [
        (f"/variants/{place}/template", variant.template)
        for place, variant in enumerate(body.variants or ())
        if variant.template is not None
    ]
    for pointer, template in found:
        for name in ("prompt", "negative_prompt"):
            source = getattr(template, name) or ""
            try:
                templates.read(source)
            except TemplateError as error:
                yield Fault(code=error.code, detail=error.message, pointer=f"{pointer}/{name}")
            _judge(source)


def _judge(source: str) -> None:
    """Raise RefusedError for the words of a template that no prompt may hold; what recipients put in is not asked."""
    context = services()
    category = context.prompt_rules.judge_template(source)
    if category is None:
        return
    with context.database.transaction() as session:
        refusal_counts.count(session, caller().owner, category)
    raise RefusedError("prompt_rejected", f"This service does not print: {category}.")


def _make_arms(body: NewCampaign) -> Iterator[Arm]:
    if not body.variants:
        yield _make_arm(body, NewVariant(name="main"), "")
    for place, variant in enumerate(body.variants or ()):
        yield _make_arm(body, variant, f"/variants/{place}")


def _make_arm(body: NewCampaign, variant: NewVariant, pointer: str) -> Arm:
    style, style_pointer = (variant.style, pointer) if variant.style is not None else (body.style, "")
    worn = None if style is None else prepare.find(caller().owner, style, f"{style_pointer}/style")
    look = _merge(body.defaults, variant.defaults)
    if worn is not None:
        look = prepare.fill(look, worn.spec)
    words = _merge_words(body.template, variant.template)
    with _pointing(f"{pointer}/defaults"):
        order = _place(look, words)
    request = order.request.model_copy(
        update={"prompt": "", "negative_prompt": look.negative_prompt or "", "seed": 0, "num_images": 1}
    )
    return Arm(
        name=variant.name,
        weight=variant.weight or 1,
        template=words,
        prefix=worn.spec.prompt_prefix if worn else "",
        suffix=worn.spec.prompt_suffix if worn else "",
        style=worn.reference if worn else None,
        palette=tuple(order.palette or ()),
        request=request,
    )


def _merge(base: Defaults | None, own: Defaults | None) -> Defaults:
    merged: dict[str, Any] = {}
    for each in (base, own):
        merged |= {name: getattr(each, name) for name in each.model_fields_set} if each is not None else {}
    return Defaults.model_construct(**merged)


def _merge_words(base: NewTemplate, own: NewTemplate | None) -> Template:
    negative = base.negative_prompt if own is None or own.negative_prompt is None else own.negative_prompt
    return Template(prompt=(own or base).prompt, negative_prompt=negative or "")


def _place(look: Defaults, words: Template) -> Order:
    """Return the order for one print of an arm, as if somebody had asked for just that."""
    context = services()
    said = dict(look)
    if words.negative_prompt:
        said["negative_prompt"] = SAMPLE  # so that a model without any is told of
    wish = NewJob.model_construct(prompt=SAMPLE, **said)
    order = resolve.place(wish, context.offer.cards(), context.settings, caller().owner, caller().key_id)
    return prepare.admit(order)


@contextmanager
def _pointing(pointer: str) -> Iterator[None]:
    """Have faults of a job's fields point to where a campaign has them."""
    try:
        yield
    except RefusedError as error:
        if not error.faults:
            raise
        faults = [fault.model_copy(update={"pointer": f"{pointer}{fault.pointer}"}) for fault in error.faults]
        raise refuse(faults) from None
