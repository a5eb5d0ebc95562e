"""The mark that every picture leaves with: XMP that tells machines that a trained algorithm made it."""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from uuid import UUID
from xml.sax.saxutils import escape

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's term for media made by a trained algorithm; what Article 50(2) of the EU AI Act asks to be readable."""

_PACKET = """<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
   <xmp:CreatorTool>{software}</xmp:CreatorTool>
   <dc:identifier>{identifier}</dc:identifier>
   <Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
   <Iptc4xmpExt:AISystemUsed>{model}</Iptc4xmpExt:AISystemUsed>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


@dataclass(frozen=True)
class Mark:
    """Which job made a picture and with which model; never what was asked for."""

    job_id: UUID
    model: str

    def as_xmp(self) -> bytes:
        """Return the XMP packet (ISO 16684-1) that says so."""
        packet = _PACKET.format(
            software=escape(software()),
            identifier=f"urn:uuid:{self.job_id}",
            source_type=SOURCE_TYPE,
            model=escape(self.model),
        )
        return packet.encode()


@cache
def software() -> str:
    """Return the name and version under which Pressroom signs its work."""
    try:
        return f"Pressroom {version('pressroom')}"
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "Pressroom"
