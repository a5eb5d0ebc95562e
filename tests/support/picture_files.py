"""Pictures as clients hand them in, and the forms that carry them."""

import hashlib
import io
from typing import Any

from PIL import Image
from sqlalchemy import func, select

from common.tables import Asset
from tests.support.apis import Api


def picture(size: tuple[int, int] = (48, 32)) -> Image.Image:
    grey = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (grey, grey.rotate(180), Image.new("L", size, 90)))


def encode(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def upload_asset(api: Api, data: bytes, field: str = "file", filename: str = "picture.png", **options: Any) -> Any:
    return api.post("/v1/assets", data={field: (io.BytesIO(data), filename)}, **options)


def stored(api: Api, asset: dict[str, Any]) -> Image.Image:
    (key,) = [key for key in api.storage.list_keys("owners/ada/assets/") if asset["id"] in key]
    data = api.storage.get(key)
    assert hashlib.sha256(data).hexdigest() == asset["sha256"]
    assert len(data) == asset["bytes"]
    return Image.open(io.BytesIO(data))


def count_assets(api: Api) -> int:
    with api.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Asset)) or 0


def form(*parts: tuple[str, str, bytes], end: bytes = b"--x--\r\n") -> dict[str, Any]:
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
        % (name.encode(), f'; filename="{filename}"'.encode() if filename else b"", data)
        for name, filename, data in parts
    )
    return {"data": body + end, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}


PNG = encode(picture())
