import weakref

import pytest

from common.errors import GenerationError, ModelUnavailableError, OutOfMemoryError
from common.jobs.request import Adapter
from tests.support.engine.engine_fixture import EngineFixture, FakeFamily, card
from tests.support.engine.weights import write
from tests.support.factories import image_request
from worker.engine.model_cache import LoadedModel

SIZE = 100


@pytest.fixture
def directories(tmp_path):
    """Three models of the same size in memory, each with a copy that is not loaded."""
    made = {name: tmp_path / name for name in ("a", "b", "c")}
    for directory in made.values():
        (directory / "unet").mkdir(parents=True)
        (directory / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"]}')
        write(directory / "unet" / "diffusion_pytorch_model.safetensors", {"w": (5, SIZE // 4 // 5)})
        write(directory / "unet" / "diffusion_pytorch_model.fp16.safetensors", {"w": (5, SIZE // 4 // 5)})
        (directory / "readme.md").write_bytes(bytes(10 * SIZE))
    return made


def create_engine_fixture(directories, models_that_fit, **options):
    return EngineFixture(*directories, directories=directories, budget_bytes=models_that_fit * SIZE, **options)


def open_model(fixture, name, **request):
    return fixture.residents.open(image_request(model=name, **request), fixture.loop._watchdog)


def in_memory(fixture):
    return list(fixture.residents._models)


def test_a_model_is_loaded_once_and_what_that_takes_is_overhead(directories):
    fixture = create_engine_fixture(directories, 3)
    assert open_model(fixture, "a") is open_model(fixture, "a") is fixture.families["a"]
    assert fixture.meter.snapshot()["overhead"]["load"] == fixture.device.told == 8.0


def test_the_least_recently_used_model_is_evicted_when_the_budget_is_spent(directories):
    fixture = create_engine_fixture(directories, 2)
    for name in ("a", "b", "a", "c"):
        open_model(fixture, name)
    assert in_memory(fixture) == ["a", "c"]
    assert fixture.device.frees == 1


def test_a_model_that_is_evicted_by_name_is_gone_and_one_that_is_not_there_does_no_harm(directories):
    fixture = create_engine_fixture(directories, 2)
    open_model(fixture, "a")
    fixture.residents.evict("a")
    fixture.residents.evict("a")
    assert in_memory(fixture) == []


def test_a_load_returns_the_card_as_the_loaded_pipeline_tells_it(directories):
    told = card("a", default_steps=9)
    load = lambda of, directory: LoadedModel(FakeFamily(fixture.device), card=told if of.name == "a" else None)  # noqa: E731
    fixture = create_engine_fixture(directories, 3, load=load)
    assert fixture.residents.load("a", fixture.loop._watchdog) == told
    assert fixture.residents.load("b", fixture.loop._watchdog) == card("b")


def test_a_model_that_is_larger_than_the_budget_is_loaded_all_the_same_alone(directories):
    fixture = create_engine_fixture(directories, 0.5)
    open_model(fixture, "a")
    open_model(fixture, "b")
    assert in_memory(fixture) == ["b"]


def test_a_model_is_at_hand_in_memory_or_where_there_is_room_for_it(directories):
    fixture = create_engine_fixture(directories, 1)
    assert fixture.residents.fits_in_memory("b")
    open_model(fixture, "a")
    assert fixture.residents.fits_in_memory("a")
    assert not fixture.residents.fits_in_memory("b")
    assert fixture.residents.fits_in_memory("unheard-of"), "so that it is refused at once"


def test_only_a_model_in_memory_is_ready(directories):
    fixture = create_engine_fixture(directories, 1)
    assert not fixture.residents.is_ready(image_request(model="a"))
    open_model(fixture, "a")
    assert fixture.residents.is_ready(image_request(model="a"))


def test_a_model_that_is_not_offered_is_unavailable(directories):
    with pytest.raises(ModelUnavailableError, match="does not offer the model z"):
        open_model(create_engine_fixture(directories, 1), "z")


def test_an_evicted_model_is_freed_before_the_next_is_loaded(directories):
    alive = []

    def load(card, directory):
        assert not [name for name, gone in alive if gone() is not None], "the one before is still in memory"
        family = FakeFamily(fixture.device)
        family.itself = family  # as the parts of real models do
        alive.append((card.name, weakref.ref(family)))
        return LoadedModel(family)

    fixture = create_engine_fixture(directories, 1, load=load)
    for name in ("a", "b", "a"):
        open_model(fixture, name)
    assert [name for name, _ in alive] == ["a", "b", "a"]


def test_a_load_that_runs_out_of_memory_evicts_the_others_and_is_retried(directories):
    tries = []

    def load(card, directory):
        tries.append((card.name, in_memory(fixture)))
        if in_memory(fixture) and card.name == "c":
            raise OutOfMemoryError
        return LoadedModel(FakeFamily(fixture.device))

    fixture = create_engine_fixture(directories, 3, load=load)
    for name in ("a", "b", "c"):
        open_model(fixture, name)
    assert tries[2:] == [("c", ["a", "b"]), ("c", [])]
    assert in_memory(fixture) == ["c"]


@pytest.mark.parametrize("error", [ModelUnavailableError, OutOfMemoryError])
def test_a_model_that_cannot_be_loaded_is_not_in_memory_and_may_be_tried_again(directories, error):
    faults = [error]

    def load(card, directory):
        if faults:
            raise faults.pop()
        return LoadedModel(FakeFamily(fixture.device))

    fixture = create_engine_fixture(directories, 3, load=load)
    with pytest.raises(error):
        open_model(fixture, "a")
    assert in_memory(fixture) == []
    assert open_model(fixture, "a")


def test_a_model_without_adapters_refuses_them(directories):
    with pytest.raises(GenerationError, match="does not support adapters"):
        open_model(create_engine_fixture(directories, 1), "a", adapters=(Adapter(name="ink"),))


class RecordingAdapters:
    """Adapters of which some are loaded, and which remember what is on."""

    def __init__(self, *loaded):
        self.loaded = set(loaded)
        self.on = ()

    def is_ready(self, adapters):
        return {adapter.name for adapter in adapters} <= self.loaded

    def activate(self, adapters):
        self.loaded |= {adapter.name for adapter in adapters}
        self.on = tuple(adapter.name for adapter in adapters)


def test_exactly_the_adapters_of_the_request_are_active(directories):
    adapters = RecordingAdapters("ink")
    fixture = create_engine_fixture(
        directories, 1, load=lambda card, directory: LoadedModel(FakeFamily(fixture.device), adapters)
    )
    ink, gold = (image_request(model="a", adapters=(Adapter(name=name),)) for name in ("ink", "gold"))
    open_model(fixture, "a")
    assert adapters.on == ()
    assert fixture.residents.is_ready(ink)
    assert not fixture.residents.is_ready(gold)
    for request in (ink, gold):
        fixture.residents.open(request, fixture.loop._watchdog)
        assert adapters.on == (request.adapters[0].name,)
    open_model(fixture, "a")
    assert adapters.on == ()
