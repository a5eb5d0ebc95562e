"""The model catalog: reads model cards from directories without torch, and publishes them to the database."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.clock import utcnow
from common.errors import ModelUnavailableError, SettingsError
from common.jobs.request import LARGEST_SCALE, Mode, SchedulerName
from common.models.distilled import derive_distilled_fields
from common.models.names import derive_name, keep_printable
from common.settings import Settings
from common.tables import Model

PAINTED = "painted"
"""The entry of ``PRESSROOM_MODELS`` that names the stand-in instead of a directory."""

STARTER = Path(__file__).resolve().parents[2] / "worker" / "starter" / "starter-1"
"""The model that is offered where none is set; ``worker`` itself must not be imported here."""

INDEX, SUPPLEMENT = "model_index.json", "pressroom.json"


class Family(StrEnum):
    """Kinds of models that take the same arguments."""

    SD15 = "sd15"
    SDXL = "sdxl"
    SD3 = "sd3"
    FLUX = "flux"
    OTHER = "other"  # any other diffusers text-to-image pipeline
    PAINTED = "painted"  # the stand-in


class AdapterCard(BaseModel):
    """What an adapter is called, how strongly it is laid on by default, and the words that it was trained to heed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    title: str
    description: str = ""
    default_scale: float = Field(1.0, ge=-LARGEST_SCALE, le=LARGEST_SCALE, allow_inf_nan=False)
    trigger_words: list[str] = []
    licence: str = ""


