"""What an S3 store adds: keys, parts that are not sent twice, and everything a busy or lying store answers.

The store is OpenStack Swift with its S3 door, which checks signatures; what it does not do by itself, a relay
in front of it does.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import itertools
import logging
import ssl
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from eucentric_core import (
    ConfigurationError,
    EucentricError,
    IntegrityError,
    OutOfSpaceError,
    S3Settings,
    TransferFailedError,
)
from eucentric_transfer import FarEndError, Mover, MoverOptions, Outgoing, open_mover
from eucentric_transfer.s3._digests import digest_file
from eucentric_transfer.s3._upload import abandon_old_uploads, pages

from ..links import LimitData, Link
from ..servers.http_relay import Answer, running_relay
from ..servers.s3_store import write_credentials
from ..servers.swift import SwiftServer
from .s3_far_end import PREFIX, Bucket

PART_BYTES = 5 << 20
SIZES = {1: PART_BYTES, 2: PART_BYTES, 3: len(b"the end")}
"""Bytes of the parts of `large`."""
CANARY = "canary-secret-that-must-never-appear"
WAIT_S = 60.0


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of three parts, every one of them different."""
    path = tmp_path / "large.h5"
    path.write_bytes(b"".join(bytes([n]) * PART_BYTES for n in (1, 2)) + b"the end")
    return path


