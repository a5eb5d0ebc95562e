"""The provenance mark that every published image carries."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.images.provenance import DIGITAL_SOURCE_TYPE, SOFTWARE_AGENT, build_xmp_packet, format_job_urn


@dataclass(frozen=True)
class Mark:
    """The job and model that generated an image; never the prompt."""

    job_id: UUID
    model: str

    def as_xmp(self) -> bytes:
        """Return the mark as an XMP packet (ISO 16684-1)."""
        return build_xmp_packet(model=self.model, job_id=str(self.job_id))

    def as_manifest(self) -> dict[str, Any]:
        """Return the mark as a C2PA manifest definition (specification 2.2)."""
        created = {
            "action": "c2pa.created",
            "digitalSourceType": DIGITAL_SOURCE_TYPE,
            "softwareAgent": SOFTWARE_AGENT,
            "parameters": {"pressroom.model": self.model, "pressroom.job": format_job_urn(self.job_id)},
        }
        return {
            "claim_generator_info": [SOFTWARE_AGENT],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
        }
