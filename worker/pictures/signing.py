"""Signed manifests in files of pictures (C2PA), so that any later change of them can be seen.

What is signed says what the XMP packet says: that a model made the picture, which, and for which job.
"""

import io
import json
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from PIL import Image

from common.clock import utcnow
from common.errors import ProvenanceUnavailableError
from common.ids import new_id
from common.images.certificates import Credentials
from common.jobs.request import OutputFormat
from common.logs import get_logger
from common.settings import Settings
from worker.pictures import encode
from worker.pictures.mark import Mark

OPTIONS = {
    # A thumbnail in the manifest would make a file several times as large, and be one more picture to check.
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}
CURVES = {256: "es256", 384: "es384", 521: "es512"}
SOUND = ("Valid", "Trusted")
PROBE_SIDE = 64

log = get_logger(__name__)


@dataclass(frozen=True)
class Marked:
    """A picture's file as it may leave, and whether it holds a signed manifest."""

    data: bytes
    is_signed: bool


class Signer(Protocol):
    """What signs every file before it leaves."""

    def load(self) -> None:
        """Get ready and prove it, or raise ProvenanceUnavailableError."""

    def sign(self, data: bytes, content_type: str, mark: Mark) -> Marked:
        """Return the file with *mark* in a signed manifest; raise ProvenanceUnavailableError.

        Safe to call from several threads.
        """


class NoSigner:
    """Signs nothing."""

    def load(self) -> None:
        """Do nothing."""

    def sign(self, data: bytes, content_type: str, mark: Mark) -> Marked:
        """Return the file as it is."""
        return Marked(data, is_signed=False)


class C2paSigner:
    """Signs with the operator's certificate; what is expired, missing or at odds with its key signs nothing."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()
        self._context: Any = None
        self._ends: datetime | None = None

    def load(self) -> None:
        """Read certificate and key anew, and sign a small picture to see that they work."""
        with self._lock:
            own, chain, key = self._credentials.read_current(), self._credentials.chain, self._credentials.read_key()
            self._context, self._ends = _open(chain.read_bytes(), key), own.not_valid_after_utc
        self._prove()

    def sign(self, data: bytes, content_type: str, mark: Mark) -> Marked:
        """Return the file with its manifest; a certificate that has ended is looked for again, it may be renewed."""
        if self._ends is None or utcnow() >= self._ends:
            self._ends = None
            self.load()
        import c2pa  # noqa: PLC0415  (an extra, and 23 MB of native code: it is there once it is loaded)

        signed = io.BytesIO()
        try:
            builder = c2pa.Builder(json.dumps(mark.as_manifest()), self._context)
            builder.sign(content_type, io.BytesIO(data), signed)
        except c2pa.C2paError as error:
            raise ProvenanceUnavailableError(f"The picture could not be signed: {error}.") from error
        return Marked(signed.getvalue(), is_signed=True)

    def _prove(self) -> None:
        import c2pa  # noqa: PLC0415  (as above)

        mark = Mark(job_id=new_id(), model="self-test")
        probe = encode.encode(Image.new("RGB", (PROBE_SIDE, PROBE_SIDE)), OutputFormat.PNG, mark)
        try:
            data = self.sign(probe, OutputFormat.PNG.content_type, mark).data
            state = c2pa.Reader(OutputFormat.PNG.content_type, io.BytesIO(data)).get_validation_state()
        except (c2pa.C2paError, ProvenanceUnavailableError) as error:
            self._ends = None
            raise ProvenanceUnavailableError(f"{self._credentials.chain} cannot be used to sign: {error}") from error
        if state not in SOUND:
            self._ends = None
            raise ProvenanceUnavailableError(f"What is signed with {self._credentials.chain} is not valid.")


class LenientSigner:
    """Lets a file leave unsigned where another signer fails; the mark in its XMP packet remains."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._reason = ""

    def load(self) -> None:
        """Load the other one, or say why it cannot be."""
        try:
            self._signer.load()
        except ProvenanceUnavailableError as error:
            self._tell(error)

    def sign(self, data: bytes, content_type: str, mark: Mark) -> Marked:
        """Return the file with a manifest if that can be, else as it is."""
        try:
            return self._signer.sign(data, content_type, mark)
        except ProvenanceUnavailableError as error:
            self._tell(error)
            return Marked(data, is_signed=False)

    def _tell(self, error: ProvenanceUnavailableError) -> None:
        if error.message != self._reason:  # once, and not for every picture
            log.warning("images_unsigned", reason=error.message)
        self._reason = error.message


def open_signer(settings: Settings) -> Signer:
    """Return the signer of this press, not loaded yet."""
    if settings.provenance == "off":
        return NoSigner()
    signer = C2paSigner(Credentials.of(settings))
    return signer if settings.provenance == "required" else LenientSigner(signer)


def _open(chain: bytes, key: bytes) -> Any:
    try:
        import c2pa  # noqa: PLC0415  (as above)
    except ImportError:
        raise ProvenanceUnavailableError("The package c2pa-python is not installed.") from None
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(_algorithm(key).encode(), chain, key, None))
        return c2pa.Context(c2pa.Settings.from_dict(OPTIONS), signer)
    except c2pa.C2paError as error:
        raise ProvenanceUnavailableError(f"The certificate cannot be used to sign: {error}") from error


def _algorithm(key: bytes) -> str:
    """Return C2PA's name for how *key* signs (specification 2.2, section 13.2.1)."""
    try:
        read = load_pem_private_key(key, password=None)
    except (ValueError, TypeError):
        raise ProvenanceUnavailableError("The private key is none as PEM, or is encrypted.") from None
    if isinstance(read, ec.EllipticCurvePrivateKey) and read.key_size in CURVES:
        return CURVES[read.key_size]
    if isinstance(read, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(read, rsa.RSAPrivateKey):
        return "ps256"
    raise ProvenanceUnavailableError("The private key is of a kind that C2PA does not sign with.")
