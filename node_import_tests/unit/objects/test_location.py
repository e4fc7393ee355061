"""Which `filePath` names what, and which is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError
from node_import.objects.location import LocalFile, ObjectLocation, S3Location, parse_location

ENDPOINT = "http://minio:9000"
ALIASES = ("files.example.com", "10.0.0.7:9000", "[2001:db8::1]:9000")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def locate(file_path: str, *roots: Path, endpoint: str | None = ENDPOINT) -> ObjectLocation:
    return parse_location(file_path, endpoint_url=endpoint, aliases=ALIASES, file_roots=roots)


def refused(file_path: str, *roots: Path, endpoint: str | None = ENDPOINT) -> str:
    with pytest.raises(PermanentError) as caught:
        locate(file_path, *roots, endpoint=endpoint)
    assert caught.value.code == ErrorCode.PATH_NOT_ALLOWED
    return caught.value.message


@pytest.mark.parametrize(
    ("file_path", "bucket", "key"),
    [
        ("s3://bucket/users.csv", "bucket", "users.csv"),
        ("S3://bucket/a/b/users.csv.gz", "bucket", "a/b/users.csv.gz"),
        ("s3://bucket/what?versionId=1#top", "bucket", "what?versionId=1#top"),
        ("s3://bucket/100%25 done%.csv", "bucket", "100%25 done%.csv"),
        ("s3://bucket//leading/slash", "bucket", "/leading/slash"),
        ("s3://bucket/a/../b", "bucket", "a/../b"),
        ("s3://bucket/folder/", "bucket", "folder/"),
        ("s3://bucket/tab\tand\nline feed", "bucket", "tab\tand\nline feed"),
        ("s3://bucket/Größe/名前.csv", "bucket", "Größe/名前.csv"),
        ("s3://my.bucket-1/" + "k" * 1024, "my.bucket-1", "k" * 1024),
    ],
)
def test_s3_keys_stand_as_they_are(file_path: str, bucket: str, key: str) -> None:
    """Everything behind the bucket is the key, whatever it would mean in a URL."""
    assert locate(file_path) == S3Location(bucket, key)


@pytest.mark.parametrize(
    "file_path",
    [
        "s3://",
        "s3:///",
        "s3:///key",
        "s3://bucket",
        "s3://bucket/",
        "s3:bucket/key",
        "s3:/bucket/key",
        "s3://user:secret@bucket/key",
        "s3://bucket:9000/key",
        "s3://arn:aws:s3:us-east-1:123456789012:accesspoint/mine/key",
        "s3://bu cket/key",
        "s3://bucket%2f/key",
        "s3://../key",
        "s3://-bucket/key",
        "s3://bücket/key",
        "s3://bucket/" + "ü" * 513,
        "s3://bucket/nul\0",
        "s3://bucket/\ud800",
        " s3://bucket/key",
    ],
)
def test_s3_urls_without_a_proper_bucket_and_key_are_refused(file_path: str) -> None:
    """An S3 URL needs a bucket name and a key that can exist; ARNs lead elsewhere."""
    refused(file_path)


@pytest.mark.parametrize(
    ("file_path", "key"),
    [
        ("http://minio:9000/bucket/users.csv", "users.csv"),
        ("https://minio:9000/bucket/users.csv", "users.csv"),
        ("HTTP://MINIO:9000/bucket/Users.CSV", "Users.CSV"),
        ("http://minio:09000/bucket/users.csv", "users.csv"),
        ("http://files.example.com/bucket/a/b.csv", "a/b.csv"),
        ("http://files.example.com:80/bucket/a/b.csv", "a/b.csv"),
        ("http://files.example.com:/bucket/a/b.csv", "a/b.csv"),
        ("https://files.example.com:443/bucket/a/b.csv", "a/b.csv"),
        ("http://10.0.0.7:9000/bucket/x", "x"),
        ("http://[2001:DB8:0:0::1]:9000/bucket/x", "x"),
        ("http://minio:9000/%62ucket/x", "x"),
        ("http://minio:9000/bucket/M%C3%BCller%20%26%20Co.csv", "Müller & Co.csv"),
        ("http://minio:9000/bucket/Müller & Co.csv", "Müller & Co.csv"),
        ("http://minio:9000/bucket/a%2Fb%3Fc%23d", "a/b?c#d"),
        ("http://minio:9000/bucket/once%252Fonly", "once%2Fonly"),
        ("http://minio:9000/bucket/a+b", "a+b"),
        ("http://minio:9000/bucket/100%", "100%"),
        ("http://minio:9000/bucket//x", "/x"),
        ("http://minio:9000/bucket/a..b/...", "a..b/..."),
    ],
)
def test_http_urls_of_the_store_become_keys(file_path: str, key: str) -> None:
    """The endpoint and its aliases in any spelling; the path is percent-decoded once."""
    assert locate(file_path) == S3Location("bucket", key)


@pytest.mark.parametrize(
    "file_path",
    [
        "http://evil.example.com/bucket/key",
        "http://minio/bucket/key",
        "http://minio:9001/bucket/key",
        "http://minio.:9000/bucket/key",
        "http://xminio:9000/bucket/key",
        "http://minio:9000.evil.example.com/bucket/key",
        "http://minio:9000@evil.example.com/bucket/key",
        "http://minio:9000:9000/bucket/key",
        "http://evil.example.com\\@minio:9000/bucket/key",
        "http://files.example.com:8080/bucket/key",
        "http://2001:db8::1:9000/bucket/key",
        "http://[2001:db8::1/bucket/key",
        "http://[::ffff:10.0.0.7]:9000/bucket/key",
        "http://167772167:9000/bucket/key",
        "http://minio:٩٠٠٠/bucket/key",
        "http://169.254.169.254/latest/meta-data",
        "http:///bucket/key",
        "http:/minio:9000/bucket/key",
        "http:minio:9000/bucket/key",
        "http://bucket.minio:9000/key",
    ],
)
def test_http_urls_of_other_hosts_are_refused(file_path: str) -> None:
    """Nothing but the configured endpoint, compared whole, is ever reached over HTTP."""
    refused(file_path)


@pytest.mark.parametrize(
    "file_path",
    [
        "http://minio:9000",
        "http://minio:9000/",
        "http://minio:9000/bucket",
        "http://minio:9000/bucket/",
        "http://minio:9000//bucket/key",
        "http://minio:9000/bucket%2Fkey",
        "http://minio:9000/bucket%2Fkey/more",
        "http://minio:9000/bucket/key?versionId=1",
        "http://minio:9000/bucket/key?",
        "http://minio:9000/bucket/key#top",
        "http://minio:9000?/bucket/key",
        "http://minio:9000/bucket/../other/key",
        "http://minio:9000/bucket/%2e%2e/other/key",
        "http://minio:9000/bucket/a%2F..%2Fb",
        "http://minio:9000/bucket/./key",
        "http://minio:9000/../bucket/key",
        "http://minio:9000/bucket/nul%00",
        "http://minio:9000/bucket/%ff",
        "http://minio:9000/bucket/%ed%a0%80",
        "http://minio:9000/bucket/line\nfeed",
        "http://minio:90\t00/bucket/key",
        "ht\ntp://minio:9000/bucket/key",
    ],
)
def test_http_urls_that_do_not_plainly_name_an_object_are_refused(file_path: str) -> None:
    """Queries, dot segments, empty names, and bytes that are no text name no object."""
    refused(file_path)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    """User information has no meaning here, and a message must not spread it."""
    message = refused("http://user:hunter2@minio:9000/bucket/key")
    assert "hunter2" not in message


def test_without_an_endpoint_only_aliases_are_hosts() -> None:
    """With Amazon S3 no endpoint is set; its names may still be configured."""
    refused("http://minio:9000/bucket/key", endpoint=None)
    location = locate("https://files.example.com/bucket/key", endpoint=None)
    assert location == S3Location("bucket", "key")


def test_an_endpoint_without_a_port_has_its_schemes_default() -> None:
    """`https://store.example.com` is port 443, and not port 80."""
    endpoint = "https://store.example.com/"
    spelled_out = locate("https://store.example.com:443/bucket/key", endpoint=endpoint)
    assert spelled_out == S3Location("bucket", "key")
    refused("http://store.example.com/bucket/key", endpoint=endpoint)


@pytest.mark.parametrize("form", ["{}", "file://{}", "FILE://{}", "/{}"])
def test_files_inside_a_root_are_found(root: Path, form: str) -> None:
    """A plain path or a file URL inside a configured folder, whether or not it exists."""
    path = root / "deep" / "users.csv"
    assert locate(form.format(path), root) == LocalFile(path)


def test_plain_paths_stand_as_they_are(root: Path) -> None:
    """A plain path is no URL: nothing in it is decoded or cut off."""
    path = root / "100%20?x#y.csv"
    assert locate(str(path), root) == LocalFile(path)


def test_file_urls_are_percent_decoded_once(root: Path) -> None:
    """`%2541` in a file URL is the name `%41`."""
    location = locate(f"file://{root}/a%20b%3Fc%2541", root)
    assert location == LocalFile(root / "a b?c%41")


def test_dot_segments_and_links_count_by_where_they_lead(root: Path, tmp_path: Path) -> None:
    """Leaving a root is refused, by dots, by a link, and by a link in a folder's place."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    (root / "link").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "inside").symlink_to(root / "users.csv")
    refused(f"{root}/../outside/secret", root)
    refused(f"file://{root}/%2e%2e/outside/secret", root)
    refused(f"{root}/link", root)
    refused(f"{root}/folder/secret", root)
    assert locate(f"{root}/inside", root) == LocalFile(root / "users.csv")
    assert locate(f"{root}/x/../users.csv", root) == LocalFile(root / "users.csv")


