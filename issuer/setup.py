"""Setting up an installation: data folder, register, keystores and first keys; the demo city with its own CA."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.orm import Session

from issuer import certified_keys, keyring
from issuer.configuration import Config
from issuer.database import create_register, writing
from issuer.errors import IssuerRefusal
from issuer.files import write_atomically
from issuer.library.fees import library_type, membership_fees_from_csv
from issuer.rules.directory import streets_from_csv
from issuer.settings import Settings, checked, create_tenant
from issuer.tariffs import fees_from_csv, zones_from_csv
from issuer.workspace import CONFIG, KEY_FILE, Workspace, unlock
from keys import demo_ca, lifecycle
from keys.demo_eudi_ca import DemoEudiAuthority
from keys.demo_pdf_ca import demo_pdf_seal
from keys.envelope import create_key_file
from keys.eudi_certificates import EudiUse
from keys.file_backend import FileKeyStore
from keys.lifecycle import KeyRecord, Purpose
from keys.store import Algorithm, Unlock

DEMO_ROOT = "demo-root.pem"
DEMO_EUDI_ROOT = "demo-eudi-root.pem"
# Somebody who issues identities for trying: no authority of ours, so with a root and a key of its own.
DEMO_PID_ROOT, DEMO_PID_PROVIDER, DEMO_PID_KEY = "demo-pid-root.pem", "demo-pid-provider.pem", "demo-pid"
_DEMO_PID_NAME = "TEST Demo PID Provider"
_DEMO_TRUSTED = {"pid": DEMO_PID_ROOT, "residence": DEMO_EUDI_ROOT, "library": DEMO_EUDI_ROOT}
DEMO_PDF_ROOT = "demo-pdf-root.pem"
_SOURCES, _SOURCE_FILES = "sources", ("residents", "vehicles")
_DEMO_PASS_TYPE = "pass.example.stadtpass.demo"  # noqa: S105 - an identifier
_DEMO_TEAM = "DEMO000000"
_DEMO_SETTINGS = Settings(
    city_name="Musterstadt",
    base_url="https://stadtpass.example",
    contact="Stadt Musterstadt, Bürgerservice, Rathausplatz 1, 40000 Musterstadt, pass@stadtpass.example",
    authority="Stadt Musterstadt, Ordnungsamt, Rathausplatz 1, 40000 Musterstadt",
    test=True,
    apple_pass_type_identifier=_DEMO_PASS_TYPE,
    apple_team_identifier=_DEMO_TEAM,
    google_issuer_id="3388000000000000000",
    google_service_account="demo@stadtpass-demo.iam.gserviceaccount.com",
)


def demo_data() -> Path:
    """The folder with the demo city's records."""
    return Path(str(files("issuer").joinpath("demo_data")))


def initialise(
    folder: Path, at: datetime, *, tenant: str, settings: Settings, demo: bool, database_url: str = ""
) -> Workspace:
    """Make a new installation in ``folder`` and open it; its register is in ``database_url`` or in the folder.

    With ``demo`` it gets the demo city's settings, tables, Apple-shaped authority and a key file that
    opens the keystore unattended. Raises IssuerRefusal DATA_EXISTS, TENANT_NAME, for settings what
    `settings.checked` raises, KeyRefusal, OSError; a folder that could not be set up as a whole is emptied
    again.
    """
    _check_tenant(tenant)
    checked(settings)
    if (folder / CONFIG).exists() or (folder / "register.db").exists():
        raise IssuerRefusal("DATA_EXISTS", folder=folder)
    fresh = not folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _fill(folder, at, tenant, _DEMO_SETTINGS if demo else settings, database_url, demo=demo)
    except BaseException:
        for name in (
            CONFIG,
            "register.db",
            "register.db-wal",
            "register.db-shm",
            DEMO_ROOT,
            DEMO_EUDI_ROOT,
            DEMO_PID_ROOT,
            DEMO_PID_PROVIDER,
            DEMO_PDF_ROOT,
            KEY_FILE,
        ):
            (folder / name).unlink(missing_ok=True)
        for name in ("keys", "root", *((_SOURCES,) if demo else ())):
            shutil.rmtree(folder / name, ignore_errors=True)
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _check_tenant(tenant: str) -> None:
    try:
        msgspec.convert({"tenant": tenant}, Config)
    except msgspec.ValidationError:
        raise IssuerRefusal("TENANT_NAME") from None


