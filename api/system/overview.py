"""``/v1/overview``: an overview of running, queued, finished and failed jobs."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

from flask import Response
from pydantic import Field

from api.auth.bearer import current_caller, scope_required
from api.runtime.context import current_context
from api.system.usage_schemas import Money
from api.web import responses
from api.web.output import Output, Time
from common.access.keys import Scope
from common.clerk.backlog import MOST_COUNTED, Backlog, load_backlog
from common.jobs import overview
from common.states.jobs import Priority


class OverviewLane(Output):
    """The jobs of one lane that a press is running together."""

    lane: list[str] = Field(description="Properties that define the lane, as text; the model comes first.")
    jobs: int
    images: int
    step: int = Field(description="Steps completed, over all these jobs.")
    steps: int


class OverviewPress(Output):
    """A running press."""

    id: UUID
    host: str
    accelerator: str
    models: list[str]
    started_at: Time
    fault: str | None = Field(
        description="Code of the error because of which the press takes no jobs now, such as `storage_unavailable`; "
        "null while it takes jobs."
    )
    utilisation: float | None = Field(description="Utilisation over the last hour, from 0 to 1.")
    per_hour: Money = Field(description="Cost of the press per hour.")
    printing: list[OverviewLane]


class OverviewQueue(Output):
    """The queued jobs of one lane, among the oldest 10,000 queued jobs."""

    lane: list[str] = Field(description="Properties that define the lane, as text; the model comes first.")
    priority: Priority
    jobs: int
    images: int
    oldest_at: Time


class OverviewFailure(Output):
    """A job that failed within the last day."""

    job_id: UUID
    owner: str
    model: str
    code: str
    message: str
    at: Time | None


class OverviewBacklog(Output):
    """What is overdue for erasure by its retention period; nothing, or not for long, while the clerk keeps up."""

    images: int = Field(description=f"Number of overdue images; at most {MOST_COUNTED} are counted.")
    prompts: int = Field(description=f"Number of jobs with overdue prompts; at most {MOST_COUNTED} are counted.")
    since: Time | None = Field(description="Since when the oldest is overdue; null if nothing is.")


class Overview(Output):
    """An overview of the current activity."""

    object: Literal["overview"] = "overview"
    all_owners: bool = Field(
        description="Whether the overview covers all owners and presses; otherwise, only the owner's jobs."
    )
    presses: list[OverviewPress]
    running: int = Field(description="Number of running jobs.")
    queued: int = Field(description="Number of queued jobs; counting stops at 10,000.")
    queue: list[OverviewQueue] = Field(description="Queued lanes, longest waiting first; at most 40.")
    failures: list[OverviewFailure] = Field(description="Recent failures, newest first; at most eight.")
    images_per_minute: float = Field(description="Images per minute over the last ten minutes.")
    images_last_hour: int
    charged_last_hour: list[Money]
    per_hour: list[Money] = Field(description="Cost of all these presses per hour.")
    retention_backlog: OverviewBacklog | None = Field(
        description="What is overdue for erasure; null unless the overview covers all owners."
    )


blueprint = responses.create_blueprint("overview", "Overview of the current activity.", "/v1/overview")


@blueprint.get("", **responses.describe_route(Scope.JOBS_READ, {200: Overview}))
@scope_required(Scope.JOBS_READ)
def get_overview() -> Response:
    """Get the overview: everything with the scope `usage:all`, otherwise the jobs of the key's owner."""
    context, owner = current_context(), current_caller().owner
    all_owners = Scope.USAGE_ALL in current_caller().scopes
    with context.database.reading() as session:
        if all_owners:
            seen, running = overview.load_overview(session, timedelta(seconds=context.settings.lease_seconds)), None
            overdue = load_backlog(session, context.settings)
        else:
            seen, running, overdue = (
                overview.load_owner_overview(session, owner),
                len(overview.list_running_jobs(session, owner)),
                None,
            )
    return responses.respond_json(_serialize_overview(seen, running, overdue))


def _serialize_overview(seen: overview.Overview, running: int | None, overdue: Backlog | None) -> Overview:
    """Return the operator's overview, or an owner's if *running*, the number of their running jobs, is given."""
    return Overview(
        all_owners=running is None,
        presses=[_serialize_press(press) for press in seen.presses],
        running=seen.running if running is None else running,
        queued=seen.queued,
        queue=[
            OverviewQueue(
                lane=each.lane.words,
                priority=each.priority,
                jobs=each.lane.jobs,
                images=each.lane.images,
                oldest_at=each.oldest_at,
            )
            for each in seen.waiting
        ],
        failures=[OverviewFailure(**vars(each)) for each in seen.failures],
        images_per_minute=seen.images_per_minute,
        images_last_hour=seen.images,
        charged_last_hour=_serialize_money(seen.charged),
        per_hour=_serialize_money(seen.per_hour),
        retention_backlog=overdue
        and OverviewBacklog(images=overdue.images.count, prompts=overdue.prompts.count, since=overdue.since),
    )


def _serialize_press(press: overview.ActivePress) -> OverviewPress:
    return OverviewPress(
        id=press.id,
        host=press.host,
        accelerator=press.accelerator,
        models=press.models,
        started_at=press.started_at,
        fault=press.fault,
        utilisation=press.utilisation,
        per_hour=Money(amount=press.price_per_hour, currency=press.currency),
        printing=[
            OverviewLane(
                lane=each.lane.words, jobs=each.lane.jobs, images=each.lane.images, step=each.step, steps=each.steps
            )
            for each in press.printing
        ],
    )


def _serialize_money(amounts: Mapping[str, Decimal]) -> list[Money]:
    return [Money(amount=amount, currency=currency) for currency, amount in sorted(amounts.items())]
