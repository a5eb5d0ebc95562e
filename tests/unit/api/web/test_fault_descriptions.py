"""What a refused request says: what is expected, with an example that would be accepted."""

from typing import Any

import pytest

from api.campaigns.schemas import CampaignChanges, NewBudget, NewCampaign
from api.jobs.schemas import NewJob
from api.web.errors import RefusedError
from api.web.field_synonyms import SYNONYMS, suggest_field
from api.web.validation import Body

CAMPAIGN = {"name": "x", "template": {"prompt": "a {{ b }}"}, "budget": {"amount": "20"}}


def refuse(model: type[Body], body: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(RefusedError) as caught:
        model.model_validate(body)
    return {str(fault.pointer): fault.detail for fault in caught.value.faults}


def test_an_object_is_asked_for_with_an_example_that_is_accepted() -> None:
    detail = refuse(NewCampaign, CAMPAIGN | {"budget": 20})["/budget"]
    assert detail == 'must be an object, such as {"amount":"20.00"}'
    assert NewBudget.model_validate({"amount": "20.00"})
    template = refuse(NewCampaign, CAMPAIGN | {"template": "a fox"})["/template"]
    assert template.startswith('must be an object, such as {"prompt":"a birthday cake for')
    assert refuse(NewJob, {"prompt": "x", "adapters": ["ink"]})["/adapters/0"].startswith("must be an object, such as")


@pytest.mark.parametrize(
    ("given", "amount"),
    [
        (20, "20"),
        (20.5, "20.5"),
        (0.1, "0.1"),
        (19.99, "19.99"),
        (1e-06, "0.000001"),
        (0.1 + 0.2, "0.3"),
        ("20.00", "20.00"),
    ],
)
def test_an_amount_may_be_a_number_and_is_taken_exactly(given: Any, amount: str) -> None:
    assert NewBudget.model_validate({"amount": given}).amount == amount


@pytest.mark.parametrize("given", [0, -1, 1e12, float("nan"), True, [20], "20,00", "20 EUR", float("1e-10")])
def test_an_amount_that_is_none_is_refused(given: Any) -> None:
    assert set(refuse(NewBudget, {"amount": given})) == {"/amount"}


@pytest.mark.parametrize(
    ("field", "value", "detail"),
    [
        ("prompt", 20, 'must be a string; write "20", in quotes'),
        ("steps", "20", "must not be a string; write 20, without quotes"),
        ("guidance_scale", "7.5", "must not be a string; write 7.5, without quotes"),
        ("seed", "00012", "must not be a string; write 12, without quotes"),
        ("seed", "000", "must not be a string; write 0, without quotes"),
        ("guidance_scale", "-007.050", "must not be a string; write -7.050, without quotes"),
        ("steps", "many", "must be a valid integer"),
    ],
)
def test_a_value_of_the_wrong_type_is_spelled_right(field: str, value: Any, detail: str) -> None:
    assert refuse(NewJob, {"prompt": "x"} | {field: value}) == {f"/{field}": detail}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("num_inference_steps", "steps"),
        ("numInferenceSteps", "steps"),
        ("n", "num_images"),
        ("num_outputs", "num_images"),
        ("batch_count", "num_images"),
        ("n_samples", "num_images"),
        ("image_count", "num_images"),
        ("cfg_scale", "guidance_scale"),
        ("guidance", "guidance_scale"),
        ("negative", "negative_prompt"),
        ("negativePrompt", "negative_prompt"),
        ("sampler", "scheduler"),
        ("image", "init_image"),
        ("denoising_strength", "strength"),
        ("callback_url", "webhook_url"),
        ("heigt_px", "height"),
    ],
)
def test_a_name_from_elsewhere_is_answered_with_the_field_it_means(name: str, field: str) -> None:
    assert refuse(NewJob, {"prompt": "x", name: 1}) == {f"/{name}": f"is unknown; did you mean '{field}'?"}


def test_suggestions_reach_into_objects() -> None:
    faults = refuse(NewCampaign, CAMPAIGN | {"defaults": {"num_inference_steps": 3}, "max_cost": 3})
    assert faults == {
        "/defaults/num_inference_steps": "is unknown; did you mean 'steps'?",
        "/max_cost": "is unknown; did you mean 'budget'?",
    }


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("steps", "defaults/steps"),
        ("num_inference_steps", "defaults/steps"),
        ("cfg_scale", "defaults/guidance_scale"),
        ("model", "defaults/model"),
        ("width", "defaults/width"),
        ("negative_prompt", "template/negative_prompt"),
        ("n", "images_per_recipient"),
        ("prompt", "template"),
    ],
)
def test_a_field_of_an_object_within_a_campaign_is_answered_with_its_place(name: str, place: str) -> None:
    for model, body in ((NewCampaign, CAMPAIGN), (CampaignChanges, {})):
        assert refuse(model, body | {name: 1}) == {f"/{name}": f"is unknown; did you mean '{place}'?"}


def test_a_field_of_the_campaign_within_its_objects_is_answered_too() -> None:
    assert refuse(NewCampaign, CAMPAIGN | {"defaults": {"n": 2}}) == {
        "/defaults/n": "is unknown; did you mean 'images_per_recipient'?"
    }
    assert refuse(NewCampaign, CAMPAIGN | {"budget": {"limit": 5}})["/budget/limit"].endswith("did you mean 'amount'?")


def test_recipients_in_the_body_are_answered_with_where_to_upload_them() -> None:
    detail = refuse(NewCampaign, CAMPAIGN | {"recipients": []})["/recipients"]
    assert detail.endswith("upload its recipients with PUT /v1/campaigns/{id}/recipients")


def test_what_nothing_resembles_gets_no_suggestion() -> None:
    assert refuse(CampaignChanges, {"zzz": 1}) == {"/zzz": "is unknown"}
    assert suggest_field("n", ["steps"]) is None


def test_no_synonym_is_named_twice_for_one_field() -> None:
    assert all(len({*names}) == len(names) and field not in names for field, names in SYNONYMS.items())
