"""Links for browsers."""

from __future__ import annotations

import pytest

from node_import.orchestration.links import browser_link


@pytest.mark.parametrize(
    ("url", "endpoint", "link"),
    [
        ("s3://b/k.csv", "http://minio:9000", "http://minio:9000/b/k.csv"),
        ("s3://b/k.csv", "https://s3.example/", "https://s3.example/b/k.csv"),
        ("s3://b/a b#1/ü%.csv", "http://h", "http://h/b/a%20b%231/%C3%BC%25.csv"),
        ("s3://b/k.csv", None, None),
        ("s3://b/k.csv", "ftp://h", None),
        ("file:///tmp/k.csv", "http://h", None),
    ],
)
def test_browser_link(url: str, endpoint: str | None, link: str | None) -> None:
    """The endpoint's URL of an object; nothing where there is none to open."""
    assert browser_link(url, endpoint) == link
