"""What a model's card and the service allow, and what they fill in."""

from typing import Any

import pytest

from api.jobs import resolve
from api.jobs.schemas import NewJob
from api.web.errors import RefusedError
from common.db.ids import create_id
from common.jobs.request import Adapter, Mode, SchedulerName
from common.jobs.spec import JobSpec
from common.models.catalog import PAINTED_CARD, AdapterCard, ModelCard
from common.settings import Settings

PLAIN = PAINTED_CARD.model_copy(
    update={"name": "plain", "negative_prompt": False, "schedulers": [SchedulerName.EULER], "size_multiple": 16}
)
CARDS = [PAINTED_CARD, PLAIN]


def place(cards: list[ModelCard] | None = None, settings: dict[str, Any] | None = None, **fields: Any) -> JobSpec:
    asked = NewJob.model_validate({"prompt": "x"} | fields)
    return resolve.build_job_spec(
        asked, CARDS if cards is None else cards, Settings(**(settings or {})), "ada", create_id()
    )


def refused(**fields: Any) -> dict[str, str]:
    with pytest.raises(RefusedError) as caught:
        place(**fields)
    return {str(fault.pointer): fault.code for fault in caught.value.faults} or {"": caught.value.code}


def test_the_first_model_is_the_default_unless_another_is_set() -> None:
    assert place().request.model == "painted"
    assert place(settings={"default_model": "plain"}).request.model == "plain"


def test_without_any_model_the_service_is_not_ready() -> None:
    assert refused(cards=[]) == {"": "model_unavailable"}


def test_a_zero_is_not_treated_as_missing() -> None:
    request = place(guidance_scale=0, seed=0).request
    assert (request.guidance_scale, request.seed) == (0.0, 0)


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert place(width=64.0, steps=3.0).request.width == 64


def test_unsupported_fields_are_reported_one_by_one() -> None:
    fields = {"width": 72, "height": 4096, "steps": 151, "num_images": 9, "scheduler": "ddim", "negative_prompt": "fog"}
    assert refused(model="plain", **fields) == {
        "/width": "out_of_range",
        "/height": "out_of_range",
        "/steps": "out_of_range",
        "/num_images": "out_of_range",
        "/scheduler": "incompatible",
        "/negative_prompt": "incompatible",
    }


def test_a_model_of_one_size_takes_that_size_only() -> None:
    cards = [PLAIN.model_copy(update={"default_height": 256, "min_size": 256, "max_size": 512, "fixed_size": True})]
    assert place(cards=cards, width=512, height=256).request.width == place(cards=cards).request.width == 512
    assert refused(cards=cards, width=256, height=256) == {"/width": "out_of_range"}
    assert refused(cards=cards, height=512) == {"/height": "out_of_range"}


def test_a_model_without_guidance_takes_no_scale_but_its_default() -> None:
    cards = [PLAIN.model_copy(update={"default_guidance_scale": 0.0, "guidance_scale": False})]
    assert refused(cards=cards, guidance_scale=7.5) == {"/guidance_scale": "incompatible"}
    assert place(cards=cards, guidance_scale=0).request.guidance_scale == place(cards=cards).request.guidance_scale == 0


def test_an_empty_negative_prompt_is_accepted_by_every_model() -> None:
    assert place(model="plain", negative_prompt="").request.negative_prompt == ""


def test_the_cost_limit_applies_to_the_defaults_too() -> None:
    assert refused(settings={"max_pixel_steps": 512 * 512 * 20 - 1}) == {"": "cost_limit"}
    assert place(settings={"max_pixel_steps": 512 * 512 * 20})


INK = AdapterCard(name="ink", title="Ink", default_scale=0.8)
WITH_ADAPTERS = [
    PAINTED_CARD.model_copy(update={"adapters": [INK, AdapterCard(name="oil", title="Oil")]}),
    PLAIN.model_copy(update={"adapters": [AdapterCard(name="chalk", title="Chalk")]}),
]


def test_an_adapter_gets_the_requested_scale_or_its_default() -> None:
    request = place(WITH_ADAPTERS, adapters=[{"name": "oil", "scale": -2}, {"name": "ink"}]).request
    assert request.adapters == (Adapter(name="oil", scale=-2.0), Adapter(name="ink", scale=0.8))
    assert place(WITH_ADAPTERS, adapters=[{"name": "ink", "scale": 0}]).request.adapters[0].scale == 0.0
    assert place(WITH_ADAPTERS, adapters=[]).request.adapters == ()


