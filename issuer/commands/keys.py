"""``keys list|add|request|certify|activate|retire|revoke``: the life of the keys that sign."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from issuer import audit, certified_keys, keyring
from issuer.audit import AuditEvent
from issuer.commands.common import (
    actor,
    add_data_argument,
    opened,
    progress_bar,
    say,
    tell,
    tell_json,
    tell_table,
    warn,
)
from issuer.commands.key_imports import apple_key, google_key, push_key, read_file
from issuer.database import reading, writing
from issuer.errors import IssuerRefusal
from issuer.eudi import status_lists
from issuer.lifecycle import Actor
from issuer.reissue import complete_files, reissue_all
from issuer.revocation_log import RevocationLog
from issuer.settings import load_settings
from issuer.workspace import Workspace
from keys import lifecycle
from keys.errors import Refusal
from keys.eudi_certificates import signing_request
from keys.lifecycle import KeyRecord, KeyState, Purpose
from keys.pdf_seal_certificates import pdf_seal_request
from keys.store import SecretKeeper
from keys.texts import texts
from passes.periods import BERLIN
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``keys`` to the command line."""
    keys = commands.add_parser(
        "keys", help="signing keys: list, add, request, certify, activate, retire, revoke"
    )
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all keys with purpose, state and period")
    listing.add_argument("--json", action="store_true")
    add_data_argument(listing)
    listing.set_defaults(run=run_list)
    add = actions.add_parser("add", help="make or import a key; it is pending until it is activated")
    add.add_argument(
        "purpose", choices=[one.value for one in (*keyring.CREATABLE, Purpose.DATA_ENCRYPTION, *_IMPORTED)]
    )
    add.add_argument("--types", metavar="TYPE,...", help="pass types a seal key may sign (default: all)")
    add.add_argument("--p12", metavar="FILE", type=Path, help="Apple's certificate with its key")
    add.add_argument("--chain", metavar="FILE", type=Path, help="Apple's WWDR certificate (PEM)")
    add.add_argument(
        "--key",
        metavar="FILE",
        type=Path,
        help="private key of Google's service account, or Apple's .p8 (PEM)",
    )
    add.add_argument(
        "--key-id", metavar="ID", help="for apns: the id that Apple gave the .p8, ten characters"
    )
    add.add_argument("--uri", metavar="URI", help="for apns: the key is in the keystore already")
    add.add_argument("--epoch", action="store_true", help="for google: the secret behind rotating codes")
    add_data_argument(add)
    add.set_defaults(run=run_add)
    request = actions.add_parser(
        "request", help="what an authority needs to certify an eudi, eudi-access or pdf-seal key (PKCS#10)"
    )
    request.add_argument("kid", metavar="KID", help="key id from 'keys list', or its first digits")
    request.add_argument("--name", metavar="TEXT", help="common name (default: the city's)")
    request.add_argument("--country", metavar="CC", default="DE", help="default: DE")
    add_data_argument(request)
    request.set_defaults(run=run_request)
    certify = actions.add_parser("certify", help="give a key the certificate its authority sent")
    certify.add_argument("kid", metavar="KID", help="key id from 'keys list', or its first digits")
    certify.add_argument(
        "--certificate", metavar="FILE", type=Path, required=True, help="the key's own (PEM)"
    )
    certify.add_argument("--chain", metavar="FILE", type=Path, help="those between it and the anchor (PEM)")
    certify.add_argument("--anchor", metavar="FILE", type=Path, required=True, help="the trust anchor (PEM)")
    add_data_argument(certify)
    certify.set_defaults(run=run_certify)
    for name, text in (
        ("activate", "let a published key sign"),
        ("retire", "stop signing; what was signed stays good"),
        ("revoke", "withdraw trust in everything the key has signed, and issue it anew"),
    ):
        step = actions.add_parser(name, help=text)
        step.add_argument("kid", metavar="KID", help="key id from 'keys list', or its first digits")
        step.add_argument("--reason", metavar="TEXT", required=name == "revoke")
        if name == "revoke":
            step.add_argument("--out", metavar="DIR", type=Path, help="folder for the new passes")
        add_data_argument(step)
        step.set_defaults(run=run_revoke if name == "revoke" else run_step, step=name)


_IMPORTED = (Purpose.APPLE_PASS, Purpose.APNS, Purpose.GOOGLE)
# X.509 limits a common name and an organisation (RFC 5280, A.1).
_LONGEST_SUBJECT = 64