def test_a_root_may_itself_be_a_link(root: Path, tmp_path: Path) -> None:
    """Mounted folders often are links; both names of the root work."""
    alias = tmp_path / "alias"
    alias.symlink_to(root)
    assert locate(f"{alias}/users.csv", alias) == LocalFile(root / "users.csv")
    assert locate(f"{root}/users.csv", alias) == LocalFile(root / "users.csv")


def test_a_circle_of_links_is_no_crash(root: Path) -> None:
    """A link to itself leads nowhere; it is refused when it is opened, if not before."""
    (root / "circle").symlink_to(root / "circle")
    assert locate(f"{root}/circle", root) == LocalFile(root / "circle")


@pytest.mark.parametrize(
    "file_path",
    [
        "",
        "users.csv",
        "./users.csv",
        "../users.csv",
        "~/users.csv",
        "{root}",
        "{root}/",
        "{root}base/users.csv",
        "{root}\0/users.csv",
        "{root}/\ud800",
        "file:{root}/users.csv",
        "file:users.csv",
        "file://users.csv",
        "file://localhost{root}/users.csv",
        "file://{root}/users.csv?x",
        "file://{root}/users.csv#x",
        "file://{root}/users%00.csv",
        "file://{root}/%ff",
        "ftp://minio:9000/bucket/key",
        "gs://bucket/key",
        "s3a://bucket/key",
        "data:text/csv,id",
        "jar:file://{root}/users.csv",
        "C:\\users.csv",
        "\\\\host\\share\\users.csv",
        "/etc/passwd",
        "/proc/self/environ",
    ],
)
def test_everything_else_is_refused(file_path: str, root: Path) -> None:
    """Relative paths, look-alikes of the root, other schemes, names that cannot exist."""
    refused(file_path.replace("{root}", str(root)), root)


