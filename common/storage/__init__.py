"""Objects in S3 or in local files: ``open_storage`` opens the one that the settings name."""

from pathlib import Path
from urllib.parse import urlsplit

from common.errors import SettingsError
from common.settings import PREFIX, Settings
from common.storage.files import FileStorage
from common.storage.links import LinkSigner
from common.storage.port import Storage


def open_storage(settings: Settings) -> Storage:
    """Return the storage that the settings name."""
    scheme, _, rest = settings.images_url.partition(":")
    if scheme == "file" and rest:
        links = LinkSigner(settings.read_secret(), settings.base_url)
        return FileStorage(Path(rest.removeprefix("//")).expanduser().absolute(), links)
    if scheme == "s3" and (bucket := urlsplit(settings.images_url).netloc):
        from common.storage.s3 import S3Storage  # noqa: PLC0415  (boto3 takes half a second to import)

        return S3Storage.connect(
            bucket,
            prefix=urlsplit(settings.images_url).path.strip("/"),
            endpoint=settings.s3_endpoint,
            public_endpoint=settings.s3_public_endpoint,
        )
    raise SettingsError(f"{PREFIX}STORAGE_URL must be file:DIRECTORY or s3://BUCKET/PREFIX.")
