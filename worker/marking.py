"""The mark that every print leaves with."""

from dataclasses import dataclass
from uuid import UUID

from common.provenance import xmp_packet


@dataclass(frozen=True)
class Mark:
    """Which job made a picture and with which model; never what was asked for."""

    job_id: UUID
    model: str

    def as_xmp(self) -> bytes:
        """Return the XMP packet (ISO 16684-1) that says so."""
        return xmp_packet(model=self.model, job_id=str(self.job_id))
