"""What an order must pass before it is queued: rules for its prompts, and a policy that nobody can loosen."""

from dataclasses import replace

from api.auth.bearer import caller
from api.runtime.context import services
from api.schemas.safety import NewSafety
from api.web.errors import RefusedError, refuse
from api.web.problems import Fault
from common.jobs.spec import Order
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
