"""Settings: provenance marks of images, and the hook that runs before publication."""

import shlex
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, model_validator

from common.settings.parsing import PREFIX


class ProvenanceSettings(BaseModel):
    """Settings: provenance marks of images, and the hook that runs before publication."""

    provenance: Literal["auto", "off", "required"] = Field(
        "auto",
        description="Signed C2PA manifests in images. `auto`: if a certificate is present; `required`: no image is"
        " published without one; `off`: never. The XMP mark is always written.",
    )
    provenance_certificate: Path | None = Field(
        None, description="Signing certificate and its chain, as PEM. Default: `HOME/provenance/chain.pem`."
    )
    provenance_key: Path | None = Field(
        None, description="Private key of the certificate, as PEM. Default: `HOME/provenance/key.pem`."
    )
    publication_hook: SecretStr | None = Field(
        None, description="Command or URL that receives every image before publication and can reject it."
    )
    publication_hook_seconds: float = Field(
        10, gt=0, le=600, description="Timeout of the hook per image; a later answer counts as a failure."
    )

    @model_validator(mode="after")
    def _check_provenance(self) -> Self:
        if (self.provenance_certificate is None) != (self.provenance_key is None):
            raise ValueError(f"{PREFIX}PROVENANCE_CERTIFICATE and {PREFIX}PROVENANCE_KEY must be set together")
        return self

    @model_validator(mode="after")
    def _check_hook(self) -> Self:
        hook = self.publication_hook.get_secret_value() if self.publication_hook is not None else None
        if hook is None:
            return self
        if "://" in hook.partition(" ")[0]:
            parts = urlsplit(hook)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"{PREFIX}PUBLICATION_HOOK must be a command or an http(s) URL")
            return self
        try:
            words = shlex.split(hook)
        except ValueError:
            words = []
        if not words:
            raise ValueError(f"{PREFIX}PUBLICATION_HOOK must be a command or an http(s) URL")
        return self
