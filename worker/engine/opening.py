"""Which engine a press gets: the painted stand-in if that is all it offers, else one with models in it."""

from common import catalog
from common.settings import Settings
from worker.engine.painted import PaintedEngine
from worker.engine.port import Engine
from worker.meter import Meter


def open_engine(settings: Settings, meter: Meter) -> Engine:
    """Return the engine of this press, not loaded yet; torch is imported only where a real model is offered."""
    offered = catalog.offered(settings)
    if catalog.PAINTED in offered:
        return PaintedEngine(settings, meter)
    from worker.engine.whole import WholeEngine  # noqa: PLC0415  (imports torch, which takes seconds)

    return WholeEngine(settings, offered, meter)
