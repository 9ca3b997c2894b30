"""What wallets read before anything else: metadata of the credential issuer and of its authorization server.

The well-known names stand between host and path of the identifier (OpenID4VCI 1.0, 12.2.2; RFC 8414, 3.1). The
issuer's metadata come as JSON, or signed to those that ask for ``application/jwt`` first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Response, get
from litestar.params import FromPath
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.eudi import addresses, encryption, making
from issuer.eudi.errors import ALGORITHM, CORS, Refused
from issuer.eudi.identity import metadata_signer
from issuer.eudi.key_proofs import ATTESTATION, JWT
from issuer.eudi.making import Configuration
from issuer.eudi.requests import DETAILS_TYPE, application_of
from issuer.eudi.token_endpoint import GRANTS
from issuer.eudi.wallet_attestation import METHOD
from issuer.settings import Settings
from issuer.web.reader import AnyRequest
from keys.texts import LANGUAGES
from passes.errors import PassRefusal
from passes.sd_jwt import sign_jws
from passes.type_metadata import claims_of, type_metadata, vct_of

SIGNED_TYPE: Final = "openidvci-issuer-metadata+jwt"
_LOCALES: Final = {"de": "de-DE", "en": "en-GB"}
# COSE's number for ES256 (RFC 9053, 2.1).
_COSE_ES256: Final = -7
_FOR_A_WHILE: Final = "public, max-age=300"
_SHARED: Final = {"Cache-Control": _FOR_A_WHILE, "Vary": "Accept", **CORS}
_LONGEST_ACCEPT: Final = 500
_QUALITY: Final = re.compile(r"q=([01](?:\.[0-9]{0,3})?)")
# When wallets fetch new credentials.
_UNUSED_LEFT: Final = 3
_DAYS_LEFT: Final = 7
_DAY: Final = 24 * 3600


@get(addresses.ISSUER_METADATA, sync_to_thread=True)
def issuer_metadata(request: AnyRequest) -> Response[bytes]:
    """The issuer's metadata, where the identifier has no path."""
    return _issuer_answer(request, "")


@get(f"{addresses.ISSUER_METADATA}/{{path:path}}", sync_to_thread=True)
def issuer_metadata_below(request: AnyRequest, path: FromPath[str]) -> Response[bytes]:
    """The same, where it has one."""
    return _issuer_answer(request, path)


@get(addresses.SERVER_METADATA, sync_to_thread=True)
def server_metadata(request: AnyRequest) -> Response[bytes]:
    """The authorization server's metadata, where the identifier has no path."""
    return _server_answer(request, "")


@get(f"{addresses.SERVER_METADATA}/{{path:path}}", sync_to_thread=True)
def server_metadata_below(request: AnyRequest, path: FromPath[str]) -> Response[bytes]:
    """The same, where it has one."""
    return _server_answer(request, path)


@get("/vct/{path:path}", sync_to_thread=True)
def serve_type_metadata(request: AnyRequest, path: FromPath[str]) -> Response[bytes]:
    """The type metadata behind a ``vct`` (SD-JWT VC, 6.3.1): the bytes whose hash stands in the credentials."""
    application = application_of(request)
    with application.reading() as session:
        settings = application.settings(session)
    wanted = addresses.address(settings, f"/vct/{path.strip('/')}")
    for one in application.pass_types:
        try:
            found = type_metadata(one, settings.base_url)
        except PassRefusal:
            continue
        if found.vct == wanted:
            headers = {"Cache-Control": _FOR_A_WHILE, **CORS}
            return Response(found.document, media_type="application/json", headers=headers)
    raise Refused("not_found", "VCT", status=404, headers=CORS)


HANDLERS: Final = [
    issuer_metadata,
    issuer_metadata_below,
    server_metadata,
    server_metadata_below,
    serve_type_metadata,
]


