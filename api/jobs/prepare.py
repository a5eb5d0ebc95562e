"""How a style is put on: a wish keeps what it says itself, and the style says the rest."""

from dataclasses import dataclass, replace
from typing import TypeVar

from api.auth.bearer import caller
from api.images.schemas import NewSafety
from api.jobs import resolve
from api.jobs.generation_fields import UNKNOWN_STYLE, Look, NewAdapter
from api.jobs.schemas import NewJob
from api.runtime.context import services
from api.web.errors import RefusedError, refuse
from api.web.problems import Fault
from api.webhooks import receiver_url
from common.images import assets
from common.jobs import prompt_text, styles
from common.jobs.spec import Order
from common.jobs.styles import StyleSpec, UnknownStyleError
from common.logs import get_logger
from common.safety import refusal_counts
from common.safety.policy import Policy, Recourse, Wish
from common.tables.states import SafetyMode

logger = get_logger(__name__)


def admit(order: Order, wish: NewSafety | None = None) -> Order:
    """Return *order* with the policy that it is judged by; raise RefusedError for what is not printed here."""
    policy = _choose_policy(order, wish)
    _judge_prompts(order)
    return replace(order, request=order.request.model_copy(update={"safety": policy}))


def _choose_policy(order: Order, wish: NewSafety | None) -> Policy:
    settings = services().settings
    policy = Policy.of(settings).tighten(caller().safety)
    if order.request.safety is not None:  # placed again: as strictly as before at least
        policy = policy.tighten(order.request.safety)
    wanted = Wish.model_validate(wish.model_dump(exclude_none=True)) if wish is not None else Wish()
    if looser := policy.find_looser(wanted):
        detail = f"/safety/{looser[0]} asks for less than this service, or this key, does."
        raise RefusedError("safety_not_configurable", detail)
    if wanted.mode is SafetyMode.ON and policy.mode is SafetyMode.OFF:
        detail = "must be off: nothing is checked by this service"
        raise refuse([Fault(code="incompatible", detail=detail, pointer="/safety/mode")])
    policy = policy.tighten(wanted)
    if policy.on_block is Recourse.FALLBACK and settings.fallback_image is None:
        detail = "must be fail or reroll: this service has no fallback picture"
        raise refuse([Fault(code="incompatible", detail=detail, pointer="/safety/on_block")])
    return policy


def _judge_prompts(order: Order) -> None:
    context = services()
    texts = (order.request.prompt, order.request.negative_prompt)
    category = next(filter(None, map(context.prompt_rules.judge, texts)), None)
    if category is None:
        return
    logger.info("prompt refused", category=category)
    with context.database.transaction() as session:
        refusal_counts.count(session, order.owner, category)
    raise RefusedError("prompt_rejected", f"This service does not print: {category}.")


L = TypeVar("L", bound=Look)


@dataclass(frozen=True)
class Worn:
    """A style that a wish has named: what always means this version of it, and what it says."""

    reference: str
    spec: StyleSpec


def find(owner: str, reference: str, pointer: str = "/style") -> Worn:
    """Return the style that *owner* means; raise RefusedError with ``unknown_style`` at *pointer*."""
    try:
        with services().database.reading() as session:
            return Worn(*styles.resolve(session, owner, reference))
    except UnknownStyleError as error:
        raise refuse([Fault(code=error.code, detail=UNKNOWN_STYLE, pointer=pointer)]) from None


def dress(wish: NewJob, owner: str) -> tuple[str | None, NewJob]:
    """Return the version of the style that *wish* names, if any, and the wish with all that this version says."""
    if wish.style is None:
        return None, wish
    worn = find(owner, wish.style)
    prompt = worn.spec.wrap(wish.prompt)
    if len(prompt) > prompt_text.LONGEST_PROMPT:
        detail = f"must have at most {prompt_text.LONGEST_PROMPT} characters together with the words of its style"
        raise refuse([Fault(code="too_long", detail=detail, pointer="/prompt")])
    return worn.reference, fill(wish, worn.spec).model_copy(update={"prompt": prompt})


def fill(wish: L, spec: StyleSpec) -> L:
    """Return *wish* with what *spec* says of the fields that the wish leaves open; its words are not touched."""
    said = {name: value for name, value in spec if value is not None and name in Look.model_fields}
    if spec.adapters is not None:
        said["adapters"] = [NewAdapter.model_construct(**adapter.model_dump()) for adapter in spec.adapters]
    return wish.model_copy(update={name: value for name, value in said.items() if getattr(wish, name) is None})


def place(body: NewJob) -> Order:
    """Return the caller's order for *body*, dressed, complete and admitted; raise RefusedError."""
    context = services()
    cards, missing = context.offer.cards(), list[str]()
    version, body = dress(body, caller().owner)
    if body.init_image is not None or body.mask_image is not None:
        with context.database.reading() as session:
            missing = assets.find_missing(session, caller().owner, body)
    faults = receiver_url.find_faults(body.webhook_url, "/webhook_url")
    order = resolve.place(body, cards, context.settings, caller().owner, caller().key_id, missing, faults)
    return admit(replace(order, style_version=version), body.safety)
