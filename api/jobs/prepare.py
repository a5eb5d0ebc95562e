"""Prepare a request as an spec: apply its style, the safety policy and the prompt rules, or repeat an earlier job."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from api.auth.bearer import current_caller
from api.images.schemas import NewSafety
from api.jobs import resolve
from api.jobs.generation_fields import UNKNOWN_STYLE, GenerationFields, NewAdapter
from api.jobs.schemas import NewJob
from api.runtime.context import current_context
from api.web.errors import RefusedError, refuse_request
from api.web.problems import FieldError
from api.webhooks import receiver_url
from common.images import assets
from common.jobs import key_policy, prompt_text, styles
from common.jobs.spec import JobSpec
from common.jobs.styles import StyleSpec, UnknownStyleError
from common.logs import get_logger
from common.safety import refusal_counts
from common.safety.policy import Policy, PolicyOverrides, Recourse
from common.states.jobs import SafetyMode
from common.states.webhooks import parse_events
from common.tables import Job

log = get_logger(__name__)


def prepare_job(body: NewJob, least: Policy | None = None) -> JobSpec:
    """Return the caller's complete spec for *body*, with style and policy applied; raise RefusedError.

    The policy is at least as strict as *least*.
    """
    context = current_context()
    cards, missing = context.models.cards(), list[str]()
    version, body = apply_style(body, current_caller().owner)
    if body.init_image is not None or body.mask_image is not None:
        with context.database.reading() as session:
            missing = assets.find_missing_assets(session, current_caller().owner, body)
    faults = receiver_url.find_url_faults(body.webhook_url, "/webhook_url")
    spec = resolve.build_job_spec(
        body, cards, context.settings, current_caller().owner, current_caller().key_id, missing, faults
    )
    request = spec.request.model_copy(update={"safety": least})
    return apply_policy(replace(spec, style_version=version, request=request), body.safety)


def prepare_retry(row: Job) -> JobSpec:
    """Return a new spec with the request of *row*, including its seed; raise RefusedError if it cannot be retried."""
    context = current_context()
    with context.database.reading() as session:
        request = key_policy.load_request(session, row)
        missing = assets.find_missing_assets(session, row.owner, request)
    if not row.status.is_terminal:
        raise RefusedError("invalid_state", f"The job is {row.status}; only a finished job can be retried.")
    if row.prompt_erased_at is not None:
        raise RefusedError("prompt_erased", "The prompt of this job was erased, so it cannot be retried.")
    if missing:
        raise RefusedError("unknown_asset", f"The asset for {' and '.join(missing)} has expired or was deleted.")
    resolve.resolve_model(row.model, context.models.cards(), context.settings)
    lifetime: timedelta | None = row.deadline_at - row.created_at if row.deadline_at else None
    spec = JobSpec(
        owner=row.owner,
        key_id=current_caller().key_id,
        request=request,
        priority=row.priority,
        deadline_seconds=lifetime.total_seconds() if lifetime else None,
        annotations=dict(row.annotations),
        retry_of=row.id,
        style_version=row.style_version,
        palette=row.palette,
        webhook_url=row.webhook_url,
        webhook_events=None if row.webhook_events is None else parse_events(row.webhook_events),
    )
    return apply_policy(spec)


def apply_policy(spec: JobSpec, safety: NewSafety | None = None) -> JobSpec:
    """Return *spec* with its safety policy; raise RefusedError if the policy or the prompt is not allowed."""
    policy = _choose_policy(spec, safety)
    _check_prompts(spec)
    return replace(spec, request=spec.request.model_copy(update={"safety": policy}))


def _choose_policy(spec: JobSpec, safety: NewSafety | None) -> Policy:
    settings = current_context().settings
    policy = Policy.of(settings).tighten(current_caller().safety)
    if spec.request.safety is not None:  # what repeats a job must be at least as strict as the original
        policy = policy.tighten(spec.request.safety)
    wanted = (
        PolicyOverrides.model_validate(safety.model_dump(exclude_none=True))
        if safety is not None
        else PolicyOverrides()
    )
    if looser := policy.find_looser(wanted):
        detail = f"/safety/{looser[0]} must not be less strict than the policy of this service or of this API key."
        raise RefusedError("safety_not_configurable", detail)
    if wanted.mode is SafetyMode.ON and policy.mode is SafetyMode.OFF:
        detail = "must be off: the safety check is disabled on this service"
        raise refuse_request([FieldError(code="incompatible", detail=detail, pointer="/safety/mode")])
    policy = policy.tighten(wanted)
    if policy.on_block is Recourse.FALLBACK and settings.fallback_image is None:
        detail = "must be fail or reroll: this service has no fallback image"
        raise refuse_request([FieldError(code="incompatible", detail=detail, pointer="/safety/on_block")])
    return policy


def _check_prompts(spec: JobSpec) -> None:
    context = current_context()
    texts = (spec.request.prompt, spec.request.negative_prompt)
    category = next(filter(None, map(context.prompt_rules.judge, texts)), None)
    if category is None:
        return
    log.info("prompt_refused", category=category)
    with context.database.transaction() as session:
        refusal_counts.count_refusal(session, spec.owner, category)
    raise RefusedError("prompt_rejected", f"This service does not generate content of category {category}.")


L = TypeVar("L", bound=GenerationFields)


@dataclass(frozen=True)
class ResolvedStyle:
    """A style used by a request: the reference to the exact version, and its spec."""

    reference: str
    spec: StyleSpec


def resolve_style(owner: str, reference: str, pointer: str = "/style") -> ResolvedStyle:
    """Return *owner*'s style by reference; raise RefusedError with ``unknown_style`` at *pointer*."""
    try:
        with current_context().database.reading() as session:
            return ResolvedStyle(*styles.resolve_style(session, owner, reference))
    except UnknownStyleError as error:
        raise refuse_request([FieldError(code=error.code, detail=UNKNOWN_STYLE, pointer=pointer)]) from None


def apply_style(body: NewJob, owner: str) -> tuple[str | None, NewJob]:
    """Return the reference of *body*'s style version, if any, and *body* with the style applied."""
    if body.style is None:
        return None, body
    style = resolve_style(owner, body.style)
    prompt = style.spec.wrap(body.prompt)
    if len(prompt) > prompt_text.LONGEST_PROMPT:
        detail = (
            f"must have at most {prompt_text.LONGEST_PROMPT} characters, including the prefix and suffix of its style"
        )
        raise refuse_request([FieldError(code="too_long", detail=detail, pointer="/prompt")])
    return style.reference, fill_from_style(body, style.spec).model_copy(update={"prompt": prompt})


def fill_from_style(body: L, spec: StyleSpec) -> L:
    """Return *body* with its unset fields filled in from *spec*; prompts are not changed."""
    said = {name: value for name, value in spec if value is not None and name in GenerationFields.model_fields}
    if spec.adapters is not None:
        said["adapters"] = [NewAdapter.model_construct(**adapter.model_dump()) for adapter in spec.adapters]
    return body.model_copy(update={name: value for name, value in said.items() if getattr(body, name) is None})
