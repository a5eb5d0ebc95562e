# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
import functools
import random

import pytest

from common.jobs.request import SchedulerName

DIFFUSING, FLOWING = ("sd15", "sdxl"), ("sd3", "flux")
FAMILIES = (*DIFFUSING, *FLOWING)
EVERY_SCHEDULER = [(name, scheduler) for name in DIFFUSING for scheduler in SchedulerName] + [
    (name, SchedulerName.EULER) for name in FLOWING
]

# diffusers makes numpy arrays in a way that numpy means to change
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")


@pytest.mark.parametrize(("name", "scheduler"), [("sd15", None), *EVERY_SCHEDULER])
def test_batched_images_match_the_stock_pipeline(mixed_batches, tiny_family, name, scheduler):
    mixed_batches.expect_parity(tiny_family(name), mixed_batches.build_mixed_batch(name, scheduler))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_scheduler_of_a_card_is_compared_with_the_stock_pipeline(tiny_family, name):
    assert {(name, scheduler) for scheduler in tiny_family(name).card.schedulers} <= set(EVERY_SCHEDULER)


@pytest.mark.parametrize("name", DIFFUSING)
def test_images_of_all_schedulers_can_share_a_batch(mixed_batches, tiny_family, name):
    members = [
        mixed_batches.BatchMember(mixed_batches.asked(name, place, scheduler=scheduler), joins=place // 3)
        for place, scheduler in enumerate([None, *SchedulerName])
    ]
    mixed_batches.expect_parity(tiny_family(name), members)


@pytest.mark.parametrize("name", FAMILIES)
def test_16_bit_images_differ_from_the_stock_pipelines_by_rounding_only(mixed_batches, tiny_family, name):
    import torch

    family = mixed_batches.altered(tiny_family(name), **mixed_batches.in_dtype(tiny_family(name), torch.bfloat16))
    members = [
        mixed_batches.BatchMember(mixed_batches.asked(name, place, scheduler=scheduler))
        for place, scheduler in enumerate(family.card.schedulers)
    ]
    drawings = mixed_batches.draw_together(family, members)
    for member, drawing in zip(members, drawings, strict=True):
        assert drawing.latents.dtype == torch.bfloat16
        assert mixed_batches.distance(drawing.latents, mixed_batches.draw_alone(family, member.request)) <= 0.05
    assert family.decode(drawings).dtype == torch.float32


@pytest.mark.parametrize("name", FAMILIES)
def test_every_field_of_a_request_changes_its_image(mixed_batches, tiny_family, name):
    """The comparisons above would not see a thing that these tiny models ignored."""
    changes = [{}, {"prompt": "a dog"}, {"steps": 5}, {"seed": 99}, {"guidance_scale": 9.0}]
    if name != "flux":
        changes += [{"negative_prompt": "grey"}, {"guidance_scale": 1.0}]
    members = [mixed_batches.BatchMember(mixed_batches.asked(name, 0, **change)) for change in changes]
    first, *others = mixed_batches.draw_together(tiny_family(name), members)
    assert all(mixed_batches.distance(other.latents, first.latents) > 10 * mixed_batches.TOLERANCE for other in others)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", [(64, 64), (48, 32)])
def test_decoded_images_match_the_stock_pipeline(mixed_batches, tiny_family, name, size):
    family, (width, height) = tiny_family(name), size
    members = [
        mixed_batches.BatchMember(mixed_batches.asked(name, place, width=width, height=height), joins=place)
        for place in range(2)
    ]
    pictures = family.decode(mixed_batches.draw_together(family, members)).detach()
    assert pictures.shape == (2, 3, height, width)
    assert 0 <= pictures.min() < pictures.max() <= 1
    for member, picture in zip(members, pictures, strict=True):
        alone = mixed_batches.draw_alone(family, member.request, "pt")[0]
        assert (picture - alone).abs().max() <= 1 / 255


@pytest.mark.parametrize("name", FAMILIES)
def test_each_image_of_a_request_has_the_noise_of_its_own_seed(mixed_batches, tiny_family, name):
    import torch

    from worker.engine.interface import Inputs

    family, request = tiny_family(name), mixed_batches.asked(name, 1, num_images=3, scheduler=SchedulerName.EULER)
    with torch.no_grad():
        drawings = family.begin(request, request.seeds, Inputs())
        while drawings[0].done < drawings[0].total:
            family.step(drawings)
    for drawing, seed in zip(drawings, request.seeds, strict=True):
        alone = mixed_batches.draw_alone(family, request.model_copy(update={"seed": seed}))
        assert drawing.seed == seed
        assert mixed_batches.distance(drawing.latents, alone) <= mixed_batches.TOLERANCE


@pytest.fixture(scope="module")
def drawings_alone(mixed_batches, tiny_family):
    """Some requests of a family, each with its latents when nobody is about."""

    def draw(name):
        requests = [
            mixed_batches.asked(name, place, guidance_scale=scale) for place in range(3) for scale in (4.0, 1.0)
        ]
        return [
            (request, mixed_batches.draw_together(tiny_family(name), [mixed_batches.BatchMember(request)])[0])
            for request in requests
        ]

    return functools.cache(draw)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("seed", range(3))
def test_rows_that_join_or_leave_a_batch_do_not_change_the_others(
    mixed_batches, tiny_family, drawings_alone, name, seed
):
    dice = random.Random(seed)
    picks = dice.choices(drawings_alone(name), k=10)
    members = [
        mixed_batches.BatchMember(request, dice.randrange(8), dice.choice([None, None, dice.randint(1, 2)]))
        for request, _ in picks
    ]
    drawings = mixed_batches.draw_together(tiny_family(name), members)
    for member, drawing, (_, alone) in zip(members, drawings, picks, strict=True):
        if member.drops is None:
            assert mixed_batches.distance(drawing.latents, alone.latents) <= mixed_batches.TOLERANCE