class ModelCard(BaseModel):
    """The name, the limits and the defaults of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    title: str
    description: str = ""
    family: Family
    batching: bool = False  # whether its pictures are stepped together with those of other requests
    default_width: int = Field(gt=0)
    default_height: int = Field(gt=0)
    default_steps: int = Field(gt=0)
    default_guidance_scale: float = Field(ge=0)
    min_size: int = Field(gt=0)
    max_size: int = Field(gt=0)
    size_multiple: int = Field(gt=0)
    fixed_size: bool | None = None  # whether it generates its default size only; no if absent
    max_steps: int = Field(150, gt=0)
    max_images: int = Field(8, gt=0)
    schedulers: list[SchedulerName] = []
    negative_prompt: bool = False
    guidance_scale: bool | None = None  # whether requests may choose one; yes if absent
    modes: list[Mode] = Field([Mode.TEXT], min_length=1)
    adapters: list[AdapterCard] = []
    fault: str | None = None  # why the press that registered it last cannot use it

    def find_nearest_side(self, side: int) -> int:
        """Return the width or height that the model takes and that is nearest to *side*, in pixels."""
        multiple = self.size_multiple
        least, most = -(-self.min_size // multiple), self.max_size // multiple
        return multiple * min(max(round(side / multiple), least), most)


_FAMILIES = {
    "StableDiffusionPipeline": Family.SD15,
    "StableDiffusionXLPipeline": Family.SDXL,
    "StableDiffusion3Pipeline": Family.SD3,
    "FluxPipeline": Family.FLUX,
    "StableDiffusionInpaintPipeline": Family.SD15,
    "StableDiffusionXLInpaintPipeline": Family.SDXL,
}

INPAINTING = frozenset({"StableDiffusionInpaintPipeline", "StableDiffusionXLInpaintPipeline"})
"""Pipelines of models that were trained to inpaint, and are offered for nothing else."""

_EVERY_SCHEDULER, _EVERY_MODE = list(SchedulerName), list(Mode)


def _build_sizes(default: int, least: int, most: int, multiple: int) -> dict[str, int]:
    square = {"default_width": default, "default_height": default}
    return {**square, "min_size": least, "max_size": most, "size_multiple": multiple}


_DEFAULTS: dict[Family, dict[str, Any]] = {
    Family.SD15: {
        **_build_sizes(512, 256, 1024, 8),
        "default_steps": 25,
        "default_guidance_scale": 7.5,
        "schedulers": _EVERY_SCHEDULER,
        "negative_prompt": True,
        "modes": _EVERY_MODE,
    },
    Family.SDXL: {
        **_build_sizes(1024, 512, 2048, 8),
        "default_steps": 30,
        "default_guidance_scale": 5.0,
        "schedulers": _EVERY_SCHEDULER,
        "negative_prompt": True,
        "modes": _EVERY_MODE,
    },
    # The two that match flows know one sampler of the list.
    Family.SD3: {
        **_build_sizes(1024, 256, 2048, 16),
        "default_steps": 28,
        "default_guidance_scale": 4.5,
        "schedulers": [SchedulerName.EULER],
        "negative_prompt": True,
    },
    Family.FLUX: {
        **_build_sizes(1024, 256, 2048, 16),
        "default_steps": 28,
        "default_guidance_scale": 3.5,
        "schedulers": [SchedulerName.EULER],
    },
    # Its samplers are not known, so it keeps its own; what else it takes, its supplement may say.
    Family.OTHER: {**_build_sizes(1024, 256, 2048, 32), "default_steps": 28, "default_guidance_scale": 5.0},
    Family.PAINTED: {
        **_build_sizes(512, 64, 2048, 8),
        "default_steps": 20,
        "default_guidance_scale": 5.0,
        "schedulers": _EVERY_SCHEDULER,  # all the same to a brush, so that requests for any model can be tried on it
        "negative_prompt": True,
        "modes": _EVERY_MODE,
    },
}

PAINTED_CARD = ModelCard(
    name=PAINTED,
    title="Painted stand-in",
    description="Test model that paints simple shapes.",
    family=Family.PAINTED,
    batching=True,
    **_DEFAULTS[Family.PAINTED],
)

_CARDS = select(Model.card).order_by(Model.position, Model.name)

OfferedModels = dict[str, tuple[ModelCard, Path | None]]


def read_card(directory: Path, known: Mapping[str, Any] | None = None) -> ModelCard:
    """Return the card of the model in *directory*; raise ModelUnavailableError, a plain sentence, if there is none.

    *known* holds fields that a press has found in the loaded pipeline: they replace the family's defaults, and the
    directory's supplement replaces them.
    """
    name = derive_name(directory.resolve().name, "model")
    index = _read_json(directory / INDEX)
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str):
        raise ModelUnavailableError(f"{directory / INDEX} does not name a diffusers pipeline as _class_name.")
    family = _FAMILIES.get(pipeline, Family.OTHER)
    supplement = _read_json(directory / SUPPLEMENT) if (directory / SUPPLEMENT).exists() else {}
    fields = {**_DEFAULTS[family], **({"modes": [Mode.INPAINT]} if pipeline in INPAINTING else {}), **(known or {})}
    try:
        return ModelCard.model_validate(
            {
                "title": keep_printable(directory.name) or name,
                **fields,
                **derive_distilled_fields(name, index, fields),
                **supplement,
                "name": name,
                "family": family,
                "batching": family is not Family.OTHER,
                "fault": None,
            }
        )
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ModelUnavailableError(f"{directory / SUPPLEMENT}: {where}: {fault['msg']}.") from None


def mark_faulty(card: ModelCard, directory: Path | None, reason: str) -> ModelCard:
    """Return *card* as that of a model that cannot be used for *reason*, without the place of its directory."""
    # Customers read it, and they need not know where the operator keeps the files.
    told = reason if directory is None else reason.replace(str(directory), card.name)
    return card.model_copy(update={"fault": told.encode(errors="replace").decode()})


def load_offered_models(settings: Settings) -> OfferedModels:
    """Return the models that *settings* offer, by name, the default first.

    A directory without a readable model has a card with its fault. Raises SettingsError for a choice that cannot be.
    """
    offered: OfferedModels = {}
    for entry in settings.models or (str(STARTER),):
        directory = None if entry == PAINTED else Path(entry)
        card = PAINTED_CARD if directory is None else _read_offered_card(directory)
        if directory is not None and card.name == PAINTED:
            raise SettingsError(f"{directory}: the name {PAINTED!r} is reserved; rename the directory.")
        if card.name in offered:
            raise SettingsError(
                f"PRESSROOM_MODELS contains two models named {card.name!r}; rename one of the directories."
            )
        offered[card.name] = (card, directory)
    if PAINTED in offered and len(offered) > 1:
        raise SettingsError("PRESSROOM_MODELS must not combine painted with real models.")
    default = settings.default_model
    if default is None:
        return offered
    if default not in offered:
        raise SettingsError(
            f"PRESSROOM_DEFAULT_MODEL is {default!r}, which is not in PRESSROOM_MODELS: {', '.join(offered)}."
        )
    return {default: offered[default], **offered}


def register_new_models(session: Session, cards: Sequence[ModelCard]) -> None:
    """Enter those of *cards* that the table lacks, and the order of all.

    What a press has found out about a model is kept until a press has loaded it again.
    """
    known = {row.name: row for row in session.scalars(select(Model))}
    register_models(session, [card for card in cards if card.name not in known])
    for position, card in enumerate(cards):
        session.get_one(Model, card.name).position = position
    session.flush()


def register_models(session: Session, cards: Sequence[ModelCard]) -> None:
    """Enter *cards* into the table, or bring their rows up to date; their order is the order of listing."""
    for position, card in enumerate(cards):
        values = {
            "card": card.model_dump(mode="json", exclude_none=True),
            "position": position,
            "registered_at": utcnow(),
        }
        session.merge(Model(name=card.name, **values))
    session.flush()


def load_cards(session: Session) -> list[ModelCard]:
    """Return the cards of all models that some press has offered, in order; the first is the default."""
    return [ModelCard.model_validate(card) for card in session.scalars(_CARDS)]


def _read_offered_card(directory: Path) -> ModelCard:
    try:
        return read_card(directory)
    except ModelUnavailableError as error:
        name = derive_name(directory.resolve().name, "model")
        card = ModelCard(
            name=name, title=keep_printable(directory.name) or name, family=Family.OTHER, **_DEFAULTS[Family.OTHER]
        )
        return mark_faulty(card, directory, error.message)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelUnavailableError(f"{path.parent} is not a diffusers model: it has no {path.name}.") from None
    except OSError as error:
        raise ModelUnavailableError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelUnavailableError(f"{path} is not valid JSON.") from error
    if not isinstance(content, dict):
        raise ModelUnavailableError(f"{path} must contain a JSON object.")
    return content
