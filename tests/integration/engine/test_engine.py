# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
import json
import math
import shutil

import pytest
from PIL import ImageChops

from common.errors import (
    GenerationError,
    InterruptedAttemptError,
    InvalidPictureError,
    ModelUnavailableError,
    OutOfMemoryError,
    UnforeseenError,
)
from common.jobs.request import SchedulerName
from common.models import catalog
from common.models.catalog import Family
from common.settings import Settings
from tests.support.factories import image_request
from worker.engine.factory import open_engine
from worker.engine.interface import NullObserver
from worker.metering.meter import Meter

CLOSE = 2
"""Levels of 255 by which a picture may differ with its batch: sums of floats depend on their order."""

FAMILIES = ("sd15", "sdxl", "sd3", "flux")

# diffusers makes numpy arrays in a way that numpy means to change
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers"), pytest.mark.timeout(300)]


class Recorder:
    """A watch that keeps what it hears and stops the attempt at one of its steps, or never."""

    def __init__(self, stop_at=None):
        self.heard = []
        self.stop_at = stop_at

    def step(self, number, spent):
        self.heard.append((number, spent))
        if number == self.stop_at:
            raise InterruptedAttemptError


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    import torch

    from tests.support.engine import tiny_pipelines

    torch.set_num_threads(1)  # spinning threads cost such small networks more than they bring
    root = tmp_path_factory.mktemp("models")
    return {family: tiny_pipelines.save(family, root / family) for family in FAMILIES}


@pytest.fixture(scope="module")
def meter():
    return Meter()


@pytest.fixture(scope="module")
def engine(directories, meter):
    settings = Settings(models=tuple(str(directory) for directory in directories.values()), device="cpu")
    made = open_engine(settings, meter)
    made.load()
    return made


@pytest.fixture
def directory(directories, tmp_path):
    """A copy of the smallest model, to be broken."""
    return shutil.copytree(directories["flux"], tmp_path / "broken")


def generate(engine, watch=None, **changes):
    return engine.generate(image_request(**({"model": "sd15", "steps": 3} | changes)), watch or NullObserver())


def largest_difference(one, other):
    return max(most for _, most in ImageChops.difference(one.pixels, other.pixels).getextrema())


def load(directory, **options):
    engine = open_engine(Settings(models=(str(directory),), device="cpu"), Meter(), **options)
    ((_, card),) = engine.load().items()
    if card.fault is not None:
        raise ModelUnavailableError(card.fault)
    return engine


def pipeline_of(engine, name):
    return engine._models._models[name].family.pipeline


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_gives_the_same_pixels_alone_or_batched_and_another_seed_others(engine, family):
    first, second = generate(engine, model=family, seed=5, num_images=2)
    (again,) = generate(engine, model=family, seed=5)
    (alone,) = generate(engine, model=family, seed=6)
    assert largest_difference(first, again) <= CLOSE
    assert largest_difference(second, alone) <= CLOSE
    assert first.pixels.tobytes() != second.pixels.tobytes()
    assert (first.pixels.size, first.pixels.mode, first.seed, second.seed) == ((64, 64), "RGB", 5, 6)


@pytest.mark.parametrize("family", FAMILIES)
def test_time_is_booked_by_phase_and_adds_up(engine, meter, family):
    generate(engine, model=family)  # so that its load is not in between
    before, watch = meter.snapshot(), Recorder()
    pictures = generate(engine, watch, model=family, num_images=2)
    after, (number, spent) = meter.snapshot(), watch.heard[-1]
    assert number == 3
    assert spent.phases.keys() == {"encode", "denoise", "decode"}
    assert all(seconds > 0 for seconds in spent.phases.values())
    busy = after["busy_seconds"] - before["busy_seconds"]
    assert sum(picture.gpu_seconds for picture in pictures) == pytest.approx(spent.gpu_seconds) == pytest.approx(busy)
    assert after["overhead"] == before["overhead"]


def test_loading_and_warming_up_are_overhead_charged_to_nobody(directories):
    meter = Meter()
    made = open_engine(Settings(models=(str(directories["flux"]), str(directories["sd15"])), device="cpu"), meter)
    made.load()
    overhead = meter.snapshot()["overhead"]
    assert overhead.keys() == {"load", "profile", "warm_up"}
    assert sum(overhead.values()) == pytest.approx(meter.snapshot()["busy_seconds"])
    (picture,) = generate(made, model="sd15")
    later = meter.snapshot()
    assert later["overhead"] == overhead, "it was loaded when the press started"
    assert picture.gpu_seconds == pytest.approx(later["busy_seconds"] - sum(later["overhead"].values()))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_scheduler_on_a_models_card_prints_with_it(engine, family):
    for scheduler in catalog.load_offered_models(engine_settings(engine))[family][0].schedulers:
        for steps in (1, 4):
            (picture,) = generate(engine, model=family, scheduler=scheduler, steps=steps, width=32, height=32)
            assert picture.pixels.size == (32, 32)


def engine_settings(engine):
    return Settings(models=tuple(str(directory) for _, directory in engine._offered.values()))


def test_lcm_prints_with_more_steps_than_its_own_schedule_has(engine):
    assert generate(engine, scheduler=SchedulerName.LCM, steps=60, width=32, height=32)


def test_a_scheduler_leaves_the_models_own_as_it_was(engine):
    (before,) = generate(engine)
    (other,) = generate(engine, scheduler=SchedulerName.EULER_ANCESTRAL)
    (after,) = generate(engine)
    assert before.pixels.tobytes() == after.pixels.tobytes() != other.pixels.tobytes()


