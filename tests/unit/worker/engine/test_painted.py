import subprocess
import sys
from uuid import UUID

import pytest
from PIL import Image

from common.errors import InterruptedAttemptError, StandInWarning
from common.settings import Settings
from tests.support.factories import image_request
from worker.engine.factory import open_engine
from worker.engine.interface import Inputs, NullObserver
from worker.engine.painted import PaintedEngine
from worker.metering.meter import Meter

LIGHT_MODULES = (
    "common.models.catalog",
    "worker.checkers.factory",
    "worker.engine.factory",
    "worker.pictures.mark",
    "worker.metering.meter",
    "worker.pictures.encode",
)


@pytest.fixture
def meter():
    return Meter()


@pytest.fixture
def make(meter):
    """Makes painted engines, and closes them."""
    made = []

    def make(**options):
        made.append(PaintedEngine(Settings(painted_step_seconds=options.pop("step_seconds", 0)), meter, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def engine(make):
    return make()


def attempts_of(meter):
    """Return the busy seconds that are no overhead."""
    snapshot = meter.snapshot()
    return snapshot["busy_seconds"] - sum(snapshot["overhead"].values())


def paint(engine, **changes):
    return engine.generate(image_request(**changes), NullObserver())


def test_a_request_gives_the_same_image_alone_or_batched(engine):
    (alone,) = paint(engine, seed=8)
    _, second = paint(engine, seed=7, num_images=2)
    assert (alone.seed, second.seed) == (8, 8)
    assert alone.pixels.tobytes() == second.pixels.tobytes()


@pytest.mark.parametrize("changes", [{"seed": 8}, {"prompt": "another"}, {"width": 128}])
def test_another_prompt_seed_or_size_gives_another_picture(engine, changes):
    (one,), (other,) = paint(engine), paint(engine, **changes)
    assert one.pixels.tobytes() != other.pixels.tobytes()


def test_a_picture_has_the_size_asked_for_and_more_than_one_colour(engine):
    (picture,) = paint(engine, width=136, height=72, prompt="Straße 漢字 \0")
    assert (picture.pixels.size, picture.pixels.mode) == ((136, 72), "RGB")
    assert all(low < high for low, high in picture.pixels.getextrema())


def test_a_given_image_is_returned_instead(make):
    given = Image.radial_gradient("L")
    (picture,) = paint(make(picture=given), width=256, height=256)
    assert picture.pixels.tobytes() == given.convert("RGB").tobytes()


def test_the_painted_engine_honours_init_image_strength_and_mask(engine):
    init = Image.new("RGB", (64, 64), "white")
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))

    def redraw(strength, mask=None):
        request = image_request(init_image=UUID(int=1), mask_image=mask and UUID(int=2), strength=strength)
        (picture,) = engine.generate(request, NullObserver(), Inputs(init, mask))
        return picture.pixels

    (plain,) = paint(engine)
    assert redraw(1.0).tobytes() == plain.pixels.tobytes()
    assert redraw(0.0).tobytes() == init.tobytes()
    masked = redraw(1.0, mask)
    left, right = (0, 0, 32, 64), (32, 0, 64, 64)
    assert masked.crop(left).tobytes() == plain.pixels.crop(left).tobytes()
    assert masked.crop(right).tobytes() == init.crop(right).tobytes()


def test_every_painted_step_sleeps_and_is_charged(make, meter):
    slept = []
    pictures = paint(make(step_seconds=0.5, sleep=slept.append), steps=3, num_images=2)
    assert slept == [0.5] * 3, "both pictures in each"
    assert sum(picture.gpu_seconds for picture in pictures) == pytest.approx(attempts_of(meter))


def test_painting_stops_at_the_step_where_its_observer_raises(engine, meter):
    heard = []

    class Stop:
        def step(self, number, spent):
            heard.append((number, spent))
            if number == 2:
                raise InterruptedAttemptError

    with pytest.raises(InterruptedAttemptError):
        engine.generate(image_request(steps=4), Stop())
    assert [number for number, _ in heard] == [1, 2, 2]
    assert heard[-1][1].gpu_seconds == pytest.approx(attempts_of(meter))
    assert len(paint(engine)) == 1  # and goes on with the next


def test_the_painted_engine_warns_that_it_is_a_stand_in(engine):
    with pytest.warns(StandInWarning, match="instead of a model"):
        engine.load()


def test_a_press_with_the_painted_model_alone_gets_the_painted_engine(meter):
    assert isinstance(open_engine(Settings(models=("painted",)), meter), PaintedEngine)


def test_a_painted_press_imports_no_machine_learning():
    heavy = ("torch", "diffusers", "transformers", "onnxruntime", "numpy")
    program = f"import sys, {', '.join(LIGHT_MODULES)}; sys.exit(' '.join(set(sys.modules) & set({heavy!r})) or 0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
