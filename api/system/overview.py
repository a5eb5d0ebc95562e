"""``/v1/floor``: what is printed now, what waits, what came out and what failed."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

from flask import Response
from pydantic import Field

from api.auth.bearer import caller, needs
from api.runtime.context import services
from api.system.usage_schemas import Money
from api.web import responses
from api.web.output import Output, Time
from common.jobs import overview
from common.keys import Scope
from common.tables.states import Priority


class FloorLane(Output):
    """What a press has in hand of one lane: jobs that may be stepped together."""

    lane: list[str] = Field(description="What tells it from others, in words; the model first.")
    jobs: int
    images: int
    step: int = Field(description="Steps done, of all these jobs together.")
    steps: int


class FloorPress(Output):
    """A press that is at work."""

    id: UUID
    host: str
    accelerator: str
    models: list[str]
    started_at: Time
    utilisation: float | None = Field(description="Of the last hour, from 0 to 1.")
    per_hour: Money = Field(description="What an hour of it costs.")
    printing: list[FloorLane]


class FloorQueue(Output):
    """What waits of one lane."""

    lane: list[str] = Field(description="What tells it from others, in words; the model first.")
    priority: Priority
    jobs: int
    images: int
    oldest_at: Time


class FloorFailure(Output):
    """A job of the last day that failed."""

    job_id: UUID
    owner: str
    model: str
    code: str
    message: str
    at: Time | None


class Floor(Output):
    """The press floor as it is this moment."""

    object: Literal["floor"] = "floor"
    house: bool = Field(description="Whether this is the whole house; else it is the owner's jobs, and no presses.")
    presses: list[FloorPress]
    running: int = Field(description="Jobs that are being printed.")
    queued: int = Field(description="Jobs that wait.")
    queue: list[FloorQueue] = Field(description="Those that have waited longest first; 40 lanes at most.")
    failures: list[FloorFailure] = Field(description="The newest first; eight at most.")
    images_per_minute: float = Field(description="Of the last ten minutes.")
    images_last_hour: int
    charged_last_hour: list[Money]
    per_hour: list[Money] = Field(description="What an hour of all these presses costs.")


blueprint = responses.create_blueprint("floor", "What is going on now.", "/v1/floor")


@blueprint.get("", **responses.describe(Scope.JOBS_READ, {200: Floor}))
@needs(Scope.JOBS_READ)
def get_floor() -> Response:
    """Look at the press floor: with `usage:house` all of it, else the jobs of the key's owner."""
    context, owner = services(), caller().owner
    is_house = Scope.USAGE_HOUSE in caller().scopes
    with context.database.reading() as session:
        if is_house:
            seen, running = overview.look(session, timedelta(seconds=context.settings.lease_seconds)), None
        else:
            seen, running = overview.look_for(session, owner), len(overview.list_working(session, owner))
    return responses.answer(_show(seen, running))


def _show(seen: overview.Floor, running: int | None) -> Floor:
    """Return the floor of the house, or, where the *running* jobs of an owner are told, that owner's."""
    return Floor(
        house=running is None,
        presses=[_show_press(press) for press in seen.presses],
        running=seen.running if running is None else running,
        queued=seen.queued,
        queue=[
            FloorQueue(
                lane=each.lane.words,
                priority=each.priority,
                jobs=each.lane.jobs,
                images=each.lane.images,
                oldest_at=each.oldest_at,
            )
            for each in seen.waiting
        ],
        failures=[FloorFailure(**vars(each)) for each in seen.failures],
        images_per_minute=seen.images_per_minute,
        images_last_hour=seen.images,
        charged_last_hour=_show_money(seen.charged),
        per_hour=_show_money(seen.per_hour),
    )


def _show_press(press: overview.PressNow) -> FloorPress:
    return FloorPress(
        id=press.id,
        host=press.host,
        accelerator=press.accelerator,
        models=press.models,
        started_at=press.started_at,
        utilisation=press.utilisation,
        per_hour=Money(amount=press.price_per_hour, currency=press.currency),
        printing=[
            FloorLane(
                lane=each.lane.words, jobs=each.lane.jobs, images=each.lane.images, step=each.step, steps=each.steps
            )
            for each in press.printing
        ],
    )


def _show_money(amounts: Mapping[str, Decimal]) -> list[Money]:
    return [Money(amount=amount, currency=currency) for currency, amount in sorted(amounts.items())]
