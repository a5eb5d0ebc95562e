"""Choose the family for a loaded pipeline: one that batches images, or the pipeline's own loop."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from common.models import catalog
from common.models.catalog import Family, ModelCard
from worker.engine.families.flux import FluxFamily
from worker.engine.families.pipeline_call import derive_card_fields
from worker.engine.families.sd3 import Sd3Family
from worker.engine.families.sd15 import Sd15Family
from worker.engine.families.sdxl import SdxlFamily
from worker.engine.families.single_image import SingleImageFamily
from worker.engine.torch_backend import load_pipeline
from worker.torch_device import Device

FAMILIES = {Family.SD15: Sd15Family, Family.SDXL: SdxlFamily, Family.SD3: Sd3Family, Family.FLUX: FluxFamily}


def open_family(card: ModelCard, directory: Path, device: Device, speedups: Collection[str] = ()) -> Any:
    """Load the model in *directory*; raise ModelUnavailableError or OutOfMemoryError.

    The ``card`` of the family says what the loaded pipeline takes, which its directory may not tell.
    """
    pipeline = load_pipeline.open_pipeline(directory, device, speedups)
    known = FAMILIES.get(card.family)
    if known is not None:
        return known(pipeline, card, device)
    derived = catalog.read_card(directory, derive_card_fields(pipeline))
    return SingleImageFamily(pipeline, derived.model_copy(update={"adapters": card.adapters}))
