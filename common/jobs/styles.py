"""Styles: named, versioned presets for the look of images; versions are immutable."""

import re
from collections.abc import Sequence
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Select, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import PressroomError
from common.jobs.request import OutputFormat, SchedulerName
from common.tables import Campaign, Style

STYLE_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
REFERENCE = re.compile(rf"(?P<name>{STYLE_NAME})(?:@(?P<version>[1-9][0-9]{{0,8}}))?")
MOST_COLOURS = 8
NO_SPACE_BEFORE = tuple(",.;:!?)")


class UnknownStyleError(PressroomError):
    """The style, or this version of it, does not exist."""

    code = "unknown_style"


class WantedAdapter(BaseModel):
    """An adapter, and how strongly it is laid on: None leaves that to the adapter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    scale: float | None = None


class StyleSpec(BaseModel):
    """What a style says of pictures; what it leaves open is None, and then the model's default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_prefix: str = ""
    prompt_suffix: str = ""
    negative_prompt: str | None = None
    model: str | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    scheduler: SchedulerName | None = None
    adapters: tuple[WantedAdapter, ...] | None = None
    output_format: OutputFormat | None = None
    palette: tuple[str, ...] = ()  # `#rrggbb`

    @classmethod
    def from_row(cls, stored: dict[str, Any]) -> Self:
        """Read a spec back from its JSON column."""
        return cls.model_validate(stored)

    def wrap(self, text: str) -> str:
        """Return a prompt with the style's own words around it; a suffix that begins with a comma needs no space."""
        return f"{self.prompt_prefix} {text}{self._ending}".strip()

    def unwrap(self, prompt: str) -> str | None:
        """Return the text that ``wrap`` makes *prompt* of; None if there is none."""
        text = prompt.removeprefix(f"{self.prompt_prefix} ").removesuffix(self._ending.rstrip()).strip()
        return text if text and self.wrap(text) == prompt else None

    @property
    def _ending(self) -> str:
        gap = "" if self.prompt_suffix.startswith(NO_SPACE_BEFORE) else " "
        return f"{gap}{self.prompt_suffix}"


def format_style_reference(style: Style) -> str:
    """Return the reference that always means this version."""
    return f"{style.name}@{style.version}"


def resolve_style(session: Session, owner: str, reference: str) -> tuple[str, StyleSpec]:
    """Return ``name@version`` and the spec of what ``name`` (the newest version) or ``name@version`` refers to.

    Raises UnknownStyleError when *owner* has no such style.
    """
    row = find_style(session, owner, reference)
    if row is None:
        raise UnknownStyleError
    return format_style_reference(row), StyleSpec.from_row(row.spec)


def find_style(session: Session, owner: str, reference: str) -> Style | None:
    """Return the version that *reference* means; None if *owner* has none such."""
    match = REFERENCE.fullmatch(reference)
    if match is None:
        return None
    query = select(Style).where(Style.owner == owner, Style.name == match["name"]).order_by(Style.version.desc())
    if match["version"] is not None:
        query = query.where(Style.version == int(match["version"]))
    return session.scalar(query.limit(1))


def save_style(session: Session, owner: str, name: str, spec: StyleSpec) -> tuple[Style, bool]:
    """Keep *spec* as the next version of *name*; return it, and whether it is new: the newest said again is not."""
    while True:
        newest = find_style(session, owner, name)
        stored = spec.model_dump(mode="json")
        if newest is not None and newest.spec == stored:
            return newest, False
        row = Style(owner=owner, name=name, version=newest.version + 1 if newest else 1, spec=stored)
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:  # another request has just made this version; ours is the one after it
            continue
        return row, True


def select_style_ids(owner: str) -> Select[UUID]:
    """Return the query for the ids of all versions of all styles of *owner*."""
    return select(Style.id).where(Style.owner == owner)


def list_newest_styles(session: Session, owner: str, *, after: UUID | None, limit: int) -> Sequence[Style]:
    """Return the newest version of each style of *owner*, by name, beginning after the style with the id *after*."""
    newest = select(Style.name, func.max(Style.version).label("version")).where(Style.owner == owner)
    if after is not None:
        newest = newest.where(Style.name > select(Style.name).where(Style.id == after).scalar_subquery())
    chosen = newest.group_by(Style.name).order_by(Style.name).limit(limit).subquery()
    query = select(Style).join(chosen, (Style.name == chosen.c.name) & (Style.version == chosen.c.version))
    return session.scalars(query.where(Style.owner == owner).order_by(Style.name)).all()


def list_style_versions(session: Session, owner: str, name: str, *, after: UUID | None, limit: int) -> Sequence[Style]:
    """Return the versions of a style, the newest first, beginning after the version with the id *after*."""
    query = select(Style).where(Style.owner == owner, Style.name == name).order_by(Style.version.desc()).limit(limit)
    if after is not None:
        query = query.where(Style.version < select(Style.version).where(Style.id == after).scalar_subquery())
    return session.scalars(query).all()


def list_style_campaigns(session: Session, owner: str, name: str, *, limit: int) -> Sequence[Campaign]:
    """Return the newest campaigns of *owner* that ask for a style, in whatever version."""
    wanted = Campaign.body["style"].as_string()
    query = select(Campaign).where(Campaign.owner == owner, Campaign.deleted_at.is_(None))
    query = query.where(or_(wanted == name, wanted.startswith(f"{name}@", autoescape=True)))
    return session.scalars(query.order_by(Campaign.id.desc()).limit(limit)).all()
