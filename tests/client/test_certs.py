"""`eucentric certs`: an authority in a folder, which issues, revokes, remembers and overwrites nothing."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from eucentric.certs import Authority, CertificateRecord
from eucentric.cli import main
from eucentric_core import ConfigurationError, NotAuthorisedError, Role, TlsSettings, utc_now
from eucentric_core.security import (
    RevocationList,
    caller_from_certificate,
    client_context,
    load_certificate,
    require_server_certificate,
    server_context,
)

Certs = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "authority"


@pytest.fixture
def certs(folder: Path, capsys: pytest.CaptureFixture[str]) -> Certs:
    """Gives a command of `eucentric certs`; returns its exit status and what it said."""

    def run(command: str, *arguments: str) -> tuple[int, str]:
        status = main(["certs", command, *arguments, "--folder", str(folder)])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_from_nothing_to_credentials_that_work(certs: Certs, folder: Path) -> None:
    status, said = certs("init", "--name", "our-lab")
    assert (status, "never leaves this machine" in said) == (0, True)
    status, said = certs("issue", "titan", "--server", "--host", "titan.example.org", "--host", "10.0.0.7")
    assert status == 0
    assert str(folder / "issued" / "titan") in said
    status, said = certs("issue", "anna", "--role", "operator", "--days", "90")
    assert status == 0
    settings = tomllib.loads(said[said.index("[client.tls]") :])["client"]["tls"]
    person, machine = (folder / "issued" / name for name in ("anna", "titan"))
    moved = {key: person / Path(path).name for key, path in settings.items()}
    client_context(TlsSettings(**moved))
    server_context(
        TlsSettings(
            authority=machine / "authority.pem",
            certificate=machine / "certificate.pem",
            key=machine / "key.pem",
            revoked=machine / "revoked.pem",
        )
    )
    caller = caller_from_certificate(load_certificate(moved["certificate"]))
    assert (caller.name, caller.role) == ("anna", Role.OPERATOR)
    if os.name != "nt":
        keys = [folder / "authority-key.pem", person / "key.pem", machine / "key.pem"]
        assert [mode(key) for key in keys] == [0o600] * 3


def test_the_server_snippet_names_the_list_of_revoked(certs: Certs) -> None:
    certs("init")
    _, said = certs("issue", "titan", "--server", "--host", "localhost")
    settings = tomllib.loads(said[said.index("[agent.tls]") :])["agent"]["tls"]
    assert set(settings) == {"authority", "certificate", "key", "revoked"}


def test_the_server_snippet_makes_the_agent_reachable_and_itself_recognised(certs: Certs) -> None:
    certs("init")
    _, said = certs("issue", "titan", "--server", "--host", "titan.example.org")
    assert "--server --host titan.example.org --host localhost --host 127.0.0.1 --renew" in said
    assert tomllib.loads(said[said.index("[agent]") :])["agent"]["host"] == str(IPv4Address(0))
    everywhere = ("--host", "titan.example.org", "--host", "localhost", "--host", "127.0.0.1")
    assert "--renew" not in certs("issue", "titan", "--server", *everywhere, "--renew")[1]


def test_a_server_and_a_person_on_one_machine_have_folders_of_their_own(
    certs: Certs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EUCENTRIC__HOME", str(tmp_path / "home"))
    certs("init")
    _, machine = certs("issue", "titan", "--server", "--host", "localhost", "--host", "127.0.0.1")
    _, person = certs("issue", "ada", "--role", "scientist")
    server = tomllib.loads(machine[machine.index("[agent]") :])["agent"]["tls"]
    own = tomllib.loads(person[person.index("[client.tls]") :])["client"]["tls"]
    assert Path(server["key"]) == tmp_path / "home" / "tls" / "agent" / "key.pem"
    assert Path(own["key"]) == tmp_path / "home" / "tls" / "ada" / "key.pem"


def test_certificates_say_what_they_are_for(folder: Path) -> None:
    authority = Authority.create(folder, name="our-lab", days=10)
    limits = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    person = authority.issue("anna", role=Role.ADMIN, days=400)
    machine = authority.issue("titan", hosts=["titan.example.org", "::1"], days=5)
    certificates = [load_certificate(issued.folder / "certificate.pem") for issued in (person, machine)]
    for certificate in certificates:
        certificate.verify_directly_issued_by(authority.certificate)
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert certificate.not_valid_after_utc <= authority.certificate.not_valid_after_utc
    usages = [c.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value for c in certificates]
    assert [list(usage) for usage in usages] == [
        [ExtendedKeyUsageOID.CLIENT_AUTH],
        [ExtendedKeyUsageOID.SERVER_AUTH],
    ]
    names = certificates[1].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["titan.example.org"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["::1"]
    require_server_certificate(certificates[1])
    assert person.record.valid_until == authority.certificate.not_valid_after_utc
    assert abs(machine.record.valid_until - utc_now() - timedelta(days=5)) < timedelta(minutes=5)


def test_nothing_is_ever_overwritten(certs: Certs, folder: Path) -> None:
    certs("init")
    certs("issue", "anna", "--role", "viewer")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for arguments, words in (
        (("init",), "exists already"),
        (("issue", "anna", "--role", "admin"), "has a valid certificate"),
        (("issue", "ANNA", "--server", "--host", "localhost"), "has a valid certificate"),
    ):
        status, said = certs(*arguments)
        assert (status, words in said) == (2, True), said
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_renewal_lets_both_be_valid_and_a_revoked_name_is_free_again(certs: Certs, folder: Path) -> None:
    certs("init")
    certs("issue", "anna", "--role", "viewer")
    assert certs("issue", "anna", "--role", "scientist", "--renew")[0] == 0
    certs("revoke", "anna")
    assert certs("issue", "anna", "--role", "admin")[0] == 0
    states = {record.role: record.revoked_at is None for record in Authority(folder).find("anna")}
    assert states == {Role.VIEWER: False, Role.SCIENTIST: False, Role.ADMIN: True}
    assert sorted(path.name for path in (folder / "issued").iterdir()) == ["anna", "anna-2", "anna-3"]


@pytest.mark.parametrize(
    "name", ["", ".", "../anna", "an na", "anna/notebook", "con", "a" * 101, "anonymous", "-x"]
)
def test_a_bad_name_is_refused(certs: Certs, folder: Path, name: str) -> None:
    certs("init")
    with pytest.raises(ConfigurationError):
        Authority(folder).issue(name, role=Role.VIEWER, days=1)
    assert list(folder.rglob("*anna*")) == []
    assert json.loads(certs("list", "--json")[1]) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("anna",), "give either --role ROLE"),
        (("anna", "--role", "admin", "--server", "--host", "localhost"), "give either --role ROLE"),
        (("anna", "--role", "admin", "--host", "localhost"), "give either --role ROLE"),
        (("anna", "--server"), "give either --role ROLE"),
        (("anna", "--role", "root"), "root"),
        (("anna", "--role", "admin", "--days", "0"), "days"),
        (("titan", "--server", "--host", "titan:4310"), "neither a DNS name nor an address"),
        (("titan", "--server", "--host", "10.0.0.300"), "neither a DNS name nor an address"),
        (("titan", "--server", "--host", "ti tan"), "neither a DNS name nor an address"),
        (("titan", "--server", "--host", "*.example.org"), "neither a DNS name nor an address"),
    ],
)
def test_a_bad_request_is_refused_in_one_sentence(
    certs: Certs, arguments: tuple[str, ...], words: str
) -> None:
    certs("init")
    status, said = certs("issue", *arguments)
    assert (status, words in said) == (2, True), said
    assert json.loads(certs("list", "--json")[1]) == []


def test_revoking_by_name_or_serial_signs_a_new_list(certs: Certs, folder: Path) -> None:
    certs("init")
    for name in ("anna", "ben", "cleo"):
        certs("issue", name, "--role", "scientist")
    authority = Authority(folder)
    serials = {record.name: record.serial for record in authority.records()}
    revoked = RevocationList(authority.revocation_list, authority.certificate)
    assert "Revoked person 'anna'" in certs("revoke", "anna")[1]
    assert "Revoked person 'ben'" in certs("revoke", serials["ben"])[1]
    for name, is_out in (("anna", True), ("ben", True), ("cleo", False)):
        certificate = load_certificate(folder / "issued" / name / "certificate.pem")
        if is_out:
            with pytest.raises(NotAuthorisedError, match=name):
                revoked.require_not_revoked(certificate)
        else:
            revoked.require_not_revoked(certificate)
    status, said = certs("revoke", "nobody")
    assert (status, "No certificate of 'nobody'" in said) == (2, True)


def test_an_interrupted_revocation_is_completed_by_the_next(folder: Path) -> None:
    authority = Authority.create(folder, name="our-lab", days=10)
    certificate = load_certificate(
        authority.issue("anna", role=Role.VIEWER, days=1).folder / "certificate.pem"
    )
    before = authority.revocation_list.read_bytes()
    first = authority.revoke("anna")
    authority.revocation_list.write_bytes(before)  # as if it had ended after the record was written
    assert authority.revoke("anna") == first
    revoked = RevocationList(authority.revocation_list, authority.certificate)
    with pytest.raises(NotAuthorisedError, match="anna"):
        revoked.require_not_revoked(certificate)


def test_the_list_says_everything(certs: Certs) -> None:
    certs("init")
    certs("issue", "titan", "--server", "--host", "localhost", "--days", "30")
    certs("issue", "anna", "--role", "scientist")
    certs("revoke", "anna")
    records = [CertificateRecord.model_validate(record) for record in json.loads(certs("list", "--json")[1])]
    by_name = {record.name: record for record in records}
    assert (by_name["titan"].kind, by_name["titan"].hosts) == ("server", ("localhost",))
    assert (by_name["anna"].role, by_name["anna"].revoked_at is None) == (Role.SCIENTIST, False)
    _, table = certs("list")
    for record in records:
        assert record.name in table
        assert record.serial in table
    _, shown = certs("show", by_name["anna"].serial)
    assert by_name["anna"].fingerprint in shown
    assert json.loads(certs("show", "titan", "--json")[1])[0]["hosts"] == ["localhost"]


def test_without_an_authority_the_way_to_one_is_said(certs: Certs) -> None:
    for arguments in (("issue", "anna", "--role", "viewer"), ("revoke", "anna"), ("list",), ("show", "anna")):
        status, said = certs(*arguments)
        assert (status, "eucentric certs init" in said) == (2, True), said


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps access in lists of its own")
def test_a_key_that_others_can_read_signs_nothing(certs: Certs, folder: Path) -> None:
    certs("init")
    (folder / "authority-key.pem").chmod(0o640)
    status, said = certs("issue", "anna", "--role", "admin")
    assert (status, "is open to other users (mode 0640)" in said) == (2, True), said


def test_a_full_disk_leaves_nothing_half_done(small_disk: Path) -> None:
    filler = small_disk / "filler"
    free_bytes = shutil.disk_usage(small_disk).free
    filler.write_bytes(bytes(free_bytes))
    with pytest.raises(ConfigurationError, match="no space"):
        Authority.create(small_disk / "authority", name="our-lab", days=1)
    assert list(small_disk.iterdir()) == [filler]
    filler.unlink()
    assert Authority.create(small_disk / "authority", name="our-lab", days=1).records() == []


def test_two_administrators_at_once_forget_nothing(folder: Path) -> None:
    Authority.create(folder, name="our-lab", days=10)
    with ThreadPoolExecutor(8) as pool:
        issued = list(
            pool.map(lambda n: Authority(folder).issue(f"anna-{n}", role=Role.VIEWER, days=1), range(16))
        )
    assert {record.serial for record in Authority(folder).records()} == {i.record.serial for i in issued}
