import weakref

import pytest

from common.errors import GenerationError, ModelUnavailableError, OutOfMemoryError
from common.jobs.request import Adapter
from tests.support.engine.engines import FakeFamily, Workshop
from tests.support.factories import image_request
from worker.engine.model_cache import LoadedModel

SIZE = 100


@pytest.fixture
def directories(tmp_path):
    """Three models of the same size on disk."""
    made = {name: tmp_path / name for name in ("a", "b", "c")}
    for directory in made.values():
        (directory / "unet").mkdir(parents=True)
        (directory / "unet" / "weights.safetensors").write_bytes(bytes(SIZE))
        (directory / "readme.md").write_bytes(bytes(10 * SIZE))
    return made


def workshop(directories, models_that_fit, **options):
    return Workshop(*directories, directories=directories, budget_bytes=models_that_fit * SIZE, **options)


def open_model(shop, name, **request):
    return shop.residents.open(image_request(model=name, **request), shop.loop._watchdog)


def in_memory(shop):
    return list(shop.residents._residents)


def test_a_model_is_loaded_once_and_what_that_takes_is_overhead(directories):
    shop = workshop(directories, 3)
    assert open_model(shop, "a") is open_model(shop, "a") is shop.families["a"]
    assert shop.meter.snapshot()["overhead"]["load"] == shop.device.told == 8.0


def test_the_least_recently_used_leaves_when_the_budget_is_spent(directories):
    shop = workshop(directories, 2)
    for name in ("a", "b", "a", "c"):
        open_model(shop, name)
    assert in_memory(shop) == ["a", "c"]
    assert shop.device.frees == 1


def test_a_model_that_is_larger_than_the_budget_is_loaded_all_the_same_alone(directories):
    shop = workshop(directories, 0.5)
    open_model(shop, "a")
    open_model(shop, "b")
    assert in_memory(shop) == ["b"]


def test_a_model_is_at_hand_in_memory_or_where_there_is_room_for_it(directories):
    shop = workshop(directories, 1)
    assert shop.residents.is_at_hand("b")
    open_model(shop, "a")
    assert shop.residents.is_at_hand("a")
    assert not shop.residents.is_at_hand("b")
    assert shop.residents.is_at_hand("unheard-of"), "so that it is refused at once"


def test_only_a_model_in_memory_is_ready(directories):
    shop = workshop(directories, 1)
    assert not shop.residents.is_ready(image_request(model="a"))
    open_model(shop, "a")
    assert shop.residents.is_ready(image_request(model="a"))


def test_a_model_that_is_not_offered_is_unavailable(directories):
    with pytest.raises(ModelUnavailableError, match="does not offer the model z"):
        open_model(workshop(directories, 1), "z")


def test_a_model_that_leaves_is_gone_before_its_memory_is_given_back_and_the_next_is_loaded(directories):
    alive = []

    def load(card, directory):
        assert not [name for name, gone in alive if gone() is not None], "the one before is still in memory"
        family = FakeFamily(shop.device)
        family.itself = family  # as the parts of real models do
        alive.append((card.name, weakref.ref(family)))
        return LoadedModel(family)

    shop = workshop(directories, 1, load=load)
    for name in ("a", "b", "a"):
        open_model(shop, name)
    assert [name for name, _ in alive] == ["a", "b", "a"]


def test_where_a_load_runs_out_of_memory_the_others_leave_and_it_is_tried_again(directories):
    tries = []

    def load(card, directory):
        tries.append((card.name, in_memory(shop)))
        if in_memory(shop) and card.name == "c":
            raise OutOfMemoryError
        return LoadedModel(FakeFamily(shop.device))

    shop = workshop(directories, 3, load=load)
    for name in ("a", "b", "c"):
        open_model(shop, name)
    assert tries[2:] == [("c", ["a", "b"]), ("c", [])]
    assert in_memory(shop) == ["c"]


@pytest.mark.parametrize("error", [ModelUnavailableError, OutOfMemoryError])
def test_a_model_that_cannot_be_loaded_is_not_in_memory_and_may_be_tried_again(directories, error):
    faults = [error]

    def load(card, directory):
        if faults:
            raise faults.pop()
        return LoadedModel(FakeFamily(shop.device))

    shop = workshop(directories, 3, load=load)
    with pytest.raises(error):
        open_model(shop, "a")
    assert in_memory(shop) == []
    assert open_model(shop, "a")


def test_a_model_without_adapters_refuses_them(directories):
    with pytest.raises(GenerationError, match="does not support adapters"):
        open_model(workshop(directories, 1), "a", adapters=(Adapter(name="ink"),))


class Wardrobe:
    """Adapters of which some are loaded, and which remember what is on."""

    def __init__(self, *loaded):
        self.loaded = set(loaded)
        self.on = ()

    def is_ready(self, adapters):
        return {adapter.name for adapter in adapters} <= self.loaded

    def activate(self, adapters):
        self.loaded |= {adapter.name for adapter in adapters}
        self.on = tuple(adapter.name for adapter in adapters)


def test_exactly_the_adapters_of_the_request_are_on(directories):
    wardrobe = Wardrobe("ink")
    shop = workshop(directories, 1, load=lambda card, directory: LoadedModel(FakeFamily(shop.device), wardrobe))
    ink, gold = (image_request(model="a", adapters=(Adapter(name=name),)) for name in ("ink", "gold"))
    open_model(shop, "a")
    assert wardrobe.on == ()
    assert shop.residents.is_ready(ink)
    assert not shop.residents.is_ready(gold)
    for request in (ink, gold):
        shop.residents.open(request, shop.loop._watchdog)
        assert wardrobe.on == (request.adapters[0].name,)
    open_model(shop, "a")
    assert wardrobe.on == ()
