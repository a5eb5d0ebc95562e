"""The gauge of energy, on a stand-in for NVML."""

# ruff: noqa: N802  (the names are NVML's)

import pynvml
import pytest

from worker.metering.energy import open_gauge

UUID = "6d1cbe2e-3fd1-4f0f-a6ab-1f5ad3b4f0f2"


class Card:
    """NVML with one device, by its UUID; what it cannot do raises as the real one does."""

    def __init__(self, *, counts=True, measures=True, library=True):
        self.counts, self.measures, self.library = counts, measures, library
        self.millijoules = 5_000_000
        self.milliwatts = 100_000
        self.time = 0.0

    def nvmlInit(self):
        if not self.library:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    def nvmlDeviceGetHandleByUUID(self, uuid):
        if uuid != f"GPU-{UUID}":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        return self._answer(self.counts, self.millijoules)

    def nvmlDeviceGetPowerUsage(self, handle):
        return self._answer(self.measures, self.milliwatts)

    def clock(self):
        return self.time

    def pass_(self, seconds, milliwatts):
        self.time += seconds
        self.milliwatts = milliwatts

    def _answer(self, is_able, value):
        if not is_able:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return value


@pytest.mark.parametrize("uuid", [UUID, f"GPU-{UUID}"], ids=["as-torch-spells-it", "as-nvml-spells-it"])
def test_joules_are_counted_from_the_opening_of_the_gauge(uuid):
    card = Card()
    gauge = open_gauge(uuid, card)
    assert gauge.joules == 0.0
    card.millijoules += 250_500
    assert gauge.joules == 250.5


def test_a_device_that_counts_no_energy_has_its_power_integrated():
    card = Card(counts=False)
    gauge = open_gauge(UUID, card, card.clock)
    card.pass_(2.0, 300_000)
    assert gauge.joules == pytest.approx(2.0 * 200)
    card.pass_(1.0, 300_000)
    assert gauge.joules == pytest.approx(2.0 * 200 + 300)


@pytest.mark.parametrize(
    ("uuid", "card"),
    [
        (None, Card()),
        (UUID, Card(library=False)),
        ("00000000-3fd1-4f0f-a6ab-1f5ad3b4f0f2", Card()),
        ("MIG-6d1cbe2e-3fd1-4f0f-a6ab-1f5ad3b4f0f2", Card()),
        (UUID, Card(counts=False, measures=False)),
    ],
    ids=["no-device", "no-library", "another-device", "a-slice", "a-device-without-sensors"],
)
def test_there_is_no_gauge_where_nothing_can_be_measured(uuid, card):
    assert open_gauge(uuid, card) is None


def test_the_real_library_is_asked_and_its_absence_is_no_error():
    assert open_gauge(UUID) is None


def test_while_the_device_does_not_answer_the_last_total_is_kept():
    card = Card()
    gauge = open_gauge(UUID, card)
    card.millijoules += 1_000
    assert gauge.joules == 1.0
    card.counts = False
    assert gauge.joules == 1.0
    card.counts = True
    card.millijoules += 1_000
    assert gauge.joules == 2.0


def test_the_total_never_falls():
    card = Card()
    gauge = open_gauge(UUID, card)
    card.millijoules += 1_000
    assert gauge.joules == 1.0
    card.millijoules = 0
    assert gauge.joules == 1.0
