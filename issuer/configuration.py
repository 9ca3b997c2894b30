"""What ``stadtpass.toml`` and the environment can say: how this machine runs the service.

What the city decides (its name, display mode, identifiers) stands in the register (`issuer.settings`); here stands
what the operator decides. Every key can be given as ``STADTPASS_SECTION_KEY`` in the environment, which wins:
``STADTPASS_SERVICE_PORT=8080``, ``STADTPASS_DATABASE_URL=...``. Lists are written with commas. An unknown key is
refused in both places, since a setting with a typing error would silently not hold.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from issuer.configuration_checks import check
from issuer.errors import IssuerRefusal

PREFIX: Final = "STADTPASS_"
# Read elsewhere: what opens the keystores must not stand beside them.
_NOT_HERE: Final = (
    "STADTPASS_PASSPHRASE",
    "STADTPASS_KEY_FILE",
    "STADTPASS_P12_PASSPHRASE",
    "STADTPASS_BACKUP_PASSPHRASE",
    "STADTPASS_BACKUP_KEY_FILE",
    "STADTPASS_DEBUG",
)

_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
_Days = Annotated[int, msgspec.Meta(ge=1, le=3660)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
_Network = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?\Z")]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class ServiceConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[service]``: where it listens, which proxies it believes, how it names itself among workers."""

    host: str = "127.0.0.1"
    port: _Port = 8000
    # Networks of the reverse proxies whose X-Forwarded-For is believed.
    trusted_proxies: tuple[_Network, ...] = ()
    # Stable among restarts and different on every machine and process: see docs/operation.md.
    executor: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{0,60}\Z")] = ""
    # How long a stop waits for requests and deliveries under way.
    stop_seconds: _Seconds = 20.0
    # Requests per minute and client address on pages and endpoints that anybody can reach; 0 for no limit.
    requests_per_minute: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 600
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    # Who may read /metrics besides this machine.
    metrics_networks: tuple[_Network, ...] = ()
    # Where weaknesses are reported, for /.well-known/security.txt: mailto: or https:. None, no file.
    security_contact: Annotated[str, msgspec.Meta(pattern=r"\A((mailto:|https://)[!-~]{3,200})?\Z")] = ""


class BackgroundConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[background]``: the worker's pace."""

    polling_seconds: _Seconds = 0.5
    heartbeat_seconds: _Seconds = 5.0
    # Without a sign of life for so long, a worker's work is taken over.
    dead_after_seconds: _Seconds = 60.0
    publish_seconds: _Seconds = 1.0
    # The work in hand of one worker at the same time.
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8
    # When the night's work begins, Europe/Berlin.
    nightly_at: Annotated[str, msgspec.Meta(pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z")] = "02:30"
    # The longest wait between two attempts of something that fails.
    longest_wait_seconds: _Seconds = 900.0


class MailConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[mail]``: the SMTP server; without a host, mails are written into ``folder`` inside the data folder."""

    host: str = ""
    port: _Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    # A file with the password on its first line; readable by its owner alone.
    password_file: str = ""
    sender: str = "stadtpass@localhost"
    folder: str = "mail"
    timeout_seconds: _Seconds = 20.0


class ApplePushConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[apple]``: Apple's push service."""

    push: bool = True
    push_url: str = "https://api.push.apple.com"
    # Trusted instead of the system's authorities; for tests.
    push_ca_file: str = ""
    timeout_seconds: _Seconds = 20.0
    # More devices than this for one pass are refused.
    devices_per_pass: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    logs_kept: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 5000


class GoogleConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[google]``: Google's REST interface. Off until the service account is set up."""

    enabled: bool = False
    api_url: str = "https://walletobjects.googleapis.com"
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    keys_url: str = "https://pay.google.com/gp/m/issuer/keys"
    ca_file: str = ""
    # Google allows 20; a margin of 30 % absorbs what a sliding second lets through.
    requests_per_second: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 14.0
    timeout_seconds: _Seconds = 20.0


class TrustedConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[eudi.trusted]``: whose credentials are believed, by PEM files with certificates of authorities.

    Each kind has its own, and none is believed for another: who issues library cards must not issue identities. The
    city's own authority is named here as well.
    """

    pid: tuple[str, ...] = ()
    residence: tuple[str, ...] = ()
    library: tuple[str, ...] = ()
    # Hosts that status lists of others are fetched from, written as in ``webhooks.allowed_hosts``; no other is asked.
    status_hosts: tuple[str, ...] = ()
    # Trusted instead of the system's authorities; for tests.
    ca_file: str = ""
    # For a whole fetch, from looking the name up to the end of the answer.
    timeout_seconds: _Seconds = 5.0


class EudiConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[eudi]``: credentials for EUDI Wallets by OpenID4VCI 1.0. Off until there is a key with a certificate."""

    enabled: bool = False
    # OpenID4VC High Assurance Interoperability Profile 1.0: wallets must bring DPoP, a wallet attestation and key
    # attestations. Without it they may.
    haip: bool = False
    # PEM files with certificates of wallet providers; attestations have to lead to one of them.
    wallet_providers: tuple[str, ...] = ()
    # Where wallets without an attestation may be sent back to with an authorization code; none: nowhere.
    redirect_uris: tuple[str, ...] = ()
    # What a key attestation has to say of where the keys are kept (OpenID4VCI 1.0, appendix D.2); one is enough, and
    # without an attestation there is no credential then.
    key_storage: tuple[str, ...] = ()
    # How many credentials a wallet may have at once of one configuration.
    batch_size: Annotated[int, msgspec.Meta(ge=2, le=100)] = 10
    # How long a wallet may fetch new ones without its holder; HAIP 1.0, 4.4, advises against more than a year.
    refresh_days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 180
    trusted: TrustedConfig = TrustedConfig()

    @property
    def needs_key_attestations(self) -> bool:
        """Whether the keys of every credential must be attested."""
        return self.haip or bool(self.key_storage)


class WebhookConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[webhooks]``: the hosts that events may go to; nothing else is ever called."""

    allowed_hosts: tuple[str, ...] = ()
    ca_file: str = ""
    # For a whole attempt, from looking the name up to the end of the answer's head.
    timeout_seconds: _Seconds = 20.0


class DevicesConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[devices]``: the verifier's app on the devices of wardens and librarians."""

    # Where they open it, without /check/ at the end; empty for the city's base_url.
    url: Annotated[
        str,
        msgspec.Meta(
            pattern=r"\A(https://[A-Za-z0-9.:/_~-]{3,200}|http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?)?(?<!/)\Z"
        ),
    ] = ""
    # How long after its last lease a device can read the plate list; a shift.
    lease_hours: Annotated[int, msgspec.Meta(ge=1, le=24)] = 12


class StaffConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[staff]``: how the people of the office log in to the console."""

    # A session ends when it is not used for so long, and after so many hours in any case.
    idle_minutes: Annotated[int, msgspec.Meta(ge=5, le=240)] = 30
    session_hours: Annotated[int, msgspec.Meta(ge=1, le=16)] = 10
    # Who may log in with a password where there is [oidc]; administrators always, for the day it does not answer.
    local_accounts: Literal["all", "admins"] = "all"


class OidcConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[oidc]``: the city's own log-in by OpenID Connect; off without an issuer."""

    issuer: Annotated[str, msgspec.Meta(max_length=300)] = ""
    client_id: Annotated[str, msgspec.Meta(max_length=200)] = ""
    # A file with the client's secret on its first line; readable by its owner alone.
    client_secret_file: str = ""
    # What the button says: "Log in with ...".
    name: Annotated[str, msgspec.Meta(max_length=60)] = "OpenID Connect"
    # The claim that holds groups or roles of the provider, and which role each value gives.
    role_claim: Annotated[str, msgspec.Meta(max_length=100)] = "groups"
    roles: dict[str, Literal["clerk", "supervisor", "librarian", "registrar", "auditor", "admin"]] = {}
    # Methods (RFC 8176) of which the provider must have used one, such as mfa; empty: whatever it thinks enough.
    required_amr: tuple[str, ...] = ()
    ca_file: str = ""
    timeout_seconds: _Seconds = 10.0


class SourcesConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[sources]``: CSV files that answer whether somebody lives or keeps a vehicle; empty: evidence is asked."""

    residents: str = ""
    vehicles: str = ""


# https anywhere, http only to this machine: for stand-ins in tests.
_WEB_ADDRESS: Final = (
    r"\A(https://[A-Za-z0-9.:/_~-]{3,200}|http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?"
    r"(/[A-Za-z0-9./_~-]{0,200})?)?(?<!/)\Z"
)
_Address = Annotated[str, msgspec.Meta(pattern=_WEB_ADDRESS)]
# What XBezahldienste allows for its ids.
_OutsideId = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{0,36}\Z")]


class PaymentsConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[payments]``: who takes the money. Without a provider nobody can pay online; a demo city has its own."""

    provider: Literal["", "demo", "xbezahldienste"] = ""
    # The provider's REST interface, without the part that begins with /paymenttransaction.
    url: _Address = ""
    token_url: _Address = ""
    # originatorId and endPointId: this online service, and the authority that the money is for.
    originator_id: _OutsideId = ""
    end_point_id: _OutsideId = ""
    client_id: Annotated[str, msgspec.Meta(max_length=200)] = ""
    # bookingData of every position, as the city's treasury has agreed it with the provider.
    booking_data: dict[str, str] = {}
    # Files with the secret on their first line; readable by their owner alone.
    client_secret_file: str = ""
    webhook_secret_file: str = ""
    # Hosts of payment pages that people may be sent to, besides that of ``url``.
    allowed_hosts: tuple[str, ...] = ()
    ca_file: str = ""
    # For a whole call, from looking the name up to the end of the answer.
    timeout_seconds: _Seconds = 20.0
    # How long a payment can be made before it is closed.
    open_hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 30)] = 24


class LibraryConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[library]``: the library's own system, which says how a member's account stands; off without a source."""

    source: Literal["", "paia", "sip2"] = ""
    # PAIA: the base addresses of PAIA core and PAIA auth, without the slash at the end.
    url: _Address = ""
    login_url: _Address = ""
    grant: Literal["client_credentials", "password"] = "client_credentials"
    # Whether every patron needs a token of their own, so that each question begins with a log-in.
    token_per_patron: bool = False
    # Instead of a log-in: a file with a token that the library has given for good.
    token_file: str = ""
    # Whether the sum of somebody's fees is asked for where PAIA says that they owe any.
    fees: bool = False
    # SIP2: where it listens, whether TLS is spoken there, and what it wants to hear.
    host: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9.:_-]{0,253}\Z")] = ""
    port: _Port = 6001
    tls: bool = True
    # Names, fees and the password in clear text to another machine: only in a network that is protected otherwise.
    allow_plain: bool = False
    institution: Annotated[str, msgspec.Meta(pattern=r"\A[ -{}~]{0,60}\Z")] = ""
    location: Annotated[str, msgspec.Meta(pattern=r"\A[ -{}~]{0,60}\Z")] = ""
    encoding: Literal["utf-8", "cp850", "iso-8859-1"] = "utf-8"
    # Sequence numbers and checksums, AY and AZ; only ancient systems have none.
    error_detection: bool = True
    # Both: who logs in, and files with the password on their first line; readable by their owner alone.
    user: Annotated[str, msgspec.Meta(pattern=r"\A[ -{}~]{0,200}\Z")] = ""
    password_file: str = ""
    ca_file: str = ""
    # For a whole question of the night, from looking the name up to the end of the answer; and with somebody waiting.
    timeout_seconds: _Seconds = 10.0
    desk_seconds: _Seconds = 3.0
    # The night's comparison: how many members are asked a minute, and the share of them that may change in one night.
    refresh: bool = True
    questions_per_minute: Annotated[int, msgspec.Meta(ge=1, le=6000)] = 120
    changes_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


class RetentionConfig(_Section, frozen=True, forbid_unknown_fields=True):
    """``[retention]``: days after which the nightly run deletes."""

    # After the end of the period; fines become time-barred after three months, § 26 (3) StVG.
    passes_after_end: _Days = 183
    # Certificates of residence, after the end of their period, or after they were revoked or superseded.
    certificates: _Days = 30
    # A push token whose pushes have failed for so long.
    failing_devices: _Days = 90
    logs: _Days = 14
    mails: _Days = 90
    jobs: _Days = 30
    webhook_deliveries: _Days = 30
    finished_work: _Days = 7
    # After the decision: until then it can be objected to.
    evidence: _Days = 42
    # Refused, withdrawn, abandoned or never paid for: who asked is forgotten.
    applicants: _Days = 92
    # What is left of a case, which names nobody.
    cases: _Days = 366
    # The log of who looked at which pass or case.
    accesses: _Days = 366
    # What people wrote about barriers.
    feedback: _Days = 183
    # That a register was imported, by whom and with which counts; what was found in it goes with the jobs.
    imports: _Days = 366
    # PDFs of print runs, which hold names and codes; and the runs with their lists.
    print_files: _Days = 7
    print_runs: _Days = 90
    # Payments for which money came; the others go with the mails.
    payments: _Days = 3650


class Config(_Section, frozen=True, forbid_unknown_fields=True):
    """All of ``stadtpass.toml``; relative key places are inside the data folder."""

    tenant: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9-]{1,40}\Z")] = "stadt"
    database_url: str = ""
    keys: str = "file:keys"
    root_keys: str = "file:root"
    service: ServiceConfig = ServiceConfig()
    background: BackgroundConfig = BackgroundConfig()
    mail: MailConfig = MailConfig()
    apple: ApplePushConfig = ApplePushConfig()
    google: GoogleConfig = GoogleConfig()
    eudi: EudiConfig = EudiConfig()
    webhooks: WebhookConfig = WebhookConfig()
    devices: DevicesConfig = DevicesConfig()
    staff: StaffConfig = StaffConfig()
    oidc: OidcConfig = OidcConfig()
    sources: SourcesConfig = SourcesConfig()
    payments: PaymentsConfig = PaymentsConfig()
    library: LibraryConfig = LibraryConfig()
    retention: RetentionConfig = RetentionConfig()


def read_config(file: Path, environment: Mapping[str, str]) -> Config:
    """The configuration in ``file`` with what ``environment`` says instead.

    Raises IssuerRefusal CONFIG_INVALID for a file that cannot be read, unknown keys and values out of range;
    CONFIG_VARIABLE for an unknown ``STADTPASS_`` variable.
    """
    try:
        told = tomllib.loads(file.read_text("utf-8"))
        config = msgspec.convert(told, Config)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise IssuerRefusal("CONFIG_INVALID", file=file, fault=str(fault)) from fault
    for name, text in environment.items():
        if name.startswith(PREFIX) and name not in _NOT_HERE:
            _set(told, name, text)
    try:
        config = msgspec.convert(told, Config, strict=False)
    except msgspec.ValidationError as fault:
        raise IssuerRefusal("CONFIG_INVALID", file=f"{file} + {PREFIX}*", fault=str(fault)) from fault
    check(config, file)
    return config


def _set(told: dict[str, Any], name: str, text: str) -> None:
    key = name.removeprefix(PREFIX).lower()
    fields = {field.name: field for field in msgspec.structs.fields(Config)}
    if key in fields and not _is_section(fields[key].type):
        told[key] = text
        return
    kind: Any = Config
    while True:
        section, _, rest = key.partition("_")
        inner = {field.name: field.type for field in msgspec.structs.fields(kind)}
        if not _is_section(inner.get(section)):
            break
        kind, key, told = inner[section], rest, told.setdefault(section, {})
    if kind is Config or key not in inner:
        raise IssuerRefusal("CONFIG_VARIABLE", name=name)
    is_list = isinstance(getattr(kind(), key), tuple)
    told[key] = [one.strip() for one in text.split(",") if one.strip()] if is_list else text


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, _Section)
