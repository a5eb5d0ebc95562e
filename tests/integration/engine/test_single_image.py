# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
"""Pipelines that run as a whole, when they run out of memory."""

import pytest

from common.errors import OutOfMemoryError
from common.settings import Settings
from tests.support.factories import image_request
from worker.engine.factory import open_engine
from worker.engine.interface import NullObserver
from worker.metering.meter import Meter

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers"), pytest.mark.timeout(300)]

SIDES = {"width": 64, "height": 64}


class Decoder:
    """Decodes as the model does, as far as there is memory for it, and records whether it did so in tiles."""

    def __init__(self, vae, fits):
        self.vae = vae
        self.fits = fits
        self.tiled = []
        self.decode, vae.decode = vae.decode, self

    def __call__(self, latents, **options):
        import torch

        self.tiled.append(self.vae.use_tiling)
        if not self.fits(latents, self.vae.use_tiling):
            raise torch.OutOfMemoryError
        return self.decode(latents, **options)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    from tests.support.engine import tiny_pipelines

    directory = tiny_pipelines.save("pixart", tmp_path_factory.mktemp("models") / "pixart")
    made = open_engine(Settings(models=(str(directory),), device="cpu"), Meter())
    assert made.load()["pixart"].fault is None
    yield made
    made.close()


@pytest.fixture
def decoder(engine):
    vae = engine._models._models["pixart"].family.pipeline.vae
    made = Decoder(vae, lambda latents, is_tiled: True)
    yield made
    vae.decode = made.decode


def generate(engine, **changes):
    request = image_request(**({"model": "pixart", "steps": 2, "guidance_scale": 3.0, **SIDES} | changes))
    (picture,) = engine.generate(request, NullObserver())
    return picture.pixels.tobytes()


def test_a_decoder_out_of_memory_repeats_the_run_in_tiles_and_the_limit_recovers(engine, decoder):
    decoder.fits = lambda latents, is_tiled: is_tiled
    repeated = generate(engine)
    assert repeated == generate(engine), "a run that is repeated differs from one that is not"
    assert decoder.tiled == [False, True, True]
    decoder.fits = lambda latents, is_tiled: True
    generate(engine, width=128)
    assert decoder.tiled[-1] is False, "another lane is decoded as before"
    (patience,) = engine._limits._economy._patience.values()
    patience.wanted = 3  # two have succeeded
    for _ in range(2):
        generate(engine)
    assert decoder.tiled[-2:] == [True, False]


def test_a_picture_that_does_not_fit_in_tiles_either_is_out_of_memory_and_the_next_is_unharmed(engine, decoder):
    decoder.fits = lambda latents, is_tiled: False
    with pytest.raises(OutOfMemoryError):
        generate(engine, seed=5)
    decoder.fits = lambda latents, is_tiled: True
    assert generate(engine, seed=5)


def test_a_step_out_of_memory_beside_another_model_begins_the_run_again(engine, monkeypatch):
    from worker.engine.families.single_image import PipelineRun

    wanted = generate(engine)
    go_on, crowd = PipelineRun.go_on, [True]

    def run_out(run):
        if run.done == 1 and crowd:
            run._pipeline.scheduler.step = fail
        go_on(run)

    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(PipelineRun, "go_on", run_out)
    monkeypatch.setattr(engine._models, "evict_others", lambda name: bool(crowd and crowd.pop()))
    assert generate(engine) == wanted
    assert not crowd


def test_with_an_init_image_a_pipeline_takes_its_last_steps_and_decodes_after_them():
    from types import SimpleNamespace

    from worker.engine.families.single_image import PipelineRun

    def call():
        pipeline._num_timesteps = 2
        for _ in range(2):
            scheduler.step()
        return "decoded"

    scheduler = SimpleNamespace(timesteps=[4, 3, 2, 1], step=lambda: None)

    class Pipeline:
        def __call__(self):
            return call()

    pipeline = Pipeline()
    pipeline.scheduler = scheduler
    run = PipelineRun(lambda: (pipeline, {}), image_request(steps=4), 0)
    run.go_on()
    run.go_on()
    assert (run.done, run.total, run.is_over, run.output) == (2, 2, False, None)
    run.go_on()
    assert (run.done, run.total, run.is_over, run.output) == (2, 2, True, "decoded")