def _fill(
    folder: Path, at: datetime, tenant: str, settings: Settings, database_url: str, *, demo: bool
) -> Workspace:
    opened = create_key_file(folder / KEY_FILE) if demo else unlock(folder, confirm=True)
    with FileKeyStore.create(folder / "keys", opened), FileKeyStore.create(folder / "root", opened):
        pass
    told = f"tenant = {json.dumps(tenant)}\n"
    if database_url:
        told += f"database_url = {json.dumps(database_url)}\n"
    if demo:
        told += "\n[sources]\n" + "".join(f'{name} = "{_SOURCES}/{name}.csv"\n' for name in _SOURCE_FILES)
        for name in _SOURCE_FILES:
            data = (demo_data() / f"{name}.csv").read_bytes()
            (folder / _SOURCES).mkdir(mode=0o700, exist_ok=True)
            write_atomically(folder / _SOURCES / f"{name}.csv", data, mode=0o600)
        told += "\n[eudi.trusted]\n" + "".join(
            f'{kind} = ["{file}"]\n' for kind, file in _DEMO_TRUSTED.items()
        )
    # A database's address may hold a password.
    write_atomically(folder / CONFIG, told.encode(), mode=0o600)
    workspace = Workspace.open(folder)
    engine = create_register(workspace.database_url)
    with writing(engine) as session:
        create_tenant(session, tenant, settings, at)
        _first_keys(workspace, session, opened, at, demo=demo)
        if demo:
            zones_from_csv(session, tenant, demo_data() / "zones.csv")
            fees_from_csv(session, tenant, demo_data() / "fees.csv")
            streets_from_csv(session, tenant, demo_data() / "streets.csv")
            library = library_type(workspace.pass_types)
            membership_fees_from_csv(session, tenant, library, demo_data() / "membership_fees.csv")
    engine.dispose()
    return workspace


def _first_keys(workspace: Workspace, session: Session, opened: Unlock, at: datetime, *, demo: bool) -> None:
    tenant, folder = workspace.tenant, workspace.folder
    # The first key of a purpose signs at once: before it, no device trusts anything of this city.
    with FileKeyStore.open(folder / "root", opened) as manager:
        _activated(session, keyring.create_key(session, manager, tenant, Purpose.ROOT, at, test=demo), at)
    with FileKeyStore.open(folder / "keys", opened) as manager:
        first = ((Purpose.LIST, ()), (Purpose.SEAL, (keyring.ALL_TYPES,)), (Purpose.STATEMENT, ()))
        for purpose, names in first:
            made = keyring.create_key(session, manager, tenant, purpose, at, test=demo, pass_types=names)
            _activated(session, made, at)
        if demo:
            _demo_accounts(session, manager, tenant, folder, at)


def _demo_accounts(session: Session, manager: FileKeyStore, tenant: str, folder: Path, at: datetime) -> None:
    authority = demo_ca.create(at, _DEMO_TEAM, (_DEMO_PASS_TYPE,), manager)
    identity = authority.identities[_DEMO_PASS_TYPE]
    uri = authority.uris[_DEMO_PASS_TYPE]
    _activated(session, keyring.note_apple_identity(session, tenant, identity, uri, test=True), at)
    write_atomically(folder / DEMO_ROOT, authority.root_pem)
    _demo_eudi(session, manager, tenant, folder, at)
    _demo_pdf_seal(session, manager, tenant, folder, at)
    google = keyring.create_key(
        session, manager, tenant, Purpose.GOOGLE, at, test=True, algorithm=Algorithm.RS256
    )
    _activated(session, google, at)
    _activated(session, keyring.create_secret(session, manager, tenant, Purpose.GOOGLE, at, test=True), at)


def _demo_eudi(session: Session, manager: FileKeyStore, tenant: str, folder: Path, at: datetime) -> None:
    """Keys for credentials and for asking wallets, certified by an authority that no wallet trusts; and who says who
    somebody is.
    """
    authority = DemoEudiAuthority.new(at, _DEMO_SETTINGS.base_url)
    for purpose, use in certified_keys.EUDI_USES.items():
        record = keyring.create_key(session, manager, tenant, purpose, at, test=True)
        identity = authority.issue(use, manager.signer(record.uri))
        _activated(session, certified_keys.certified(record, identity), at)
    write_atomically(folder / DEMO_EUDI_ROOT, authority.root_pem)
    provider = DemoEudiAuthority.new(at, _DEMO_SETTINGS.base_url, _DEMO_PID_NAME)
    signer = manager.signer(manager.create_key(DEMO_PID_KEY, Algorithm.ES256))
    write_atomically(folder / DEMO_PID_ROOT, provider.root_pem)
    write_atomically(folder / DEMO_PID_PROVIDER, provider.issue(EudiUse.DOCUMENT_SIGNER, signer).pem.encode())


def _demo_pdf_seal(session: Session, manager: FileKeyStore, tenant: str, folder: Path, at: datetime) -> None:
    """A key for seals in PDFs, certified by an authority that no reader of PDFs trusts."""
    record = keyring.create_key(session, manager, tenant, Purpose.PDF_SEAL, at, test=True)
    identity = demo_pdf_seal(at, manager.signer(record.uri))
    _activated(session, certified_keys.certified(record, identity), at)
    write_atomically(folder / DEMO_PDF_ROOT, identity.anchor.public_bytes(Encoding.PEM))


def _activated(session: Session, record: KeyRecord, at: datetime) -> None:
    keyring.save(session, lifecycle.activate(record, at, initial=True))