def described_issuer(application: Application, settings: Settings) -> dict[str, Any]:
    """The members of the issuer's metadata (OpenID4VCI 1.0, 12.2.4)."""
    config = application.config.eudi
    ways = {"enc_values_supported": list(encryption.METHODS), "encryption_required": False}
    return {
        "credential_issuer": addresses.issuer_of(settings),
        "credential_endpoint": addresses.address(settings, addresses.CREDENTIAL),
        "nonce_endpoint": addresses.address(settings, addresses.NONCE),
        "deferred_credential_endpoint": addresses.address(settings, addresses.DEFERRED),
        "notification_endpoint": addresses.address(settings, addresses.NOTIFICATION),
        "credential_request_encryption": {"jwks": {"keys": encryption.request_jwks(application)}, **ways},
        "credential_response_encryption": {"alg_values_supported": [encryption.ALGORITHM], **ways},
        "batch_credential_issuance": {"batch_size": config.batch_size},
        "display": [{"name": settings.city_name, "locale": _LOCALES[language]} for language in LANGUAGES],
        "credential_configurations_supported": {
            name: _described(application, settings, one)
            for name, one in making.configurations(application).items()
        },
    }


def described_server(application: Application, settings: Settings) -> dict[str, Any]:
    """The members of the authorization server's metadata (RFC 8414, and what it was extended by)."""
    haip = application.config.eudi.haip
    return {
        "issuer": addresses.issuer_of(settings),
        # Some wallets refuse metadata without it even for pre-authorized codes.
        "authorization_endpoint": addresses.address(settings, addresses.AUTHORIZE),
        "token_endpoint": addresses.address(settings, addresses.TOKEN),
        "pushed_authorization_request_endpoint": addresses.address(settings, addresses.PUSHED),
        "require_pushed_authorization_requests": True,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANTS),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [METHOD] if haip else [METHOD, "none"],
        "client_attestation_signing_alg_values_supported": [ALGORITHM],
        "client_attestation_pop_signing_alg_values_supported": [ALGORITHM],
        "dpop_signing_alg_values_supported": [ALGORITHM],
        "authorization_response_iss_parameter_supported": True,
        "authorization_details_types_supported": [DETAILS_TYPE],
        "scopes_supported": list(making.configurations(application)),
        # The default is false, and wallets then do not even try.
        "pre-authorized_grant_anonymous_access_supported": not haip,
    }


def _issuer_answer(request: AnyRequest, path: str) -> Response[bytes]:
    application = application_of(request)
    with application.reading() as session:
        settings = application.settings(session)
        _check_path(settings, path)
        members = described_issuer(application, settings)
        if _wants_signed(request.headers.get("accept", "")):
            return Response(
                _signed(session, application, members).encode(),
                media_type=encryption.MEDIA_TYPE,
                headers=_SHARED,
            )
    return Response(msgspec.json.encode(members), media_type="application/json", headers=_SHARED)


def _server_answer(request: AnyRequest, path: str) -> Response[bytes]:
    application = application_of(request)
    with application.reading() as session:
        settings = application.settings(session)
    _check_path(settings, path)
    members = described_server(application, settings)
    return Response(msgspec.json.encode(members), media_type="application/json", headers=_SHARED)


def _check_path(settings: Settings, path: str) -> None:
    if path.rstrip("/") != addresses.path_of(settings):
        raise Refused("not_found", "OTHER_ISSUER", status=404, headers=CORS)


def _signed(session: Session, application: Application, members: Mapping[str, Any]) -> str:
    identity = metadata_signer(session, application)
    header = {"alg": ALGORITHM, "typ": SIGNED_TYPE, "x5c": identity.x5c}
    times = {"sub": members["credential_issuer"], "iat": int(application.now().timestamp())}
    return sign_jws(identity.signer, header, {**members, **times})


def _wants_signed(accepted: str) -> bool:
    """Whether ``application/jwt`` is preferred to JSON (RFC 9110, 12.5.1); what names neither gets JSON."""
    weights = {"application/jwt": 0.0, "application/json": 0.0}
    for part in accepted[:_LONGEST_ACCEPT].split(","):
        name, *parameters = (one.strip().lower() for one in part.split(";"))
        told = next((found for one in parameters if (found := _QUALITY.fullmatch(one))), None)
        if name in weights:
            weights[name] = float(told.group(1)) if told else 1.0
    return weights["application/jwt"] > weights["application/json"]


