"""Fill the Generate form from an earlier job, so that it repeats the images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from api.auth.bearer import current_caller
from api.jobs.schemas import Job, Request
from api.runtime.context import current_context
from common.db.ids import parse_id
from common.images import assets
from common.jobs import styles
from common.jobs.styles import StyleSpec
from common.models.catalog import ModelCard
from common.safety.policy import Policy

NOT_REPEATED = {
    "priority": "whoever repeats a job in the console waits for it",
    "deadline_s": "it was a limit for that one job",
    "metadata": "it is what an application notes about that one job",
    "webhook_url": "the application that sent the job awaits no other",
    "webhook_events": "see webhook_url",
}
"""The fields of a request that do not shape the images, and why each is left out."""

HIDDEN = ("palette", "safety")
"""The fields of a request that are repeated and that the form does not have."""


@dataclass(frozen=True)
class RepeatedJob:
    """A job to repeat, as the form has it."""

    job: Job
    fields: dict[str, Any]
    """The request body."""
    style: str | None
    """The style of the job, unless the job differs from it."""
    palette: list[str] | None
    """The palette of the job, unless it is that of the style."""
    policy: Policy | None

    @property
    def hidden(self) -> list[str]:
        """Return what is repeated without being shown in the form, in words."""
        settings = current_context().settings
        own = Policy.of(settings).tighten(current_caller().safety)
        is_stricter = self.policy is not None and own.tighten(self.policy) != own
        named = {"palette": self.palette is not None, "stricter safety policy": is_stricter}
        return [name for name, is_repeated in named.items() if is_repeated]

    def add_palette(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the body *fields* of the form with the job's palette, unless another style was chosen."""
        if self.palette is None or fields.get("style") != self.style:
            return fields
        return {**fields, "palette": self.palette}


def repeat_job(job: Job) -> RepeatedJob:
    """Return *job* as a request to repeat."""
    request, fields = job.request, _build_body(job.request)
    spec = _find_style(job.style)
    text = None if spec is None else spec.unwrap(request.prompt)
    policy = None if request.safety is None else Policy(**request.safety.model_dump())
    if spec is None or text is None or not _follows_style(request, spec):
        return RepeatedJob(job, fields, None, job.palette or None, policy)
    fields |= {"prompt": text, "style": job.style}
    return RepeatedJob(job, fields, job.style, job.palette if job.palette != [*spec.palette] else None, policy)


def drop_unavailable(fields: dict[str, Any], cards: Sequence[ModelCard], default: str | None) -> list[str]:
    """Remove from *fields* what does not exist any more, and return a sentence about each."""
    return [*_drop_assets(fields), *_drop_model_parts(fields, cards, default)]


def _build_body(request: Request) -> dict[str, Any]:
    asked = request.model_dump(mode="json", exclude={"safety"})
    return {name: value for name, value in asked.items() if value not in (None, [], "")}


def _find_style(reference: str | None) -> StyleSpec | None:
    if reference is None:
        return None
    with current_context().database.reading() as session:
        row = styles.find_style(session, current_caller().owner, reference)
    return None if row is None else StyleSpec.from_row(row.spec)


def _follows_style(request: Request, spec: StyleSpec) -> bool:
    """Return whether *request* has what its style says; a job may overrule its style, which the form cannot."""
    said = spec.model_dump(exclude={"prompt_prefix", "prompt_suffix", "palette", "adapters"}, exclude_none=True)
    if any(getattr(request, name) != value for name, value in said.items()):
        return False
    if spec.adapters is None:
        return True
    wanted, given = (
        {each.name: each.scale for each in spec.adapters},
        {each.name: each.scale for each in request.adapters},
    )
    return wanted.keys() == given.keys() and all(scale in (None, given[name]) for name, scale in wanted.items())


def _drop_assets(fields: dict[str, Any]) -> Iterator[str]:
    with current_context().database.reading() as session:
        gone = [
            name
            for name in ("init_image", "mask_image")
            if name in fields and not _has_asset(session, str(fields[name]))
        ]
    if "init_image" in gone:
        for name in ("init_image", "mask_image", "strength"):
            fields.pop(name, None)
        yield "The source image of this job was deleted. Choose another one to start from."
    elif "mask_image" in gone:
        del fields["mask_image"]
        yield "The mask of this job was deleted. Paint it again, or the whole image changes."


def _has_asset(session: Session, text: str) -> bool:
    asset_id = parse_id(text)
    return asset_id is not None and assets.find_asset(session, current_caller().owner, asset_id) is not None


def _drop_model_parts(fields: dict[str, Any], cards: Sequence[ModelCard], default: str | None) -> Iterator[str]:
    card = next((card for card in cards if card.name == fields.get("model", default)), None)
    if card is None:
        yield f"The model {fields.pop('model', default)} of this job is not available. Choose another one."
        return
    offered = {adapter.name for adapter in card.adapters}
    for name in [each["name"] for each in fields.get("adapters", []) if each["name"] not in offered]:
        yield f"The LoRA {name} of this job is not available any more."
    fields["adapters"] = [each for each in fields.get("adapters", []) if each["name"] in offered]
    if "scheduler" in fields and fields["scheduler"] not in card.schedulers:
        yield f"The scheduler {fields.pop('scheduler')} of this job is not available any more."
