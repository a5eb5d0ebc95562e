# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
"""The starter model's pictures, printed alone and in fifty random batches."""

import random

import pytest
from PIL import ImageChops

from common.jobs.request import ImageRequest, SchedulerName
from common.models.catalog import STARTER, read_card

COMPANIES = 50
CLOSE = 2
"""Levels of 255 by which a picture may differ with its batch: sums of floats depend on their order."""

PROMPTS = ("a fox on a red background", "a tiger on a blue background", "an octopus on a plain white background")

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def family():
    import torch

    from worker.engine.families.factory import open_family
    from worker.torch_device import Device

    torch.set_num_threads(1)
    return open_family(read_card(STARTER), STARTER, Device("cpu"))


def make_requests():
    dice = random.Random(3)
    schedulers = [None, *SchedulerName]
    return [
        ImageRequest(
            prompt=PROMPTS[number % len(PROMPTS)],
            model="starter-1",
            width=128,
            height=128,
            steps=dice.randint(2, 3),
            guidance_scale=dice.choice([1.5, 2.5, 4.0]),
            seed=number,
            scheduler=schedulers[number % len(schedulers)],
        )
        for number in range(12)
    ]


def print_together(family, joining):
    """Print requests, each of which joins at its own pass; return their pictures."""
    import torch

    from worker.engine.interface import NO_INPUTS
    from worker.engine.torch_backend.accelerator import TorchAccelerator
    from worker.torch_device import Device

    pictures, drawings, passes = {}, {}, 0
    with torch.no_grad():
        while len(pictures) < len(joining):
            for request, joins_at in joining.items():
                if joins_at == passes:
                    (drawings[request],) = family.begin(request, [request.seed], NO_INPUTS)
            here = [drawing for drawing in drawings.values() if drawing.done < drawing.total]
            if here:
                family.step(here)
            done = [request for request in drawings if drawings[request].done >= drawings[request].total]
            done = [request for request in done if request not in pictures]
            if done:
                decoded = family.decode([drawings[request] for request in done])
                exposures = TorchAccelerator(Device("cpu")).expose(decoded)
                pictures |= {request: expose() for request, expose in zip(done, exposures, strict=True)}
            passes += 1
    return pictures


def test_an_image_is_the_same_alone_and_in_fifty_random_batches(family):
    requests = make_requests()
    alone = {request: print_together(family, {request: 0})[request] for request in requests}
    dice = random.Random(4)
    for _ in range(COMPANIES):
        company = dice.sample(requests, dice.randint(2, 4))
        printed = print_together(family, {request: dice.randint(0, 2) for request in company})
        for request in company:
            difference = ImageChops.difference(alone[request], printed[request])
            assert max(most for _, most in difference.getextrema()) <= CLOSE