def _described(application: Application, settings: Settings, one: Configuration) -> dict[str, Any]:
    spec = one.pass_type.eudi
    is_mdoc = one.format == "mso_mdoc"
    kind = {"doctype": spec.doctype} if is_mdoc else {"vct": vct_of(one.pass_type, settings.base_url)}
    return {
        "format": one.format,
        **kind,
        "scope": one.id,
        "credential_signing_alg_values_supported": [_COSE_ES256 if is_mdoc else ALGORITHM],
        "cryptographic_binding_methods_supported": ["cose_key" if is_mdoc else "jwk"],
        "proof_types_supported": _proof_types(application),
        "credential_metadata": {
            "display": [_display(one, settings, language) for language in LANGUAGES],
            "claims": _elements(one) if is_mdoc else _claims(one),
            "credential_reuse_policy": _reuse_policy(application, spec.lifetime_days),
        },
    }


def _proof_types(application: Application) -> dict[str, Any]:
    config = application.config.eudi
    told: dict[str, Any] = {"proof_signing_alg_values_supported": [ALGORITHM]}
    if config.needs_key_attestations:
        # Where keys must be kept (ARF 3.0, ISSU_27d); without a word of the operator any attested key will do.
        storage = {"key_storage": list(config.key_storage)} if config.key_storage else {}
        told["key_attestations_required"] = storage
    # Without a trusted provider an attestation proves nothing.
    return {JWT: told, ATTESTATION: told} if config.wallet_providers else {JWT: told}


def _display(one: Configuration, settings: Settings, language: str) -> dict[str, Any]:
    words, colours = one.pass_type.words(language), one.pass_type.spec.colours
    logo = {}
    # PNG by https: several wallets refuse all of the metadata over an SVG in a data URI.
    if "logo.png" in one.pass_type.images and settings.base_url.startswith("https:"):
        uri = addresses.address(settings, f"/static/types/{one.type_id}/logo.png")
        logo = {"logo": {"uri": uri, "alt_text": words.name}}
    return {
        "name": words.name,
        "description": words.description,
        "locale": _LOCALES[language],
        "background_color": colours.background,
        "text_color": colours.foreground,
        **logo,
    }


def _claims(one: Configuration) -> list[dict[str, Any]]:
    told = claims_of(one.pass_type, one.pass_type.eudi)
    missing = {tuple(claim["path"]) for claim in told if not claim["mandatory"]}

    def is_always_there(path: list[str | None]) -> bool:
        # Part of what may be missing may be missing, though it is never missing from it (appendix B.2).
        return not any(tuple(path[:depth]) in missing for depth in range(1, len(path) + 1))

    return [
        {
            "path": claim["path"],
            "mandatory": is_always_there(claim["path"]),
            "display": [{"name": each["label"], "locale": each["locale"]} for each in claim["display"]],
        }
        for claim in told
    ]


def _elements(one: Configuration) -> list[dict[str, Any]]:
    return [
        {
            "path": [claim.namespace, claim.element],
            "mandatory": claim.mandatory,
            "display": [
                {"name": one.pass_type.words(language).eudi[claim.key], "locale": _LOCALES[language]}
                for language in LANGUAGES
            ],
        }
        for claim in one.pass_type.eudi.claims
        if claim.element is not None
    ]


def _reuse_policy(application: Application, lifetime_days: int) -> dict[str, Any]:
    """Each is shown once, and new ones are fetched in time (ARF 3.0, ISSU_38 to 40; ETSI TS 119 472-3)."""
    once = {
        "details": ["once_only"],
        "batch_size": application.config.eudi.batch_size,
        "reissue_trigger_unused": min(_UNUSED_LEFT, application.config.eudi.batch_size - 1),
    }
    # Of a short life at most the half: else a new credential would be one to renew.
    left = min(_DAYS_LEFT * _DAY, lifetime_days * _DAY // 2)
    limited = {"details": ["limited_time"], "reissue_trigger_lifetime_left": left}
    return {"id": "arf_annex_ii", "options": [once, limited]}
