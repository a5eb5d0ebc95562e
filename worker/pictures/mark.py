"""The mark that every print leaves with."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.images.provenance import DIGITAL_SOURCE_TYPE, SOFTWARE_AGENT, job_urn, xmp_packet


@dataclass(frozen=True)
class Mark:
    """Which job made a picture and with which model; never what was asked for."""

    job_id: UUID
    model: str

    def as_xmp(self) -> bytes:
        """Return the XMP packet (ISO 16684-1) that says so."""
        return xmp_packet(model=self.model, job_id=str(self.job_id))

    def as_manifest(self) -> dict[str, Any]:
        """Return the definition of the C2PA manifest (specification 2.2) that says so."""
        created = {
            "action": "c2pa.created",
            "digitalSourceType": DIGITAL_SOURCE_TYPE,
            "softwareAgent": SOFTWARE_AGENT,
            "parameters": {"pressroom.model": self.model, "pressroom.job": job_urn(self.job_id)},
        }
        return {
            "claim_generator_info": [SOFTWARE_AGENT],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
        }