def run_list(arguments: argparse.Namespace) -> ExitCode:
    """List all keys."""
    at = chosen_time(arguments)
    with opened(arguments) as workspace, reading(workspace.engine) as session:
        found = keyring.records(session, workspace.tenant)
        if arguments.json:
            for one in found:
                tell_json(_as_json(one, workspace))
            return ExitCode.GREEN
        headers = [
            say(arguments, f"KEYS_{name}") for name in ("KID", "PURPOSE", "STATE", "FROM", "UNTIL", "TYPES")
        ]
        tell_table(
            headers,
            [
                [
                    one.kid.hex(),
                    one.purpose.value,
                    one.state.value + (" TEST" if one.test else ""),
                    _day(one.not_before),
                    _day(one.not_after),
                    say(arguments, "KEYS_ALL")
                    if keyring.ALL_TYPES in one.pass_types
                    else ", ".join(one.pass_types),
                ]
                for one in found
            ],
        )
        for sentence in _warnings(workspace, found, at, arguments.lang):
            warn(sentence)
    return ExitCode.GREEN


def run_add(arguments: argparse.Namespace) -> ExitCode:
    """Make or import a key."""
    at = chosen_time(arguments)
    purpose = Purpose(arguments.purpose)
    with opened(arguments) as workspace:
        place = workspace.root_keys() if purpose is Purpose.ROOT else workspace.keys()
        with place as manager, writing(workspace.engine) as session:
            settings = load_settings(session, workspace.tenant)
            if purpose in keyring.CREATABLE:
                types = _types(workspace, arguments.types) if purpose is Purpose.SEAL else ()
                record = keyring.create_key(
                    session, manager, workspace.tenant, purpose, at, test=settings.test, pass_types=types
                )
            elif purpose is Purpose.DATA_ENCRYPTION:
                if not isinstance(manager, SecretKeeper):
                    raise IssuerRefusal("IMPORT_IMPOSSIBLE")
                record = keyring.create_secret(
                    session, manager, workspace.tenant, purpose, at, test=settings.test
                )
            elif purpose is Purpose.APNS and arguments.key_id is not None:
                record = push_key(arguments, workspace, session, manager, at, test=settings.test)
            elif purpose in (Purpose.APPLE_PASS, Purpose.APNS):
                record = apple_key(arguments, workspace, session, manager, at, test=settings.test)
            else:
                record = google_key(arguments, workspace, session, manager, at, test=settings.test)
            event = AuditEvent("key-added", f"key/{record.kid.hex()}", after={"purpose": purpose.value})
            audit.append(session, workspace.tenant, [event], at, actor())
    tell(record.kid.hex())
    code = "KEY_ADDED_PUBLISH" if purpose in keyring.PUBLISHED else "KEY_ADDED"
    if purpose in certified_keys.CERTIFIED:
        code = "KEY_ADDED_CERTIFY"
    warn(say(arguments, code, kid=record.kid.hex()))
    return ExitCode.GREEN


def run_request(arguments: argparse.Namespace) -> ExitCode:
    """Print the certificate request of a key that an authority certifies; nothing changes."""
    with opened(arguments) as workspace, workspace.keys() as manager:
        with reading(workspace.engine) as session:
            record = keyring.find(session, workspace.tenant, arguments.kid)
            settings = load_settings(session, workspace.tenant)
        certified_keys.certified_kind(record)
        city = settings.city_name[:_LONGEST_SUBJECT]
        subject = (arguments.name or city, arguments.country, city)
        signer = manager.signer(record.uri)
        if record.purpose is Purpose.PDF_SEAL:
            made = pdf_seal_request(signer, *subject)
        else:
            made = signing_request(signer, *subject, urlsplit(settings.base_url).hostname or "")
        tell(made.decode())
    return ExitCode.GREEN


def run_certify(arguments: argparse.Namespace) -> ExitCode:
    """Give a pending key its certificate, once everything about it holds."""
    at = chosen_time(arguments)
    with opened(arguments) as workspace, workspace.keys() as manager, writing(workspace.engine) as session:
        before = keyring.find(session, workspace.tenant, arguments.kid)
        kind, use = certified_keys.certified_kind(before)
        identity = kind.from_files(
            use,
            read_file(arguments.certificate),
            read_file(arguments.chain) if arguments.chain is not None else b"",
            read_file(arguments.anchor),
            manager.signer(before.uri),
        )
        identity.check(at)
        after = certified_keys.certified(before, identity)
        keyring.save(session, after)
        told = {"until": after.not_after.isoformat(), "certificate": identity.name}
        event = AuditEvent("key-certified", f"key/{after.kid.hex()}", after=told)
        audit.append(session, workspace.tenant, [event], at, actor())
    tell(say(arguments, "KEY_CERTIFIED", kid=after.kid.hex(), last=_day(identity.not_after)))
    return ExitCode.GREEN


def run_step(arguments: argparse.Namespace) -> ExitCode:
    """Activate or retire a key."""
    at = chosen_time(arguments)
    with opened(arguments) as workspace, writing(workspace.engine) as session:
        before = keyring.find(session, workspace.tenant, arguments.kid)
        if arguments.step == "activate":
            after = keyring.activate(session, before, at)
        else:
            after = lifecycle.retire(before, at)
            keyring.refuse_last(session, before, [one.id for one in workspace.pass_types])
        keyring.transition(session, before, after, at, actor(), arguments.reason)
        ttl = load_settings(session, workspace.tenant).list_ttl
    tell(say(arguments, f"KEY_{after.state.name}", kid=after.kid.hex()))
    if arguments.step == "activate" and after.published_at is not None and after.published_at + ttl > at:
        warn(say(arguments, "KEY_PUBLISHED_JUST_NOW", kid=after.kid.hex()))
    return ExitCode.GREEN


