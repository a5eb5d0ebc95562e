"""Build a campaign's spec from a request: resolve styles, fill in defaults and check limits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from api.auth.bearer import current_caller
from api.campaigns.schemas import Defaults, NewCampaign, NewTemplate, NewVariant
from api.jobs import prepare, resolve
from api.jobs.schemas import UNKNOWN_ASSET, NewJob
from api.runtime.context import current_context
from api.web.errors import RefusedError, refuse_request
from api.web.problems import FieldError
from common.campaigns import templates
from common.campaigns.spec import Arm, CampaignSpec, OnBlock, SeedRule, Template
from common.campaigns.templates import TemplateError
from common.clock import utcnow
from common.images import assets
from common.jobs.spec import JobSpec
from common.safety import refusal_counts

LONGEST_TEMPLATES = 40_000
"""Characters of a campaign's templates, those of its arms included."""

SAMPLE_PROMPT = "x"
"""Placeholder for the recipients' prompts while an arm's request is built."""


def build_campaign_spec(body: NewCampaign) -> CampaignSpec:
    """Return the campaign spec for *body*; raise RefusedError with every fault found."""
    faults = [*_find_faults(body), *_find_template_faults(body)]
    if faults:
        raise refuse_request(faults)
    arms = tuple(_build_arms(body))
    if body.palette_floor is not None and not all(arm.palette for arm in arms):
        detail = "requires a palette in every arm, from a style or the defaults"
        raise refuse_request([FieldError(code="incompatible", detail=detail, pointer="/palette_floor")])
    said = body.model_dump(exclude_none=True, include=set(CampaignSpec.model_fields) - {"arms"})
    return CampaignSpec(arms=arms, **said)


def _find_faults(body: NewCampaign) -> Iterator[FieldError]:
    if body.seed is not None and body.seed_rule is not SeedRule.FIXED:
        yield FieldError(code="incompatible", detail="requires seed_rule fixed", pointer="/seed")
    if (body.fallback_image is not None) != (body.on_block is OnBlock.FALLBACK):
        detail = "must be set if and only if on_block is fallback"
        yield FieldError(code="incompatible", detail=detail, pointer="/fallback_image")
    if body.webhook_events is not None and body.webhook_url is None:
        yield FieldError(code="incompatible", detail="requires webhook_url", pointer="/webhook_events")
    if body.deadline is not None and body.deadline <= max(utcnow(), body.start_at or utcnow()):
        yield FieldError(code="out_of_range", detail="must be in the future and after start_at", pointer="/deadline")
    names = [variant.name for variant in body.variants or ()]
    for place, name in enumerate(names):
        if name in names[:place]:
            yield FieldError(code="incompatible", detail="must be unique", pointer=f"/variants/{place}/name")
    if body.fallback_image is not None:
        with current_context().database.reading() as session:
            if assets.find_asset(session, current_caller().owner, body.fallback_image) is None:
                yield FieldError(code="unknown_asset", detail=UNKNOWN_ASSET, pointer="/fallback_image")


def _find_template_faults(body: NewCampaign) -> Iterator[FieldError]:
    found = [("/template", body.template)]
    found += [
        (f"/variants/{place}/template", variant.template)
        for place, variant in enumerate(body.variants or ())
        if variant.template is not None
    ]
    if sum(len(each.prompt) + len(each.negative_prompt or "") for _, each in found) > LONGEST_TEMPLATES:
        detail = f"all templates together must have at most {LONGEST_TEMPLATES} characters"
        yield FieldError(code="too_long", detail=detail, pointer="/template")
        return
    for pointer, template in found:
        for name in ("prompt", "negative_prompt"):
            source = getattr(template, name) or ""
            try:
                templates.compile_template(source)
            except TemplateError as error:
                yield FieldError(code=error.code, detail=error.message, pointer=f"{pointer}/{name}")
            _check_template(source)


def _check_template(source: str) -> None:
    """Raise RefusedError if the fixed text of a template breaks the prompt rules; recipient values are not checked."""
    context = current_context()
    category = context.prompt_rules.judge_template(source)
    if category is None:
        return
    with context.database.transaction() as session:
        refusal_counts.count_refusal(session, current_caller().owner, category)
    raise RefusedError("prompt_rejected", f"This service does not generate content of category {category}.")


def _build_arms(body: NewCampaign) -> Iterator[Arm]:
    if not body.variants:
        yield _build_arm(body, NewVariant(name="main"), "")
    for place, variant in enumerate(body.variants or ()):
        yield _build_arm(body, variant, f"/variants/{place}")


def _build_arm(body: NewCampaign, variant: NewVariant, pointer: str) -> Arm:
    style, style_pointer = (variant.style, pointer) if variant.style is not None else (body.style, "")
    resolved = None if style is None else prepare.resolve_style(current_caller().owner, style, f"{style_pointer}/style")
    look = _merge_defaults(body.defaults, variant.defaults)
    if resolved is not None:
        look = prepare.fill_from_style(look, resolved.spec)
    words = _merge_templates(body.template, variant.template)
    with _prefix_pointers(f"{pointer}/defaults"):
        job = _resolve_arm_job(look, words)
    request = job.request.model_copy(
        update={"prompt": "", "negative_prompt": look.negative_prompt or "", "seed": 0, "num_images": 1}
    )
    return Arm(
        name=variant.name,
        weight=variant.weight or 1,
        template=words,
        prefix=resolved.spec.prompt_prefix if resolved else "",
        suffix=resolved.spec.prompt_suffix if resolved else "",
        style=resolved.reference if resolved else None,
        palette=tuple(job.palette or ()),
        request=request,
    )


def _merge_defaults(base: Defaults | None, own: Defaults | None) -> Defaults:
    merged: dict[str, Any] = {}
    for each in (base, own):
        merged |= {name: getattr(each, name) for name in each.model_fields_set} if each is not None else {}
    return Defaults.model_construct(**merged)


def _merge_templates(base: NewTemplate, own: NewTemplate | None) -> Template:
    negative = base.negative_prompt if own is None or own.negative_prompt is None else own.negative_prompt
    return Template(prompt=(own or base).prompt, negative_prompt=negative or "")


def _resolve_arm_job(look: Defaults, words: Template) -> JobSpec:
    """Return the job spec for one image of an arm, as if it had been requested as a single job."""
    context = current_context()
    said = dict(look)
    if words.negative_prompt:
        said["negative_prompt"] = SAMPLE_PROMPT  # so that a model without support for it is reported
    body = NewJob.model_construct(prompt=SAMPLE_PROMPT, **said)
    job = resolve.build_job_spec(
        body, context.models.cards(), context.settings, current_caller().owner, current_caller().key_id
    )
    return prepare.apply_policy(job)


@contextmanager
def _prefix_pointers(pointer: str) -> Iterator[None]:
    """Prefix the pointers of faults in a job's fields with their place in the campaign."""
    try:
        yield
    except RefusedError as error:
        if not error.faults:
            raise
        faults = [fault.model_copy(update={"pointer": f"{pointer}{fault.pointer}"}) for fault in error.faults]
        raise refuse_request(faults) from None
