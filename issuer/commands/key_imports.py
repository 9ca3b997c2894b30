"""Keys that others have a part in: Apple's certificates and push keys, Google's service account."""

from __future__ import annotations

import argparse
import getpass
import os
import re
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import cast

from sqlalchemy.orm import Session

from issuer import keyring
from issuer.errors import IssuerRefusal
from issuer.settings import load_settings
from issuer.workspace import Workspace
from keys.apple_certificates import AppleSigningIdentity, ImportingKeyManager
from keys.lifecycle import KeyRecord, Purpose
from keys.private_key_files import read_pem
from keys.store import Algorithm, KeyImporter, KeyManager, SecretKeeper, algorithm_of
from keys.uri import KeyUri

P12_VARIABLE = "STADTPASS_P12_PASSPHRASE"  # the name of a variable
_APPLE_KEY_ID = re.compile(r"[A-Z0-9]{10}")
_LARGEST_KEY_FILE = 256 * 1024


def apple_key(
    arguments: argparse.Namespace,
    workspace: Workspace,
    session: Session,
    manager: KeyManager,
    at: datetime,
    *,
    test: bool,
) -> KeyRecord:
    """Apple's certificate with its key, from a .p12. Raises IssuerRefusal APPLE_FILES_NEEDED, and KeyRefusal."""
    if arguments.p12 is None or arguments.chain is None:
        raise IssuerRefusal("APPLE_FILES_NEEDED")
    settings = load_settings(session, workspace.tenant)
    identity, uri = AppleSigningIdentity.import_p12(
        read_file(arguments.p12),
        _passphrase(),
        read_file(arguments.chain),
        _importing(manager),
        keyring.key_name(workspace.tenant, Purpose(arguments.purpose), at),
        (settings.apple_pass_type_identifier, settings.apple_team_identifier, at),
    )
    return keyring.note_apple_identity(
        session, workspace.tenant, identity, uri, test=test, purpose=Purpose(arguments.purpose)
    )


def push_key(
    arguments: argparse.Namespace,
    workspace: Workspace,
    session: Session,
    manager: KeyManager,
    at: datetime,
    *,
    test: bool,
) -> KeyRecord:
    """The key of Apple's with which the push service is told who pushes, without a certificate."""
    if (arguments.key is None) == (arguments.uri is None) or not _APPLE_KEY_ID.fullmatch(arguments.key_id):
        raise IssuerRefusal("PUSH_KEY_NEEDED")
    if arguments.uri is not None:
        uri = KeyUri.parse(arguments.uri)
    else:
        material = read_pem(read_file(arguments.key))
        if algorithm_of(material.private_key.public_key()) is not Algorithm.ES256:
            raise IssuerRefusal("PUSH_KEY_NEEDED")
        name = keyring.key_name(workspace.tenant, Purpose.APNS, at)
        uri = _importing(manager).import_key(name, material.private_key)
    if algorithm_of(manager.public_key(uri)) is not Algorithm.ES256:
        raise IssuerRefusal("PUSH_KEY_NEEDED")
    noted = keyring.note_key(session, manager, workspace.tenant, Purpose.APNS, uri, at, test=test)
    record = replace(noted, provider_key_id=arguments.key_id)
    keyring.save(session, record)
    return record


def google_key(
    arguments: argparse.Namespace,
    workspace: Workspace,
    session: Session,
    manager: KeyManager,
    at: datetime,
    *,
    test: bool,
) -> KeyRecord:
    """The key of the service account, or with ``--epoch`` the secret of rotating codes."""
    if arguments.epoch:
        if not isinstance(manager, SecretKeeper):
            raise IssuerRefusal("IMPORT_IMPOSSIBLE")
        return keyring.create_secret(session, manager, workspace.tenant, Purpose.GOOGLE, at, test=test)
    if arguments.key is None:
        return keyring.create_key(
            session, manager, workspace.tenant, Purpose.GOOGLE, at, test=test, algorithm=Algorithm.RS256
        )
    name = keyring.key_name(workspace.tenant, Purpose.GOOGLE, at)
    uri = _importing(manager).import_key(name, read_pem(read_file(arguments.key)).private_key)
    return keyring.note_key(session, manager, workspace.tenant, Purpose.GOOGLE, uri, at, test=test)


def _importing(manager: KeyManager) -> ImportingKeyManager:
    if not isinstance(manager, KeyImporter):
        raise IssuerRefusal("IMPORT_IMPOSSIBLE")
    return cast("ImportingKeyManager", manager)


def read_file(path: Path) -> bytes:
    """The bytes of a key or certificate file. Raises IssuerRefusal KEY_FILE_UNREADABLE."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_KEY_FILE + 1)
    except OSError:
        raise IssuerRefusal("KEY_FILE_UNREADABLE", file=path) from None
    if len(data) > _LARGEST_KEY_FILE:
        raise IssuerRefusal("KEY_FILE_UNREADABLE", file=path)
    return data


def _passphrase() -> str | None:
    if secret := os.environ.get(P12_VARIABLE):
        return secret
    return getpass.getpass("Passphrase (.p12): ") if sys.stdin.isatty() else None
