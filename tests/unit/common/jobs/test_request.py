"""What a request says of itself."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from common.jobs.request import GUIDED, LARGEST_SEED, ImageRequest, LaneKey, OutputFormat, SchedulerName
from tests.support.factories import image_request


def test_a_request_comes_back_from_its_row_unchanged() -> None:
    request = image_request(scheduler=SchedulerName.DDIM, output_format=OutputFormat.WEBP, num_images=3)
    assert ImageRequest.from_row(request.model_dump(mode="json")) == request


def test_a_row_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        ImageRequest.from_row(image_request().model_dump(mode="json") | {"promt": "typo"})


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        image_request().steps = 5  # type: ignore[misc]  # what is tested


def test_each_image_has_a_seed_of_its_own() -> None:
    assert image_request(seed=41, num_images=3).seeds == [41, 42, 43]


def test_seeds_wrap_around_at_the_largest() -> None:
    assert image_request(seed=LARGEST_SEED, num_images=2).seeds == [LARGEST_SEED, 0]


def test_the_largest_seed_is_exact_in_every_json_reader() -> None:
    assert float(LARGEST_SEED) == LARGEST_SEED
    assert float(LARGEST_SEED + 1) == float(LARGEST_SEED + 2)


def test_pixel_steps_count_every_image() -> None:
    assert image_request(width=64, height=128, steps=10, num_images=2).pixel_steps == 64 * 128 * 10 * 2


@pytest.mark.parametrize("changes", [{"prompt": "another"}, {"seed": 1}, {"steps": 9}, {"scheduler": "ddim"}])
def test_what_may_differ_within_a_batch_does_not_split_the_lane(changes: dict[str, object]) -> None:
    assert image_request(**changes).lane == image_request().lane


@pytest.mark.parametrize("changes", [{"model": "other"}, {"width": 128}, {"height": 128}, {"guidance_scale": 1.0}])
def test_what_a_batch_must_share_splits_the_lane(changes: dict[str, object]) -> None:
    assert image_request(**changes).lane != image_request().lane


@pytest.mark.parametrize(
    "changes", [{}, {"guidance_scale": 1.0}, {"adapters": [{"name": "ink"}]}, {"init_image": UUID(int=1)}]
)
def test_a_lane_can_be_read_back(changes: dict[str, object]) -> None:
    request = image_request(**changes)
    key = LaneKey.parse(request.lane)
    assert key.encode() == request.lane
    assert (key.model, key.size, key.mode) == (request.model, f"{request.width}x{request.height}", request.mode)
    assert (key.guidance == GUIDED, key.adapters != "") == (request.is_guided, request.adapters != ())


def test_media_types_are_those_of_the_formats() -> None:
    assert {each.content_type for each in OutputFormat} == {"image/png", "image/jpeg", "image/webp"}
