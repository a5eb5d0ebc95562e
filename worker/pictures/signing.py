"""Sign image files with C2PA manifests, so that any later change can be detected.

The manifest states the same as the XMP packet: that a model generated the image, which model, and for which job.
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
from common.db.ids import create_id
from common.errors import ProvenanceUnavailableError
from common.images.certificates import Credentials
from common.jobs.request import OutputFormat
from common.logs import get_logger
from common.settings import Settings
from worker.pictures import encode
from worker.pictures.mark import Mark

OPTIONS = {
    # A thumbnail in the manifest would make the file several times as large and be one more image to check.
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}
CURVES = {256: "es256", 384: "es384", 521: "es512"}
VALID_STATES = ("Valid", "Trusted")
PROBE_SIDE = 64

log = get_logger(__name__)


@dataclass(frozen=True)
class SignedFile:
    """An image file ready for publication, and whether it holds a signed manifest."""

    data: bytes
    is_signed: bool


class Signer(Protocol):
    """A signer, applied to every file before publication."""

    def load(self) -> None:
        """Load and test the signer; raise ProvenanceUnavailableError if it cannot sign."""

    def sign(self, data: bytes, content_type: str, mark: Mark) -> SignedFile:
        """Return the file with *mark* in a signed manifest; raise ProvenanceUnavailableError.

        Safe to call from several threads.
        """


class NoSigner:
    """A signer that does not sign."""

    def load(self) -> None:
        """Do nothing."""

    def sign(self, data: bytes, content_type: str, mark: Mark) -> SignedFile:
        """Return the file unchanged."""
        return SignedFile(data, is_signed=False)


class C2paSigner:
    """Sign with the operator's certificate, which must be present, valid and match its key."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()
        self._context: Any = None
        self._ends: datetime | None = None

    def load(self) -> None:
        """Read the certificate and key again, and sign a small image to test them."""
        with self._lock:
            own, chain, key = self._credentials.read_current(), self._credentials.chain, self._credentials.read_key()
            self._context, self._ends = _open_c2pa_signer(chain.read_bytes(), key), own.not_valid_after_utc
        self._prove()

    def sign(self, data: bytes, content_type: str, mark: Mark) -> SignedFile:
        """Return the file with its manifest; an expired certificate is reloaded, as it may have been renewed."""
        if self._ends is None or utcnow() >= self._ends:
            self._ends = None
            self.load()
        import c2pa  # noqa: PLC0415  (an optional extra with 23 MB of native code)

        signed = io.BytesIO()
        try:
            builder = c2pa.Builder(json.dumps(mark.as_manifest()), self._context)
            builder.sign(content_type, io.BytesIO(data), signed)
        except c2pa.C2paError as error:
            raise ProvenanceUnavailableError(f"The image could not be signed: {error}.") from error
        return SignedFile(signed.getvalue(), is_signed=True)

    def _prove(self) -> None:
        import c2pa  # noqa: PLC0415  (as above)

        mark = Mark(job_id=create_id(), model="self-test")
        probe = encode.encode_picture(Image.new("RGB", (PROBE_SIDE, PROBE_SIDE)), OutputFormat.PNG, mark)
        try:
            data = self.sign(probe, OutputFormat.PNG.content_type, mark).data
            state = c2pa.Reader(OutputFormat.PNG.content_type, io.BytesIO(data)).get_validation_state()
        except (c2pa.C2paError, ProvenanceUnavailableError) as error:
            self._ends = None
            raise ProvenanceUnavailableError(f"{self._credentials.chain} cannot be used to sign: {error}") from error
        if state not in VALID_STATES:
            self._ends = None
            raise ProvenanceUnavailableError(f"A file signed with {self._credentials.chain} does not validate.")


class LenientSigner:
    """Publish a file unsigned if the wrapped signer fails; the XMP mark remains."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._reason = ""

    def load(self) -> None:
        """Load the wrapped signer, or log why it cannot be loaded."""
        try:
            self._signer.load()
        except ProvenanceUnavailableError as error:
            self._log_failure(error)

    def sign(self, data: bytes, content_type: str, mark: Mark) -> SignedFile:
        """Return the file with a manifest if possible, otherwise unchanged."""
        try:
            return self._signer.sign(data, content_type, mark)
        except ProvenanceUnavailableError as error:
            self._log_failure(error)
            return SignedFile(data, is_signed=False)

    def _log_failure(self, error: ProvenanceUnavailableError) -> None:
        if error.message != self._reason:  # once, not for every image
            log.warning("images_unsigned", reason=error.message)
        self._reason = error.message


def open_signer(settings: Settings) -> Signer:
    """Return the signer of this press, not yet loaded."""
    if settings.provenance == "off":
        return NoSigner()
    signer = C2paSigner(Credentials.of(settings))
    return signer if settings.provenance == "required" else LenientSigner(signer)


def _open_c2pa_signer(chain: bytes, key: bytes) -> Any:
    try:
        import c2pa  # noqa: PLC0415  (as above)
    except ImportError:
        raise ProvenanceUnavailableError("The package c2pa-python is not installed.") from None
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(_find_algorithm(key).encode(), chain, key, None))
        return c2pa.Context(c2pa.Settings.from_dict(OPTIONS), signer)
    except c2pa.C2paError as error:
        raise ProvenanceUnavailableError(f"The certificate cannot be used to sign: {error}") from error


def _find_algorithm(key: bytes) -> str:
    """Return C2PA's name for the signature algorithm of *key* (specification 2.2, section 13.2.1)."""
    try:
        read = load_pem_private_key(key, password=None)
    except (ValueError, TypeError):
        raise ProvenanceUnavailableError("The private key must be an unencrypted PEM file.") from None
    if isinstance(read, ec.EllipticCurvePrivateKey) and read.key_size in CURVES:
        return CURVES[read.key_size]
    if isinstance(read, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(read, rsa.RSAPrivateKey):
        return "ps256"
    raise ProvenanceUnavailableError("The private key type is not supported by C2PA.")
