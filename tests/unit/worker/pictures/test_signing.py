"""Files are signed with the operator's certificate, or are not, as the settings say."""

import io
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import c2pa
import pytest
from PIL import Image

from common.clock import utcnow
from common.errors import ProvenanceUnavailableError
from common.images import certificates as image_certificates
from common.images.certificates import Credentials
from common.jobs.request import OutputFormat
from common.settings import Settings
from tests.support import certificates
from worker.engine.painted import paint_picture
from worker.pictures import encode, signing
from worker.pictures.mark import Mark
from worker.pictures.signing import C2paSigner, LenientSigner, NoSigner, open_signer

MARK = Mark(job_id=UUID(int=5), model="painted")
PICTURE = paint_picture("a lighthouse", 3, 96, 64)


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificate"))


def encoded(form=OutputFormat.PNG):
    return encode.encode_picture(PICTURE, form, MARK)


def read(data, form, authority=None):
    trust = {"trust": {"trust_anchors": authority.read_text()}} if authority else {}
    context = c2pa.Context(c2pa.Settings.from_dict(trust))
    return c2pa.Reader(form.content_type, io.BytesIO(data), context=context)


@pytest.mark.parametrize("form", OutputFormat)
def test_a_signed_file_is_valid_and_names_model_and_job_and_nothing_else(credentials, form):
    signer = C2paSigner(credentials)
    signer.load()
    signed = signer.sign(encoded(form), form.content_type, MARK)
    assert signed.is_signed
    assert read(signed.data, form).get_validation_state() == "Valid"
    reader = read(signed.data, form, credentials.chain.with_name(image_certificates.AUTHORITY))
    assert reader.get_validation_state() == "Trusted"
    (assertion,) = reader.get_active_manifest()["assertions"]
    (action,) = assertion["data"]["actions"]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert action["softwareAgent"]["name"] == "Pressroom"
    assert action["parameters"] == {"pressroom.model": "painted", "pressroom.job": f"urn:uuid:{UUID(int=5)}"}
    assert json.loads(reader.json()).get("ingredients") is None
    with Image.open(io.BytesIO(signed.data)) as opened:
        assert b"trainedAlgorithmicMedia" in opened.info["xmp"], "the XMP packet is there as before"
    assert len(signed.data) < len(encoded(form)) + 5000, "there is no thumbnail in it"


@pytest.mark.parametrize("form", OutputFormat)
def test_signing_leaves_the_pixels_alone(credentials, form):
    plain, signed = encoded(form), C2paSigner(credentials).sign(encoded(form), form.content_type, MARK).data
    with Image.open(io.BytesIO(plain)) as one, Image.open(io.BytesIO(signed)) as other:
        assert one.tobytes() == other.tobytes()


def test_many_threads_may_sign_at_once(credentials):
    signer, data = C2paSigner(credentials), encoded()
    with ThreadPoolExecutor(4) as threads:
        signed = list(threads.map(lambda _: signer.sign(data, "image/png", MARK).data, range(16)))
    assert len(set(signed)) == 16
    assert {read(each, OutputFormat.PNG).get_validation_state() for each in signed} == {"Valid"}


def break_key(credentials):
    credentials.key.write_text("-----BEGIN PRIVATE KEY-----\nnot one\n-----END PRIVATE KEY-----\n")


def swap_key(credentials):
    other = certificates.make(credentials.key.parent / "other")
    credentials.key.write_bytes(other.key.read_bytes())


def empty_chain(credentials):
    credentials.chain.write_text("nothing")


BREAKS = {
    "no key": lambda credentials: credentials.key.unlink(),
    "no certificate": lambda credentials: credentials.chain.unlink(),
    "a broken key": break_key,
    "the key of another certificate": swap_key,
    "no certificate in the file": empty_chain,
}


@pytest.mark.parametrize("break_it", BREAKS.values(), ids=BREAKS)
def test_f60_without_a_certificate_and_its_key_nothing_is_signed(tmp_path, break_it):
    credentials = certificates.make(tmp_path)
    break_it(credentials)
    with pytest.raises(ProvenanceUnavailableError):
        C2paSigner(credentials).load()
    with pytest.raises(ProvenanceUnavailableError):
        C2paSigner(credentials).sign(encoded(), "image/png", MARK)
    lenient = LenientSigner(C2paSigner(credentials))
    lenient.load()
    kept = lenient.sign(encoded(), "image/png", MARK)
    assert (kept.is_signed, kept.data) == (False, encoded())


def test_f60_an_expired_certificate_signs_nothing(tmp_path):
    credentials = certificates.make(tmp_path, days=10, made=timedelta(days=11))
    with pytest.raises(ProvenanceUnavailableError, match=r"is valid from .* only"):
        C2paSigner(credentials).load()
    assert not LenientSigner(C2paSigner(credentials)).sign(encoded(), "image/png", MARK).is_signed


def test_f60_a_certificate_that_ends_while_the_press_runs_signs_no_more_until_there_is_another(tmp_path):
    signer = C2paSigner(certificates.make(tmp_path, days=1))
    signer.load()
    with pytest.MonkeyPatch.context() as patch:
        later = utcnow() + timedelta(days=2)
        for module in (signing, image_certificates):
            patch.setattr(module, "utcnow", lambda: later)
        with pytest.raises(ProvenanceUnavailableError, match="only"):
            signer.sign(encoded(), "image/png", MARK)
    certificates.make(tmp_path, days=30)
    assert signer.sign(encoded(), "image/png", MARK).is_signed


def test_the_next_certificate_is_of_the_same_authority(tmp_path):
    first = certificates.make(tmp_path).read_chain()
    second = certificates.make(tmp_path).read_chain()
    assert first[0] != second[0]
    assert first[1] == second[1]


def test_keys_are_for_their_owner_alone(tmp_path):
    certificates.make(tmp_path / "folder")
    for name in (image_certificates.KEY, image_certificates.AUTHORITY_KEY):
        assert stat.S_IMODE((tmp_path / "folder" / name).stat().st_mode) == 0o600


def test_the_settings_choose_the_signer_and_the_files(tmp_path):
    assert isinstance(open_signer(Settings(provenance="off")), NoSigner)
    assert isinstance(open_signer(Settings()), LenientSigner)
    assert isinstance(open_signer(Settings(provenance="required")), C2paSigner)
    assert Credentials.of(Settings(home=tmp_path)).key == tmp_path / "provenance" / "key.pem"
    named = Settings(provenance_certificate=tmp_path / "a", provenance_key=tmp_path / "b")
    assert Credentials.of(named) == Credentials(tmp_path / "a", tmp_path / "b")
    with pytest.raises(ValueError, match="must be set together"):
        Settings(provenance_key=tmp_path)