def test_without_roots_no_file_is_allowed(root: Path) -> None:
    """No setting, no files."""
    refused(f"{root}/users.csv")


def test_the_refusal_says_what_is_allowed() -> None:
    """The reader of a dead letter learns the four forms and the settings behind them."""
    message = refused("ftp://host/file")
    for part in ("s3://bucket/key", "http(s)://HOST:PORT/bucket/key", "file:///", "ftp"):
        assert part in message
    assert "NODE_IMPORT_FILE_ROOTS" in message


@pytest.mark.parametrize("key", ["users.csv", "/a//b", "wo?t #1%41", "Größe"])
def test_the_url_of_an_object_leads_back_to_it(key: str) -> None:
    """What a status message names can be submitted again."""
    location = S3Location("bucket", key)
    assert locate(location.url) == location


@pytest.mark.parametrize("name", ["users.csv", "a b", "wo?t #1%41", "Größe"])
def test_the_url_of_a_file_leads_back_to_it(root: Path, name: str) -> None:
    """The same for files."""
    location = LocalFile(root / name)
    assert locate(location.url, root) == location


def test_nothing_is_opened(root: Path) -> None:
    """Naming a FIFO does not wait for its writer."""
    os.mkfifo(root / "pipe")
    assert locate(f"{root}/pipe", root) == LocalFile(root / "pipe")
