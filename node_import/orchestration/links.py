"""From the `s3://` URL of an object to one that a browser can open."""

from __future__ import annotations

from urllib.parse import quote

_SCHEME = "s3://"


def browser_link(url: str, endpoint_url: str | None) -> str | None:
    """`ENDPOINT/bucket/key`, percent-encoded; None for what is no object or has no endpoint.

    It is not signed, since a signature is a secret with a date of expiry: it opens where the
    bucket may be read.
    """
    if not url.startswith(_SCHEME) or not (endpoint_url or "").startswith(("http://", "https://")):
        return None
    return f"{(endpoint_url or '').rstrip('/')}/{quote(url.removeprefix(_SCHEME))}"
