"""How pictures are marked as generated, and who may stop one before it is published."""

import shlex
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, model_validator

from common.settings.parsing import PREFIX


class ProvenanceSettings(BaseModel):
    """How pictures are marked as generated, and who may stop one before it is published."""

    provenance: Literal["auto", "off", "required"] = Field(
        "auto",
        description="Signed manifests (C2PA) in images: `auto`: where a certificate is there; `required`: no image"
        " leaves without; `off`: none. The mark in XMP is always there.",
    )
    provenance_certificate: Path | None = Field(
        None, description="Certificate to sign with and its chain, as PEM; by default `HOME/provenance/chain.pem`."
    )
    provenance_key: Path | None = Field(
        None, description="The certificate's private key, as PEM; by default `HOME/provenance/key.pem`."
    )
    publication_hook: SecretStr | None = Field(
        None, description="Command or URL that gets every image before it is published and can say no."
    )
    publication_hook_seconds: float = Field(
        10, gt=0, le=600, description="How long the hook may take for one image; a later answer counts as a failure."
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
                raise ValueError(f"{PREFIX}PUBLICATION_HOOK must be a command, or a URL of http or https")
            return self
        try:
            words = shlex.split(hook)
        except ValueError:
            words = []
        if not words:
            raise ValueError(f"{PREFIX}PUBLICATION_HOOK must be a command, or a URL of http or https")
        return self