def test_an_adapter_must_be_one_of_the_models_and_named_once() -> None:
    wanted = [{"name": name} for name in ("ink", "chalk", "Ink", "ink")]
    with pytest.raises(RefusedError) as caught:
        place(WITH_ADAPTERS, adapters=wanted[:2] + wanted[3:] + [{"name": "ghost"}])
    assert {fault.pointer: fault.code for fault in caught.value.faults} == {
        "/adapters/1/name": "incompatible",
        "/adapters/2/name": "incompatible",
        "/adapters/3/name": "unknown_adapter",
    }


@pytest.mark.parametrize(
    ("adapter", "pointer", "code"),
    [
        ({"name": "Ink"}, "/adapters/0/name", "unknown_adapter"),
        ({"name": "../ink"}, "/adapters/0/name", "unknown_adapter"),
        ({"name": "ink\n"}, "/adapters/0/name", "unknown_adapter"),
        ({"name": "a/b"}, "/adapters/0/name", "unknown_adapter"),
        ({"name": 7}, "/adapters/0/name", "type"),
        ({}, "/adapters/0/name", "required"),
        ("ink", "/adapters/0", "type"),
        ({"name": "ink", "scale": 4.1}, "/adapters/0/scale", "out_of_range"),
        ({"name": "ink", "scale": -5}, "/adapters/0/scale", "out_of_range"),
        ({"name": "ink", "scale": float("inf")}, "/adapters/0/scale", "out_of_range"),
        ({"name": "ink", "scale": float("nan")}, "/adapters/0/scale", "out_of_range"),
        ({"name": "ink", "scale": "1"}, "/adapters/0/scale", "type"),
        ({"name": "ink", "scale": True}, "/adapters/0/scale", "type"),
        ({"name": "ink", "scale": None}, "/adapters/0/scale", "type"),
        ({"name": "ink", "path": "/etc/passwd"}, "/adapters/0/path", "unknown_field"),
    ],
)
def test_an_invalid_adapter_is_reported_with_its_place(adapter: object, pointer: str, code: str) -> None:
    assert refused(cards=WITH_ADAPTERS, adapters=[adapter]) == {pointer: code}


def test_too_many_adapters_are_refused() -> None:
    assert refused(cards=WITH_ADAPTERS, adapters=[{"name": "ink"}] * 5) == {"/adapters": "too_long"}
    assert refused(cards=WITH_ADAPTERS, adapters={"name": "ink"}) == {"/adapters": "type"}


TEXT_ONLY = PAINTED_CARD.model_copy(update={"name": "text", "modes": [Mode.TEXT], "default_steps": 4})
REPAIRING = PAINTED_CARD.model_copy(update={"name": "repairing", "modes": [Mode.INPAINT]})
WITH_MODES = [TEXT_ONLY, REPAIRING, PAINTED_CARD]
NAMED = str(create_id())


def test_input_images_must_be_supported_by_the_model() -> None:
    both = {"init_image": NAMED, "mask_image": NAMED}
    assert refused(cards=WITH_MODES, init_image=NAMED) == {"/init_image": "incompatible"}
    assert refused(cards=WITH_MODES, **both) == {"/mask_image": "incompatible"}
    assert refused(cards=WITH_MODES, model="repairing") == {"/init_image": "incompatible"}
    assert refused(cards=WITH_MODES, model="repairing", init_image=NAMED) == {"/init_image": "incompatible"}
    assert place(WITH_MODES, model="repairing", **both).request.mode is Mode.INPAINT
    assert place(WITH_MODES, model="painted", init_image=NAMED).request.mode is Mode.IMAGE


def test_strength_defaults_to_that_of_diffusers() -> None:
    assert place(init_image=NAMED).request.strength == 0.8
    assert place(init_image=NAMED, mask_image=NAMED).request.strength == 1.0
    assert place(init_image=NAMED, strength=0.3).request.strength == 0.3
    assert place().request.strength == 1.0


@pytest.mark.parametrize(("steps", "strength", "taken"), [(10, 0.1, 1), (1, 1.0, 1), (25, 0.5, 12), (9, 0.99, 8)])
def test_strength_determines_the_number_of_steps(steps: int, strength: float, taken: int) -> None:
    assert place(init_image=NAMED, steps=steps, strength=strength).request.steps_taken == taken
    assert refused(init_image=NAMED, steps=steps, strength=0.99 / steps) == {"/strength": "out_of_range"}


def test_strength_must_leave_at_least_one_step() -> None:
    assert refused(init_image=NAMED, steps=1) == {"/strength": "out_of_range"}