def test_a_scheduler_that_the_family_does_not_know_is_refused(engine):
    with pytest.raises(GenerationError, match="dpmpp_2m"):
        generate(engine, model="flux", scheduler=SchedulerName.DPMPP_2M)


@pytest.mark.parametrize("changes", [{"guidance_scale": 1.0}, {"prompt": "a cat"}, {"negative_prompt": "fog"}])
def test_guidance_prompt_and_negative_prompt_make_a_difference(engine, changes):
    (plain,), (other,) = generate(engine, model="sdxl"), generate(engine, model="sdxl", **changes)
    assert plain.pixels.tobytes() != other.pixels.tobytes()


def test_an_attempt_stops_where_its_observer_raises_and_the_next_is_unharmed(engine, meter):
    (before,) = generate(engine, model="sdxl")
    started, watch = meter.snapshot()["busy_seconds"], Recorder(stop_at=2)
    with pytest.raises(InterruptedAttemptError):
        generate(engine, watch, model="sdxl", steps=6)
    assert [number for number, _ in watch.heard] == [1, 2, 2]
    assert watch.heard[-1][1].gpu_seconds == pytest.approx(meter.snapshot()["busy_seconds"] - started)
    (after,) = generate(engine, model="sdxl")
    assert before.pixels.tobytes() == after.pixels.tobytes()


def test_a_long_prompt_is_truncated_and_not_logged(engine, caplog, capfd):
    generate(engine, prompt="jane-doe-of-elm-street " * 60)
    generate(engine, model="flux", prompt="jane-doe-of-elm-street " * 60)
    assert "jane" not in caplog.text + "".join(capfd.readouterr())


def test_latents_that_are_not_finite_give_an_invalid_picture_error(directories, tmp_path):
    made = load(shutil.copytree(directories["flux"], tmp_path / "wild"))
    import torch

    with torch.no_grad():
        pipeline_of(made, "wild").transformer.proj_out.bias.fill_(math.nan)
    with pytest.raises(InvalidPictureError):
        generate(made, model="wild")


def test_a_decoder_output_out_of_bounds_gives_an_invalid_picture_error(directories, tmp_path):
    made = load(shutil.copytree(directories["flux"], tmp_path / "wild"))
    import torch

    with torch.no_grad():
        pipeline_of(made, "wild").vae.decoder.conv_out.bias.fill_(math.inf)
        with pytest.raises(InvalidPictureError):
            generate(made, model="wild")
        pipeline_of(made, "wild").vae.decoder.conv_out.bias.fill_(1e9)
        with pytest.raises(InvalidPictureError, match="single colour"):
            generate(made, model="wild")


@pytest.mark.parametrize(
    ("raised", "wanted"),
    [
        (MemoryError(), OutOfMemoryError),
        ("OutOfMemoryError", OutOfMemoryError),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9"), OutOfMemoryError),
        (ValueError("secret prompt"), UnforeseenError),
    ],
)
def test_errors_of_the_pipeline_are_translated_without_its_message(directories, tmp_path, monkeypatch, raised, wanted):
    import torch

    made = load(shutil.copytree(directories["flux"], tmp_path / "faulty"))
    error = getattr(torch, raised)("no room") if isinstance(raised, str) else raised

    def fail(*arguments, **options):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(pipeline_of(made, "faulty").transformer, "forward", fail)
        with pytest.raises(wanted) as caught:
            generate(made, model="faulty")
    assert type(caught.value) is wanted
    assert "secret" not in caught.value.message
    assert generate(made, model="faulty")


def test_a_broken_accelerator_ends_the_process(directories, tmp_path, monkeypatch):
    import torch

    left = []
    made = load(shutil.copytree(directories["flux"], tmp_path / "sticky"), leave=left.append)

    def fail(*arguments, **options):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(pipeline_of(made, "sticky").transformer, "forward", fail)
    with pytest.raises(GenerationError):
        generate(made, model="sticky")
    assert left == [70]


def test_a_model_that_is_not_offered_is_unavailable(engine):
    with pytest.raises(ModelUnavailableError, match="does not offer"):
        generate(engine, model="other")


def test_a_truncated_file_is_named(directory):
    path = directory / "transformer" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelUnavailableError, match="damaged") as caught:
        load(directory)
    assert str(path.relative_to(directory)) in caught.value.message


def test_missing_weights_make_the_model_unavailable(directory):
    (directory / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        load(directory)


def test_weights_of_another_shape_make_the_model_unavailable(directory):
    path = directory / "vae" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "block_out_channels": [16, 16, 16, 16]}))
    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        load(directory)


def test_a_pipeline_that_cannot_generate_from_text_alone_is_refused(directory):
    path = directory / "model_index.json"
    path.write_text(path.read_text().replace('"FluxPipeline"', '"FluxInpaintPipeline"'))
    with pytest.raises(ModelUnavailableError, match="neither from a text nor from one picture"):
        load(directory)


def test_a_pipeline_of_an_unknown_kind_runs_unbatched_and_stops_on_request(tmp_path):
    from tests.support.engine import tiny_pipelines

    directory = tiny_pipelines.save("pixart", tmp_path / "pixart")
    assert catalog.read_card(directory).family is Family.OTHER
    made = load(directory)
    (one,), (again,) = generate(made, model="pixart"), generate(made, model="pixart")
    (other,) = generate(made, model="pixart", seed=8)
    assert one.pixels.tobytes() == again.pixels.tobytes() != other.pixels.tobytes()
    watch = Recorder(stop_at=2)
    with pytest.raises(InterruptedAttemptError):
        generate(made, watch, model="pixart", steps=6)
    assert [number for number, _ in watch.heard] == [1, 2, 2]
