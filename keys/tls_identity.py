"""Showing a certificate to a TLS server: for key stores that can let OpenSSL use a private key.

OpenSSL takes a client's key from a file and from nowhere else, as far as Python reaches it. A store that keeps its
keys in files of its own can hand one over without the key ever lying on a disk; a hardware security module cannot
hand out anything, which is what it is for.
"""

from __future__ import annotations

import os
import secrets
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from keys.errors import KeyRefusal
from keys.identity import PrivateKey
from keys.store import KeyManager
from keys.uri import KeyUri


@runtime_checkable
class TlsKeys(Protocol):
    """A key manager that can let OpenSSL use its keys in connections of this process."""

    def load_tls_key(
        self, uri: KeyUri, certificates: Sequence[x509.Certificate], context: ssl.SSLContext
    ) -> None:
        """Have ``context`` show ``certificates`` (the key's own first) and prove them with the key.

        Raises KeyRefusal if the key is not here, or not that of the first certificate.
        """


def client_context(
    manager: KeyManager, uri: KeyUri, certificates: Sequence[x509.Certificate], ca_file: Path | None = None
) -> ssl.SSLContext:
    """What connects to a server as the holder of ``certificates``, whose key is at ``uri`` in ``manager``.

    The server is checked against the system's authorities, or those in ``ca_file`` (PEM) instead. Raises
    KeyRefusal TLS_KEY_STAYS for a manager whose keys do not serve TLS, and as `TlsKeys.load_tls_key`; OSError for a
    ``ca_file`` that cannot be read.
    """
    if not isinstance(manager, TlsKeys):
        raise KeyRefusal("TLS_KEY_STAYS", uri=uri)
    context = server_check(ca_file)
    manager.load_tls_key(uri, certificates, context)
    return context


def server_check(ca_file: Path | None = None) -> ssl.SSLContext:
    """What connects to a server without showing a certificate; TLS 1.2 or newer. Raises OSError."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def load_private_key(
    context: ssl.SSLContext, private_key: PrivateKey, certificates: Sequence[x509.Certificate]
) -> None:
    """Give ``context`` a key, through a file in memory that is encrypted for the moment it exists.

    The file has no name and no disk, and what is in it opens with a password that is nowhere else; so neither
    swap, nor a core file, nor ``/proc`` of another process shows the key. Raises KeyRefusal TLS_KEY_MEMORY where the
    system has no such files, TLS_KEY_MISMATCH for a key of another certificate.
    """
    password = secrets.token_hex(32)
    content = b"".join(one.public_bytes(Encoding.PEM) for one in certificates) + private_key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode())
    )
    try:
        descriptor = os.memfd_create("tls")
    except (AttributeError, OSError) as error:
        raise KeyRefusal("TLS_KEY_MEMORY") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        try:
            context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=password)
        except ssl.SSLError as error:
            raise KeyRefusal("TLS_KEY_MISMATCH") from error
        except OSError as error:
            raise KeyRefusal("TLS_KEY_MEMORY") from error