def error_xml(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()


def answering(status: int, code: str) -> Callable[[str, str], Answer]:
    return lambda method, path: Answer(status, b"" if method == "HEAD" else error_xml(code))


def test_a_wrong_secret_is_refused_by_the_store_and_appears_nowhere(
    s3_far_end: Bucket, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = write_credentials(tmp_path / "wrong", secret=CANARY)
    mover = s3_far_end.open(credentials=credentials)
    with pytest.raises(FarEndError, match="key") as caught:
        mover.put(source, "incoming/a.h5")
    assert caught.value.details["s3_code"] == "SignatureDoesNotMatch"
    told = [
        caplog.text,
        repr(mover),
        repr(caught.value.report()),
        "".join(traceback.format_exception(caught.value)),
        s3_far_end.settings(credentials=credentials).model_dump_json(),
    ]
    assert not any(CANARY in text for text in told)
    assert s3_far_end.files() == {}


def test_a_key_that_is_missing_or_that_others_can_read_is_not_used_and_may_come_later(
    s3_far_end: Bucket, tmp_path: Path
) -> None:
    path = tmp_path / "credentials"
    mover = s3_far_end.open(credentials=path)
    with pytest.raises(FarEndError, match="cannot be read"):
        mover.put_bytes(b"x", "a.json")
    write_credentials(path)
    path.chmod(0o640)
    with pytest.raises(FarEndError, match="others"):
        mover.put_bytes(b"x", "a.json")
    path.chmod(0o600)
    with pytest.raises(FarEndError, match="no complete key"):
        s3_far_end.open(credentials=path, profile="somebody-else").put_bytes(b"x", "a.json")
    mover.put_bytes(b"x", "a.json")
    assert s3_far_end.files() == {"a.json": b"x"}


def test_the_key_of_the_settings_wins_over_one_in_the_environment(
    s3_far_end: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "else")
    s3_far_end.open().put_bytes(b"x", "a.json")
    assert s3_far_end.files() == {"a.json": b"x"}


def test_a_bucket_that_is_not_there_is_no_empty_one(s3_far_end: Bucket) -> None:
    s3_far_end.bucket = "no-such-bucket"
    mover = s3_far_end.open()
    for call in (
        lambda: mover.put_bytes(b"x", "a.json"),
        lambda: mover.size("a.json"),
        lambda: mover.list("incoming"),
    ):
        with pytest.raises(FarEndError, match="no bucket"):
            call()


@pytest.mark.parametrize(
    ("status", "code", "kind", "said"),
    [
        (429, "TooManyRequests", FarEndError, "left alone"),
        (503, "SlowDown", FarEndError, "left alone"),
        (403, "AccessDenied", FarEndError, "key"),
        (403, "RequestTimeTooSkewed", FarEndError, "clock"),
        (403, "QuotaExceeded", OutOfSpaceError, "no room"),
        (507, "InsufficientStorage", OutOfSpaceError, "no room"),
        (500, "InternalError", TransferFailedError, "500"),
        (400, "BadDigest", TransferFailedError, "another content"),
    ],
)
def test_what_a_store_complains_about_is_a_typed_error(
    s3_far_end: Bucket, source: Path, status: int, code: str, kind: type[EucentricError], said: str
) -> None:
    mover = s3_far_end.open()
    mover.list("incoming")
    s3_far_end.relay.answer = answering(status, code)
    with pytest.raises(kind, match=said) as caught:
        mover.put(source, "incoming/a.h5")
    # The whole store, or this one file: that decides whether the others are tried.
    assert isinstance(caught.value, FarEndError) == (kind is FarEndError)
    s3_far_end.relay.well()
    mover.put(source, "incoming/a.h5")


def test_a_hiccup_is_tried_again_a_bounded_number_of_times(s3_far_end: Bucket) -> None:
    mover = s3_far_end.open(attempts=2)
    answers = [Answer(500, error_xml("InternalError"))]
    s3_far_end.relay.answer = lambda method, path: answers.pop() if method == "PUT" and answers else None
    mover.put_bytes(b"x", "a.json")
    assert s3_far_end.relay.count("PUT") == 2
    s3_far_end.relay.well()
    s3_far_end.relay.answer = answering(500, "InternalError")
    with pytest.raises(TransferFailedError):
        mover.put_bytes(b"x", "b.json")
    assert s3_far_end.relay.count("PUT") == 2


def test_a_store_that_is_too_slow_to_answer_is_not_waited_for(s3_far_end: Bucket) -> None:
    s3_far_end.relay.pause_s = 1.5
    with pytest.raises(FarEndError, match="in time"):
        s3_far_end.open(read_timeout_s=0.3).list("incoming")


def test_a_store_that_says_it_has_a_file_and_has_not_is_not_believed(
    s3_far_end: Bucket, source: Path
) -> None:
    mover = s3_far_end.open()
    s3_far_end.relay.answer = lambda method, path: Answer(200) if method == "PUT" else None
    with pytest.raises(TransferFailedError, match="has not got it"):
        mover.put(source, "incoming/a.h5")
    with pytest.raises(TransferFailedError, match="has not got it"):
        mover.put_bytes(b"x", "incoming/a.json")


def test_a_store_that_gives_back_another_content_is_not_believed(s3_far_end: Bucket) -> None:
    mover = s3_far_end.open()
    s3_far_end.relay.answer = lambda method, path: (
        Answer(200, b"stale") if method == "GET" and path.endswith("a.json") else None
    )
    with pytest.raises(TransferFailedError, match="another content"):
        mover.put_bytes(b"fresh", "incoming/a.json")


def test_a_checksum_that_the_store_verified_spares_reading_back_and_its_absence_does_not(
    s3_far_end: Bucket,
) -> None:
    mover = s3_far_end.open(confirm="checksums")
    relay = s3_far_end.relay
    mover.put_bytes(b"x", "a.json")  # and looks for old uploads, once a day
    relay.well()
    mover.put_bytes(b"x", "a.json")
    assert relay.count("GET") == 1  # Swift keeps no SHA-256
    checksum = base64.b64encode(hashlib.sha256(b"y").digest()).decode()
    relay.well()
    relay.head_headers = (("x-amz-checksum-sha256", checksum),)
    mover.put_bytes(b"y", "a.json")
    assert relay.count("GET") == 0
    with pytest.raises(TransferFailedError, match="another content"):
        mover.put_bytes(b"z", "a.json")


def test_a_large_file_goes_in_parts_and_the_whole_hash_is_kept_with_it(
    s3_far_end: Bucket, large: Path
) -> None:
    sha256 = hashlib.sha256(large.read_bytes()).hexdigest()
    arrived = s3_far_end.open().put(large, "incoming/large.h5", sha256=sha256)
    assert (arrived.sha256, arrived.size_bytes) == (sha256, large.stat().st_size)
    assert s3_far_end.files() == {"incoming/large.h5": large.read_bytes()}
    head = s3_far_end.client.head_object(Bucket=s3_far_end.bucket, Key=f"{PREFIX}/incoming/large.h5")
    assert head["Metadata"]["sha256"] == sha256
    assert head["ETag"].endswith('-3"')
    # A process that died after the last part finds it there and only confirms it.
    s3_far_end.relay.well()
    s3_far_end.open().put(large, "incoming/large.h5", sha256=sha256)
    assert s3_far_end.relay.body_bytes() == 0


def taking_checksums(far_end: Bucket) -> Callable[[str, str], Answer | None]:
    """Ends an upload whose parts have SHA-256 checksums, in place of the store, which knows none."""

    def answer(method: str, path: str) -> Answer | None:
        address = urlsplit(path)
        if method != "POST" or "uploadId=" not in address.query:
            return None
        where = {
            "Bucket": far_end.bucket,
            "Key": address.path.removeprefix(f"/{far_end.bucket}/"),
            "UploadId": parse_qs(address.query)["uploadId"][0],
        }
        there = far_end.client.list_parts(**where)["Parts"]
        listed = [{key: part[key] for key in ("PartNumber", "ETag")} for part in there]
        far_end.client.complete_multipart_upload(**where, MultipartUpload={"Parts": listed})
        return Answer(200, b"<CompleteMultipartUploadResult/>")

    return answer


@pytest.mark.parametrize("confirm", ["read_back", "checksums"])
def test_a_large_object_that_was_damaged_at_the_store_is_sent_again(
    s3_far_end: Bucket, large: Path, confirm: str
) -> None:
    digests = digest_file(large, PART_BYTES, go_on=lambda: None)
    damaged = b"x" + large.read_bytes()[1:]
    s3_far_end.client.put_object(
        Bucket=s3_far_end.bucket,
        Key=f"{PREFIX}/incoming/large.h5",
        Body=damaged,
        Metadata={"sha256": digests.sha256},
    )
    # The store's own checksum is of the day it was taken in.
    s3_far_end.relay.head_headers = (("x-amz-checksum-sha256", digests.checksum_sha256),)
    if confirm == "checksums":
        s3_far_end.relay.answer = taking_checksums(s3_far_end)
    s3_far_end.open(confirm=confirm).put(large, "incoming/large.h5")
    assert s3_far_end.files() == {"incoming/large.h5": large.read_bytes()}


@pytest.mark.parametrize("cut", [True, False])
def test_what_an_earlier_try_sent_is_read_back_even_where_checksums_are_trusted(
    s3_far_end: Bucket, large: Path, cut: bool
) -> None:
    relay = s3_far_end.relay
    relay.answer = lambda method, path: (
        Answer(500, error_xml("InternalError")) if "partNumber=2" in path else None
    )
    if cut:
        with pytest.raises(TransferFailedError):
            s3_far_end.open(connections=1, confirm="checksums").put(large, "incoming/large.h5")
    relay.well()
    relay.answer = taking_checksums(s3_far_end)
    checksum = digest_file(large, PART_BYTES, go_on=lambda: None).checksum_sha256
    relay.head_headers = (("x-amz-checksum-sha256", checksum),)
    s3_far_end.open(confirm="checksums").put(large, "incoming/large.h5")
    read_back = [r for r in relay.requests if r.method == "GET" and r.path.endswith("/incoming/large.h5")]
    assert len(read_back) == cut
    assert s3_far_end.files() == {"incoming/large.h5": large.read_bytes()}


def test_parts_that_arrived_before_a_cut_are_not_sent_again(s3_far_end: Bucket, large: Path) -> None:
    relay = s3_far_end.relay
    relay.answer = lambda method, path: (
        Answer(500, error_xml("InternalError")) if "partNumber=2" in path else None
    )
    with pytest.raises(TransferFailedError):
        s3_far_end.open(connections=1).put(large, "incoming/large.h5")
    there = s3_far_end.parts_there("incoming/large.h5")
    assert 1 in there
    assert 2 not in there
    assert s3_far_end.files() == {}
    relay.well()
    s3_far_end.open().put(large, "incoming/large.h5")
    assert relay.body_bytes() == sum(SIZES[number] for number in SIZES if number not in there)
    assert s3_far_end.files() == {"incoming/large.h5": large.read_bytes()}


def test_a_part_of_another_content_is_not_taken_for_ours(s3_far_end: Bucket, large: Path) -> None:
    relay = s3_far_end.relay
    relay.answer = lambda method, path: (
        Answer(500, error_xml("InternalError")) if "partNumber=2" in path else None
    )
    with pytest.raises(TransferFailedError):
        s3_far_end.open(connections=1).put(large, "incoming/large.h5")
    relay.well()
    large.write_bytes(b"x" + large.read_bytes()[1:])
    s3_far_end.open().put(large, "incoming/large.h5")
    assert s3_far_end.files() == {"incoming/large.h5": large.read_bytes()}


def test_a_part_that_arrives_changed_is_refused_by_the_store(s3_far_end: Bucket, large: Path) -> None:
    with s3_far_end.suffering("damaging"), pytest.raises(TransferFailedError):
        s3_far_end.open().put(large, "incoming/large.h5")
    assert s3_far_end.files() == {}


def test_a_connection_that_is_cut_in_the_middle_of_a_part(s3_far_end: Bucket, large: Path) -> None:
    s3_far_end.relay.cut_after_bytes = 1 << 20
    with pytest.raises(FarEndError):
        s3_far_end.open().put(large, "incoming/large.h5")
    assert s3_far_end.files() == {}
    s3_far_end.relay.well()
    s3_far_end.open().put(large, "incoming/large.h5")
    assert s3_far_end.files() == {"incoming/large.h5": large.read_bytes()}


def test_a_process_killed_in_the_middle_of_an_upload_goes_on_at_the_part(
    s3_far_end: Bucket, large: Path
) -> None:
    relay = s3_far_end.relay
    relay.bytes_per_s = 4e6  # slow enough to be met half-way
    settings = s3_far_end.settings(connections=1).model_dump_json()
    script = Path(__file__).with_name("s3_process.py")
    process = subprocess.Popen([sys.executable, str(script), s3_far_end.address, settings, str(large)])
    try:
        deadline_s = time.monotonic() + WAIT_S
        while not s3_far_end.parts_there("incoming/large.h5"):
            assert time.monotonic() < deadline_s, "no part has arrived"
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    there = s3_far_end.parts_there("incoming/large.h5")
    assert s3_far_end.files() == {}
    relay.well()
    s3_far_end.open().put(large, "incoming/large.h5")
    again = {number for number in SIZES for r in relay.requests if f"partNumber={number}" in r.path}
    assert again == set(SIZES) - set(there)
    assert s3_far_end.files() == {"incoming/large.h5": large.read_bytes()}


def test_an_upload_that_nobody_ended_is_given_up_after_its_time(s3_far_end: Bucket, large: Path) -> None:
    s3_far_end.relay.answer = lambda method, path: Answer(503) if "partNumber=3" in path else None
    with pytest.raises(FarEndError):
        s3_far_end.open().put(large, "incoming/large.h5")
    client, bucket = s3_far_end.client, s3_far_end.bucket
    assert abandon_old_uploads(client, bucket, PREFIX, older_than_s=3600) == 0
    assert abandon_old_uploads(client, bucket, "elsewhere/", older_than_s=-60) == 0
    assert abandon_old_uploads(client, bucket, PREFIX, older_than_s=-60) == 1
    assert s3_far_end.parts_there("incoming/large.h5") == []


def test_a_source_that_changes_while_it_is_sent_does_not_arrive(s3_far_end: Bucket, large: Path) -> None:
    content = large.read_bytes()

    def shorten(method: str, path: str) -> None:
        if "partNumber=1" in path:
            large.write_bytes(content[: PART_BYTES + 10])

    s3_far_end.relay.answer = shorten
    with pytest.raises(IntegrityError, match="shorter"):
        s3_far_end.open(connections=1).put(large, "incoming/large.h5")
    assert s3_far_end.files() == {}


def test_many_documents_are_looked_for_with_one_listing(s3_far_end: Bucket) -> None:
    s3_far_end.plant("receipts/a.json", b"1")
    names = [f"receipts/{n}.json" for n in range(40)] + ["receipts/a.json"]
    found = s3_far_end.open().read_many(names, max_bytes=10)
    assert {name for name, content in found.items() if content is not None} == {"receipts/a.json"}
    assert s3_far_end.relay.count("GET") == 2


def listing_without_end(method: str, path: str) -> Answer | None:
    """A folder so full that what is looked for is never on the page."""
    if method != "GET" or "list-type=2" not in path:
        return None
    token = f"<NextContinuationToken>{time.monotonic_ns()}</NextContinuationToken>"
    entry = "<Contents><Key>other</Key></Contents><IsTruncated>true</IsTruncated>"
    return Answer(200, f"<ListBucketResult>{entry}{token}</ListBucketResult>".encode())


def test_what_a_listing_is_too_long_to_show_is_asked_for_by_its_name(s3_far_end: Bucket) -> None:
    s3_far_end.plant("receipts/z.json", b"1")
    s3_far_end.relay.answer = listing_without_end
    names = [f"receipts/{n}.json" for n in range(10)] + ["receipts/z.json"]
    found = s3_far_end.open().read_many(names, max_bytes=10)
    assert {name for name, content in found.items() if content is not None} == {"receipts/z.json"}


def test_a_listing_that_was_cut_is_an_error_and_no_shorter_listing(s3_far_end: Bucket) -> None:
    endless = ({"IsTruncated": True, "NextContinuationToken": str(n)} for n in itertools.count())
    markers = (("ContinuationToken", "NextContinuationToken"),)
    with pytest.raises(TransferFailedError, match="not come to its end"):
        list(pages(lambda **wanted: next(endless), markers, max_pages=3))
    # A store that says that there is more, and where: there, again and again.
    s3_far_end.relay.answer = lambda method, path: (
        Answer(200, again) if method == "GET" and "list-type=2" in path else None
    )
    again = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        b"<NextContinuationToken>a</NextContinuationToken></ListBucketResult>"
    )
    with pytest.raises(TransferFailedError, match="not come to its end"):
        s3_far_end.open().list("receipts")


def test_an_answer_that_is_cut_anywhere_is_no_other_answer(s3_far_end: Bucket) -> None:
    # Behind a cut header the SDK sees none of those that follow, and behind those an empty body.
    name, content = "receipts/a.json", b"0123456789" * 20
    s3_far_end.plant(name, content)
    asked: dict[str, tuple[Callable[[Mover], object], object]] = {
        "list": (lambda mover: mover.list("receipts"), ("a.json",)),
        "size": (lambda mover: mover.size(name), len(content)),
        "read_bytes": (lambda mover: mover.read_bytes(name, max_bytes=1000), content),
        "read_many": (lambda mover: dict(mover.read_many([name], max_bytes=1000)), {name: content}),
        "sha256": (lambda mover: mover.sha256(name), hashlib.sha256(content).hexdigest()),
    }
    wrong, errors = [], 0
    with Link(s3_far_end.server.port) as link:
        for limit_bytes in (*range(10, 700, 60), 100_000):
            link.poison(LimitData(limit_bytes), "to_client")
            mover = s3_far_end.open(endpoint=f"http://127.0.0.1:{link.port}", read_timeout_s=5)
            for what, (ask, truth) in asked.items():
                try:
                    answer = ask(mover)
                except TransferFailedError:
                    errors += 1
                    continue
                if answer != truth:
                    wrong.append((what, limit_bytes, answer))
            mover.close()
            link.mend()
    assert wrong == []
    assert errors > 20


def test_what_this_mover_has_just_read_is_removed_without_reading_it_again(
    s3_far_end: Bucket, tmp_path: Path
) -> None:
    mover = s3_far_end.open()
    s3_far_end.plant("incoming/a.h5", b"mine")
    mover.get("incoming/a.h5", tmp_path / "a.h5")
    s3_far_end.relay.well()
    mover.remove("incoming/a.h5", sha256=hashlib.sha256(b"mine").hexdigest())
    assert s3_far_end.relay.count("GET") == 0
    assert s3_far_end.files() == {}


def test_more_files_than_a_listing_holds_and_small_ones_side_by_side(s3_far_end: Bucket) -> None:
    mover = s3_far_end.open()
    files = [Outgoing(str(n).encode(), f"incoming/{n:02d}.json") for n in range(12)]
    answers = mover.put_many(files)
    assert [getattr(answer, "name", None) for answer in answers] == [file.name for file in files]
    assert len(mover.list("incoming")) == 12


def self_signed(folder: Path) -> Path:
    """Certificate and key of a store on this machine, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "store.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


def test_a_certificate_that_nobody_vouches_for_is_refused(
    s3_far_end: Bucket, swift: SwiftServer, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running_relay(swift.port, tls=context) as secure:
        endpoint = f"https://127.0.0.1:{secure.port}"
        with pytest.raises(FarEndError, match="certificate"):
            s3_far_end.open(endpoint=endpoint).put_bytes(b"x", "a.json")
        assert secure.requests == []
        s3_far_end.open(endpoint=endpoint, authority=certificate).put_bytes(b"x", "a.json")
    assert s3_far_end.files() == {"a.json": b"x"}


@pytest.mark.parametrize(
    "address",
    [
        "s3://",
        "s3:///prefix",
        "s3://UPPER/x",
        "s3://a/x",
        "s3://key:canary@bucket/x",
        "s3://bucket/../x",
        "s3://bucket/x?y",
        "s3://bucket:443/x",
    ],
)
def test_an_address_that_is_no_bucket_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(ConfigurationError, match="s3://bucket/prefix") as caught:
        open_mover(address)
    assert "canary" not in str(caught.value)


def test_without_the_sdk_the_address_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ConfigurationError, match="not installed") as caught:
        open_mover("s3://bucket/x")
    assert "eucentric[s3]" in caught.value.next_step


def test_a_key_that_may_not_list_uploads_still_sends(s3_far_end: Bucket, large: Path) -> None:
    s3_far_end.relay.answer = lambda method, path: (
        Answer(403, error_xml("AccessDenied")) if method == "GET" and "uploads" in path else None
    )
    s3_far_end.open().put(large, "incoming/large.h5")
    assert s3_far_end.files() == {"incoming/large.h5": large.read_bytes()}


def test_settings_of_a_store_hold_no_secret() -> None:
    with pytest.raises(ValueError, match="endpoint"):
        S3Settings(endpoint="https://key:secret@store.example")
    assert not any("secret" in name or "password" in name for name in S3Settings.model_fields)
    assert MoverOptions().s3 == S3Settings()
