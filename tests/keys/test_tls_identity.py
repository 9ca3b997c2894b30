"""Client certificates from the keystore, against a real TLS server that demands one."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keys import demo_ca, tls_identity
from keys.demo_ca import DemoIdentities
from keys.errors import KeyRefusal
from keys.file_backend import FileKeyStore
from keys.store import KeyManager
from keys.tls_identity import TlsKeys, client_context
from tests.apns_server import ServerCertificate

PASS_TYPE = "pass.de.musterstadt.test"


@pytest.fixture
def demo(store: FileKeyStore) -> DemoIdentities:
    return demo_ca.create(datetime.now(UTC), "ABCDE12345", (PASS_TYPE, PASS_TYPE + "2"), store)


def shown_to_server(context: ssl.SSLContext, root_pem: bytes, certificate: ServerCertificate) -> str:
    """The UID of the certificate that ``context`` shows to a server trusting ``root_pem`` alone."""
    serving = certificate.context()
    serving.verify_mode = ssl.CERT_REQUIRED
    serving.load_verify_locations(cadata=root_pem.decode())
    mine, theirs = socket.socketpair()
    found: list[str] = []

    def serve() -> None:
        with serving.wrap_socket(theirs, server_side=True) as tls:
            subject = dict(pair[0] for pair in tls.getpeercert()["subject"])  # type: ignore[index]
            found.append(subject["userId"])
            tls.sendall(b".")

    thread = threading.Thread(target=serve)
    thread.start()
    with context.wrap_socket(mine, server_hostname="localhost") as tls:
        assert tls.recv(1) == b"."
    thread.join()
    return found[0]


def test_a_server_sees_the_certificate_and_believes_it(
    store: FileKeyStore, demo: DemoIdentities, tmp_path: Path
) -> None:
    certificate = ServerCertificate.new(tmp_path)
    chain = (demo.identities[PASS_TYPE].certificate, demo.intermediate)
    context = client_context(store, demo.uris[PASS_TYPE], chain, certificate.ca_file)
    assert shown_to_server(context, demo.root_pem, certificate) == PASS_TYPE


def test_the_key_is_in_no_file_and_no_descriptor_stays_open(
    store: FileKeyStore, demo: DemoIdentities, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    load = ssl.SSLContext.load_cert_chain

    def spy(self: ssl.SSLContext, path: str, *, password: str) -> None:
        seen.append(Path(path).read_bytes())
        assert os.readlink(path).startswith("/memfd:")
        load(self, path, password=password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    before = len(os.listdir("/proc/self/fd"))
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    client_context(store, demo.uris[PASS_TYPE], (demo.identities[PASS_TYPE].certificate,))
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == files
    assert len(os.listdir("/proc/self/fd")) == before
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in seen[0]
    opened = subprocess.run(
        ["openssl", "pkey", "-passin", "pass:"], input=seen[0], capture_output=True, check=False
    )
    assert opened.returncode != 0


def test_a_key_of_another_certificate_is_refused(store: FileKeyStore, demo: DemoIdentities) -> None:
    with pytest.raises(KeyRefusal, match="TLS_KEY_MISMATCH"):
        client_context(store, demo.uris[PASS_TYPE + "2"], (demo.identities[PASS_TYPE].certificate,))


def test_a_secret_serves_no_connection(store: FileKeyStore, demo: DemoIdentities) -> None:
    uri = store.create_secret("secret-1")
    with pytest.raises(KeyRefusal, match="KEY_IS_SECRET"):
        client_context(store, uri, (demo.identities[PASS_TYPE].certificate,))


def test_where_keys_cannot_leave_the_remedy_is_said(store: FileKeyStore, demo: DemoIdentities) -> None:
    class OnlySigns:
        """A key manager without the ability, as a hardware security module is."""

        signer = store.signer

    manager: KeyManager = OnlySigns()  # type: ignore[assignment]
    assert isinstance(store, TlsKeys)
    with pytest.raises(KeyRefusal, match="TLS_KEY_STAYS") as refused:
        client_context(manager, demo.uris[PASS_TYPE], (demo.identities[PASS_TYPE].certificate,))
    assert "keys add apns" in refused.value.sentence("de")


def test_without_files_in_memory_the_key_is_not_put_on_the_disk(
    store: FileKeyStore, demo: DemoIdentities, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: str) -> int:
        raise OSError(38, "not implemented")

    monkeypatch.setattr(tls_identity.os, "memfd_create", unknown)
    with pytest.raises(KeyRefusal, match="TLS_KEY_MEMORY"):
        client_context(store, demo.uris[PASS_TYPE], (demo.identities[PASS_TYPE].certificate,))


def test_a_closed_keystore_gives_no_key(store: FileKeyStore, demo: DemoIdentities) -> None:
    store.signer(demo.uris[PASS_TYPE])
    store.close()
    with pytest.raises(KeyRefusal, match="KEYSTORE_CLOSED"):
        client_context(store, demo.uris[PASS_TYPE], (demo.identities[PASS_TYPE].certificate,))
