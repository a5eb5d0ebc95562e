"""Which family a loaded pipeline gets: one that steps many pictures together, or the pipeline's own loop."""

from pathlib import Path
from typing import Any

from common.catalog import Family, ModelCard
from worker.engine import loading
from worker.engine.device import Device
from worker.engine.families.sd15 import Sd15Family
from worker.engine.families.whole import WholeFamily

FAMILIES = {Family.SD15: Sd15Family}


def open_family(card: ModelCard, directory: Path, device: Device) -> Any:
    """Load the model in *directory*; raise ModelUnavailableError or OutOfMemoryError."""
    pipeline = loading.open_pipeline(directory, device)
    known = FAMILIES.get(card.family)
    return known(pipeline, card, device) if known else WholeFamily(pipeline, card)
