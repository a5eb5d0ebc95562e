"""Which engine a press gets: the painted stand-in if that is all it offers, else one with models in it."""

from common import catalog
from common.catalog import Family
from common.errors import SettingsError
from common.settings import Settings
from worker.engine.painted import PaintedEngine
from worker.engine.port import Engine
from worker.meter import Meter


def open_engine(settings: Settings, meter: Meter) -> Engine:
    """Return the engine of this press, not loaded yet; torch is imported only where a real model is offered."""
    offered = catalog.offered(settings)
    painted = [card.family == Family.PAINTED for card, _ in offered.values()]
    if any(painted) and not all(painted):
        raise SettingsError("PRESSROOM_MODELS names the painted stand-in beside real models; offer one or the other.")
    if all(painted):
        return PaintedEngine(settings, meter)
    from worker.engine.whole import WholeEngine  # noqa: PLC0415  (imports torch, which takes seconds)

    return WholeEngine(settings, offered, meter)
