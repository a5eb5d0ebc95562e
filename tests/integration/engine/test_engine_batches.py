"""The whole engine on tiny models, asked by many threads at once."""

# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
import gc
import threading

import psutil
import pytest
from PIL import ImageChops

from common.errors import GenerationError, InterruptedAttemptError
from common.jobs.request import SchedulerName
from common.settings import Settings
from common.states.jobs import Priority
from tests.support.engine.engine_fixture import Background, Recorder
from tests.support.factories import image_request
from worker.engine.batch_selection import SWAP_PATIENCE
from worker.engine.factory import open_engine
from worker.engine.interface import NO_INPUTS, NullObserver
from worker.metering.meter import Meter

CLOSE = 2
"""Levels of 255 by which a picture may differ with its batch: sums of floats depend on their order."""

FAMILIES = ("sd15", "sdxl", "pixart")

SMALL = {"model": "sd15", "width": 32, "height": 32, "steps": 1}

COMPANY = [
    {"model": "sd15", "steps": 6},
    {"model": "sd15", "steps": 3, "scheduler": SchedulerName.EULER_ANCESTRAL, "num_images": 2},
    {"model": "sd15", "steps": 5, "scheduler": SchedulerName.DPMPP_2M, "guidance_scale": 9.0, "negative_prompt": "fog"},
    {"model": "sd15", "steps": 4, "guidance_scale": 1.0},
    {"model": "sd15", "steps": 4, "width": 32, "scheduler": SchedulerName.UNIPC},
    {"model": "sdxl", "steps": 4},
    {"model": "sdxl", "steps": 2, "scheduler": SchedulerName.LCM, "num_images": 2},
    {"model": "pixart", "steps": 5},
    {"model": "pixart", "steps": 3, "num_images": 2},
]

# diffusers makes numpy arrays in a way that numpy means to change
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    import torch

    from tests.support.engine import tiny_pipelines

    torch.set_num_threads(1)  # spinning threads cost such small networks more than they bring
    root = tmp_path_factory.mktemp("models")
    return {family: tiny_pipelines.save(family, root / family) for family in FAMILIES}


@pytest.fixture
def start(directories):
    """Starts engines with models of given names, and closes them."""
    started = []

    def start(*names, **options):
        models = tuple(str(directories[name]) for name in names)
        engine = open_engine(Settings(models=models, device="cpu", max_batch=4, **options), Meter())
        started.append(engine)
        engine.load()
        return engine

    yield start
    for engine in started:
        engine.close()


def generate(engine, *, watch=None, priority=Priority.INTERACTIVE, **changes):
    return engine.generate(image_request(**changes), watch or NullObserver(), NO_INPUTS, priority)


def print_together(engine, orders):
    threads = [Background(lambda order=order: generate(engine, **order), patience=200) for order in orders]
    return [thread.result() for thread in threads]


def assert_close(pictures, others):
    for one, other in zip(pictures, others, strict=True):
        assert one.seed == other.seed
        most = max(most for _, most in ImageChops.difference(one.pixels, other.pixels).getextrema())
        assert most <= CLOSE, f"seed {one.seed} differs by {most} levels"


def test_an_image_does_not_depend_on_the_rest_of_its_batch(start):
    engine = start(*FAMILIES)
    orders = [{**order, "seed": 10 * place, "prompt": f"thing {place}"} for place, order in enumerate(COMPANY)]
    together = print_together(engine, orders)
    for order, pictures in zip(orders, together, strict=True):
        assert_close(pictures, generate(engine, **order))
    books = engine._meter.snapshot()
    spent = sum(picture.gpu_seconds for pictures in together for picture in pictures)
    assert 0 < spent < books["busy_seconds"] - sum(books["overhead"].values())


@pytest.mark.parametrize(("one", "other"), [("sd15", "sdxl"), ("pixart", "sd15")])
def test_two_models_share_memory_for_one_even_in_the_middle_of_an_image(start, directories, one, other):
    sizes = [sum(file.stat().st_size for file in directories[name].rglob("*.safetensors")) for name in (one, other)]
    engine = start(one, other, model_memory_gb=(max(sizes) + 1) / 1e9)
    long, short = {**SMALL, "model": one, "steps": SWAP_PATIENCE + 20}, {**SMALL, "model": other, "steps": 3}
    alone = [generate(engine, **long), generate(engine, **short)]
    loads = engine._meter.snapshot()["overhead"]["load"]
    begun = threading.Event()

    class Begun:
        def step(self, number, spent):
            if number > 0:
                begun.set()

    swapped_out = Background(lambda: generate(engine, **long, watch=Begun(), priority=Priority.BULK), patience=200)
    assert begun.wait(200)
    waited = Recorder()
    swapped_in = Background(lambda: generate(engine, **short, watch=waited), patience=200)
    assert_close(swapped_out.result(), alone[0])
    assert_close(swapped_in.result(), alone[1])
    assert SWAP_PATIENCE <= sum(number == 0 for number, _ in waited.heard) <= SWAP_PATIENCE + 3
    assert engine._meter.snapshot()["overhead"]["load"] > loads
    assert list(engine._models._models) == [one]


def test_requests_that_end_or_fail_leak_no_thread_file_or_tensor(start):
    engine = start("sd15", "pixart")

    def count():
        gc.collect()
        return threading.active_count(), psutil.Process().num_fds(), count_tensors()

    def print_some(seed):
        broken = {**SMALL, "model": "pixart", "steps": 2, "scheduler": SchedulerName.DDIM}  # which it does not know
        print_together(engine, [{**SMALL, "seed": seed + place} for place in range(4)])
        generate(engine, **SMALL | {"model": "pixart", "steps": 2})
        with pytest.raises(GenerationError):
            generate(engine, **broken)
        for model in ("sd15", "pixart"):
            with pytest.raises(InterruptedAttemptError):
                generate(engine, **SMALL | {"model": model, "steps": 5}, watch=stopping())

    for seed in range(3):
        print_some(seed)
    before = count()
    for seed in range(25):
        print_some(seed)
    assert count() == before


def test_an_image_leaks_no_tensor_even_without_garbage_collection(start):
    engine = start("sd15", "pixart")
    for model in ("sd15", "pixart"):
        order = SMALL | {"model": model, "steps": 3}
        generate(engine, **order)
        gc.collect()
        gc.disable()
        try:
            before = count_tensors()
            for _ in range(5):
                generate(engine, **order)
                with pytest.raises(InterruptedAttemptError):
                    generate(engine, **order, watch=stopping())
            assert count_tensors() - before < 5, model
        finally:
            gc.enable()


def stopping():
    return Recorder(stop_at=1, error=InterruptedAttemptError())


def count_tensors():
    import torch

    # By their types: some of torch's own objects warn when they are asked for their class.
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())