def run_revoke(arguments: argparse.Namespace) -> ExitCode:
    """Revoke a key and issue anew what it has sealed; again for a revoked key: finish what was left."""
    at = chosen_time(arguments)
    with opened(arguments) as workspace:
        with writing(workspace.engine) as session:
            record = keyring.find(session, workspace.tenant, arguments.kid)
            hit = keyring.live_passes(session, record, at)
            resealed = keyring.live_passes(session, record, at, resealed=True)
            again = record.state is KeyState.REVOKED
            if not again:
                revoked = lifecycle.revoke(record, at)
                keyring.transition(session, record, revoked, at, actor(), arguments.reason)
                RevocationLog(workspace.folder).key(revoked, at, arguments.reason)
            credentials = status_lists.distrust(session, workspace.tenant, record.kid.hex(), at)
        # A run that was killed may have left passes with a new seal and without their files.
        made = complete_files(workspace, resealed, _out(arguments), at) if again else 0
        if again and not hit and not made:
            lifecycle.revoke(record, at)
        tell(say(arguments, "KEY_REVOKED", kid=record.kid.hex()))
        if made:
            tell(say(arguments, "REISSUE_FILES", count=made))
        if record.purpose is Purpose.EUDI:
            tell(say(arguments, "KEY_CREDENTIALS_HIT", kid=record.kid.hex(), count=credentials))
        if record.purpose is Purpose.SEAL:
            tell(say(arguments, "KEY_HITS", kid=record.kid.hex(), count=len(hit)))
            if hit:
                _reissue(arguments, workspace, record, hit, at)
    return ExitCode.GREEN


def _reissue(
    arguments: argparse.Namespace,
    workspace: Workspace,
    record: KeyRecord,
    hit: list[tuple[str, str]],
    at: datetime,
) -> None:
    try:
        by = Actor(actor(), at, arguments.reason)
        with progress_bar(say(arguments, "PROGRESS_REISSUE")) as bar:
            done = reissue_all(workspace, hit, _out(arguments), by, bar)
        tell(say(arguments, "REISSUED", count=done.count))
        for number, refused in done.left_out:
            warn(f"{number}: {refused.sentence(arguments.lang)}")
        for failure in done.failures:
            warn(
                f"{failure.number}: {texts(failure.package, arguments.lang)(failure.code, **failure.params)}"
            )
    except Refusal as refusal:
        # Trust is withdrawn already, whatever becomes of the new passes: say what is left to do.
        warn(refusal.sentence(arguments.lang))
    with reading(workspace.engine) as session:
        left = len(keyring.live_passes(session, record, at))
    if left:
        warn(say(arguments, "REISSUE_LATER", count=left, kid=record.kid.hex()))


def _out(arguments: argparse.Namespace) -> Path:
    chosen: Path | None = arguments.out
    data: Path = arguments.data
    return chosen or data / "out"


def _types(workspace: Workspace, text: str | None) -> tuple[str, ...]:
    if text is None:
        return (keyring.ALL_TYPES,)
    return tuple(dict.fromkeys(workspace.pass_types[name.strip()].id for name in text.split(",")))


def _as_json(record: KeyRecord, workspace: Workspace) -> dict[str, object]:
    def moment(at: datetime | None) -> str | None:
        return None if at is None else at.astimezone(BERLIN).isoformat()

    return {
        "kid": record.kid.hex(),
        "purpose": record.purpose.value,
        "state": record.state.value,
        "types": [one.id for one in workspace.pass_types if keyring.may_seal(record, one.id)],
        "test": record.test,
        "uri": str(record.uri),
        "not_before": moment(record.not_before),
        "not_after": moment(record.not_after),
        "published_at": moment(record.published_at),
        "activated_at": moment(record.activated_at),
        "retired_at": moment(record.retired_at),
        "revoked_at": moment(record.revoked_at),
    }


def _day(at: datetime) -> str:
    return at.astimezone(BERLIN).strftime("%d.%m.%Y")


def _warnings(workspace: Workspace, found: list[KeyRecord], at: datetime, language: str) -> list[str]:
    """What ends soon: Apple's certificates and those of the keys that an authority certifies, with their chains."""
    certified = (Purpose.APPLE_PASS, *certified_keys.CERTIFIED)
    active = [one for one in found if one.purpose in certified and one.state is KeyState.ACTIVE]
    if not active:
        return []
    with workspace.keys() as manager:
        identities = [
            keyring.apple_identity(one, manager)
            if one.purpose is Purpose.APPLE_PASS
            else certified_keys.certified_identity(one, manager)
            for one in active
        ]
        return [warning.sentence(language) for one in identities for warning in one.warnings(at)]
