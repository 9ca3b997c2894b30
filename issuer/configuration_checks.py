"""What must hold between the settings of ``stadtpass.toml``; each by itself is checked by its type."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final

from issuer.errors import IssuerRefusal

if TYPE_CHECKING:
    from issuer.configuration import Config, EudiConfig, GoogleConfig, LibraryConfig, ServiceConfig

# Without TLS only on this machine, for tests.
_ISSUER: Final = re.compile(
    r"(https://[A-Za-z0-9.-]{1,253}|http://(localhost|127\.0\.0\.1))(:[0-9]{1,5})?(/[A-Za-z0-9._~%/-]{0,200})?"
)
_REDIRECT: Final = re.compile(r"[a-z][a-z0-9+.-]{1,60}:[A-Za-z0-9._~:/%@-]{1,300}")
_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


def check(config: Config, file: Path) -> None:
    """Check ``config``, which was read from ``file``. Raises IssuerRefusal CONFIG_INVALID with what does not hold."""
    _check_google(config.google, file)
    _check_eudi(config.eudi, file)
    _check_networks(config.service, file)
    _check_oidc(config, file)
    _check_library(config.library, file)


def _check_networks(service: ServiceConfig, file: Path) -> None:
    for name in ("trusted_proxies", "metrics_networks"):
        for text in getattr(service, name):
            try:
                ip_network(text)
            except ValueError:
                fault = f"service.{name}: {text} is no network such as 10.0.0.0/8"
                raise IssuerRefusal("CONFIG_INVALID", file=file, fault=fault) from None


def _check_oidc(config: Config, file: Path) -> None:
    oidc, faults = config.oidc, []
    if oidc.issuer and not _ISSUER.fullmatch(oidc.issuer):
        faults.append("oidc.issuer: no address such as https://login.musterstadt.example/realms/stadt")
    if bool(oidc.issuer) != bool(oidc.client_id):
        faults.append("oidc: issuer and client_id belong together")
    if config.staff.local_accounts == "admins" and not oidc.issuer:
        faults.append("staff.local_accounts: without [oidc] nobody but administrators could log in")
    if faults:
        raise IssuerRefusal("CONFIG_INVALID", file=file, fault="; ".join(faults))


def _check_eudi(eudi: EudiConfig, file: Path) -> None:
    faults = []
    if eudi.haip and not eudi.wallet_providers:
        faults.append("eudi.haip: without wallet_providers no wallet could ever show an attestation")
    if eudi.key_storage and not eudi.wallet_providers:
        faults.append("eudi.key_storage: without wallet_providers nobody could say where keys are kept")
    if any(not _REDIRECT.fullmatch(one) for one in eudi.redirect_uris):
        faults.append(
            "eudi.redirect_uris: an address without query or fragment, such as https://wallet.example/cb"
        )
    if faults:
        raise IssuerRefusal("CONFIG_INVALID", file=file, fault="; ".join(faults))


def _check_library(library: LibraryConfig, file: Path) -> None:
    faults = []
    if library.source == "paia":
        if not library.url:
            faults.append("library.url: the address of PAIA core is missing")
        if bool(library.token_file) == bool(library.login_url):
            faults.append("library: either token_file or login_url, so that there is one way to a token")
        if library.login_url and not (library.user and library.password_file):
            faults.append("library: login_url needs user and password_file")
        if library.token_per_patron and not library.login_url:
            faults.append("library.token_per_patron: needs login_url")
    if library.source == "sip2":
        if not library.host:
            faults.append("library.host: the name of the machine is missing")
        if not library.tls and library.host not in _THIS_MACHINE and not library.allow_plain:
            faults.append("library.tls: without TLS only to this machine, or with allow_plain = true")
        if bool(library.user) != bool(library.password_file):
            faults.append("library: user and password_file belong together")
    if faults:
        raise IssuerRefusal("CONFIG_INVALID", file=file, fault="; ".join(faults))


def _check_google(google: GoogleConfig, file: Path) -> None:
    if google.api_url == type(google)().api_url and google.requests_per_second > 20:
        fault = "google.requests_per_second: Google allows 20"
        raise IssuerRefusal("CONFIG_INVALID", file=file, fault=fault)
