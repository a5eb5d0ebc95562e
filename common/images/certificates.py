"""Signing certificates: their files and validity, and creation of a trial chain."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.clock import utcnow
from common.errors import ProvenanceUnavailableError, SettingsError
from common.settings import Settings
from common.settings.private_files import replace_file

CHAIN, KEY = "chain.pem", "key.pem"
AUTHORITY, AUTHORITY_KEY = "authority.pem", "authority.key"
AUTHORITY_DAYS = 3650
BACKDATED = timedelta(minutes=5)
"""How far back a new certificate holds: the clocks of two machines differ."""

NO_USE = dict.fromkeys(
    (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    ),
    False,
)


@dataclass(frozen=True)
class Credentials:
    """The files of a certificate with its chain, its own first, and of its private key."""

    chain: Path
    key: Path

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the files that *settings* name, or else those in the data directory; they need not be there."""
        if settings.provenance_certificate is not None and settings.provenance_key is not None:
            return cls(settings.provenance_certificate, settings.provenance_key)
        folder = resolve_default_folder(settings)
        return cls(folder / CHAIN, folder / KEY)

    def read_chain(self) -> list[x509.Certificate]:
        """Return the certificates, the signer's own first; raise ProvenanceUnavailableError if there are none."""
        try:
            return x509.load_pem_x509_certificates(_read_file(self.chain))
        except ValueError:
            raise ProvenanceUnavailableError(f"{self.chain} does not contain a PEM certificate.") from None

    def read_current(self) -> x509.Certificate:
        """Return the signer's certificate; raise ProvenanceUnavailableError if it is not valid now."""
        own = self.read_chain()[0]
        if not own.not_valid_before_utc <= utcnow() < own.not_valid_after_utc:
            span = f"from {own.not_valid_before_utc:%Y-%m-%d} to {own.not_valid_after_utc:%Y-%m-%d}"
            raise ProvenanceUnavailableError(f"The certificate in {self.chain} is valid {span} only.")
        return own

    def read_key(self) -> bytes:
        """Return the private key as PEM; raise ProvenanceUnavailableError if it cannot be read."""
        return _read_file(self.key)


def resolve_default_folder(settings: Settings) -> Path:
    """Return the default path of the certificates."""
    return settings.home / "provenance"


def create_chain(folder: Path, organisation: str, *, days: int) -> datetime:
    """Write a certificate for *organisation* that holds so many days, and its key; return when it ends.

    It is issued by an authority of its own, which is made first if the folder has none: so the next certificate is
    known to whoever knows this authority. Nobody else does.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock_folder(folder):
        return _create_chain(folder, organisation, days)


def _create_chain(folder: Path, organisation: str, days: int) -> datetime:
    authority, authority_key = _open_authority(folder, organisation)
    key = ec.generate_private_key(ec.SECP256R1())
    ends = min(utcnow() + timedelta(days=days), authority.not_valid_after_utc)
    certificate = (
        _create_certificate_builder(_build_name(organisation, "Pressroom"), authority.subject, key.public_key(), ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**NO_USE | {"digital_signature": True}), critical=True)
        # One of the uses that C2PA lets a signer have (specification 2.2, section 14.5.1.1).
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    replace_file(folder / KEY, _encode_key(key))
    replace_file(folder / CHAIN, b"".join(each.public_bytes(Encoding.PEM) for each in (certificate, authority)))
    return certificate.not_valid_after_utc


def _open_authority(folder: Path, organisation: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    path, key_path = folder / AUTHORITY, folder / AUTHORITY_KEY
    if path.exists() and key_path.exists():
        key = load_pem_private_key(key_path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise SettingsError(f"{key_path} was not created by Pressroom.")
        return x509.load_pem_x509_certificate(path.read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    name = _build_name(organisation, "Pressroom trial authority")
    certificate = (
        _create_certificate_builder(name, name, key.public_key(), utcnow() + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**NO_USE | {"key_cert_sign": True, "crl_sign": True}), critical=True)
        .sign(key, hashes.SHA256())
    )
    replace_file(key_path, _encode_key(key))
    replace_file(path, certificate.public_bytes(Encoding.PEM))
    return certificate, key


def _create_certificate_builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(utcnow() - BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _build_name(organisation: str, common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _encode_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Let one process at a time create certificates in *folder*: they must all be of one authority."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ProvenanceUnavailableError(f"{path} cannot be read: {reason}.") from None
