"""Which annotations hold a manifest: tools keep there what they have applied, packed or not."""

from __future__ import annotations

import base64
import io
import re
import zipfile
import zlib
from collections.abc import Iterator

MOST = 4 << 20  # bytes that are unpacked; an annotation has at most 256 KiB
FIELDS = [re.compile(rf"\b{name}\\*[\"']?\s*:") for name in ("apiVersion", "kind")]  # of JSON, of YAML, of JSON in JSON
PACKED = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}\s*")


def is_manifest(key: str, value: str) -> bool:
    """True if an annotation holds an object that was applied: as JSON or YAML, or as base64 of that, also compressed."""
    return "last-applied" in key or any(all(field.search(text) for field in FIELDS) for text in unpack(value))


def unpack(value: str) -> Iterator[str]:
    """The text itself, and what is in it if it is packed. What is packed otherwise is nothing."""
    yield value
    if PACKED.fullmatch(value):
        packed = base64.urlsafe_b64decode(
            value.strip().rstrip("=").replace("+", "-").replace("/", "_") + "==="[: -len(value.strip().rstrip("=")) % 4]
        )
        yield packed.decode("utf-8", "replace")
        yield inflate(packed).decode("utf-8", "replace")


def inflate(packed: bytes) -> bytes:
    """What is in a file of gzip, zlib or zip, up to a limit; empty if it is none of them."""
    try:
        if packed.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(packed)) as archive:
                return b"".join(archive.open(name).read(MOST) for name in archive.namelist()[:1])
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(packed, MOST)  # 32: gzip or zlib
    except (OSError, RuntimeError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return b""
