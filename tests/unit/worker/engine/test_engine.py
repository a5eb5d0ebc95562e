import pytest

from common.errors import OutOfMemoryError
from common.settings import Settings
from tests.support.engine.engine_fixture import Device, FakeFamily, card
from worker.engine.engine import SHORTAGE_PAUSES_SECONDS, BatchingEngine
from worker.engine.model_cache import LoadedModel
from worker.metering.meter import Meter


class LoadedEngine:
    """An engine of fake models that counts its pauses; *before* is called with the names of the loaded models."""

    def __init__(self, *names, before, is_crowded=False):
        self.device = Device()
        self.device.is_crowded = is_crowded
        self.pauses = []
        self.engine = BatchingEngine(
            Settings(), {name: (card(name), None) for name in names}, Meter(self.device.now), accelerator=self.device,
            load=self.load, budget_bytes=1, sleep=self.pauses.append,
        )  # fmt: skip
        self.before = before

    def load(self, of, directory):
        family = FakeFamily(self.device)
        family.before = lambda phase, seeds: self.before(phase, self.loaded)
        return LoadedModel(family)

    @property
    def loaded(self):
        return list(self.engine._models._models)

    def try_models(self):
        try:
            return {name: tried.fault for name, tried in self.engine.load().items()}
        finally:
            self.engine.close()


@pytest.mark.parametrize("phase", ["encode", "denoise", "decode"])
def test_a_model_that_does_not_fit_beside_others_is_tried_without_them(phase):
    def run_out(now, loaded):
        if now == phase and len(loaded) > 1:
            raise MemoryError

    fixture = LoadedEngine("a", "b", before=run_out)
    assert fixture.try_models() == {"b": None, "a": None}
    assert (fixture.loaded, fixture.pauses) == (["a"], [])


def test_models_that_fit_together_stay_loaded_after_their_trial():
    fixture = LoadedEngine("a", "b", before=lambda phase, loaded: None)
    fixture.try_models()
    assert fixture.loaded == ["b", "a"]


def test_a_model_that_does_not_fit_alone_is_out_of_memory_and_does_not_stop_the_others():
    def run_out(phase, loaded):
        if "b" in loaded:
            raise MemoryError

    fixture = LoadedEngine("a", "b", before=run_out)
    faults = fixture.try_models()
    assert faults["a"] is None
    assert OutOfMemoryError().message in faults["b"]
    assert fixture.pauses == []


def test_a_model_waits_while_another_process_holds_the_memory_it_needs():
    def run_out(phase, loaded):
        if len(fixture.pauses) < 2:
            raise MemoryError

    fixture = LoadedEngine("a", before=run_out, is_crowded=True)
    assert fixture.try_models() == {"a": None}
    assert fixture.pauses == list(SHORTAGE_PAUSES_SECONDS[:2])


def test_a_model_does_not_wait_for_memory_for_ever_nor_for_anything_else():
    def fail(error):
        def raise_it(phase, loaded):
            raise error

        return raise_it

    short = LoadedEngine("a", before=fail(MemoryError()), is_crowded=True)
    assert short.try_models()["a"] is not None
    assert short.pauses == list(SHORTAGE_PAUSES_SECONDS)
    broken = LoadedEngine("a", before=fail(ZeroDivisionError()), is_crowded=True)
    assert broken.try_models()["a"] is not None
    assert broken.pauses == []
