"""The city's OpenID provider: its description, its keys, and a code exchanged for a verified ID token.

After OpenID Connect Core 1.0 (3.1.3.7), Discovery 1.0 and RFC 9207. Only signatures with RSA or elliptic curves
count, whatever the token's header says; every address that the description names must be https as the issuer's is.
"""

from __future__ import annotations

import hmac
import json
import logging
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from issuer.configuration import OidcConfig
from issuer.errors import IssuerRefusal
from keys.private_files import read_private

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "RS384", "ES384", "RS512", "ES512")
_KINDS: Final = ("RSA", "EC")
_LEEWAY_SECONDS: Final = 60
_KEPT_SECONDS: Final = 3600.0
# A provider that has changed its keys is asked again; a token with an invented key id must not do that each time.
_AGAIN_SECONDS: Final = 30.0
_SILENT_SECONDS: Final = 5.0
_LARGEST: Final = 256 * 1024
_LONGEST_TOKEN: Final = 16 * 1024
_LONGEST_SECRET: Final = 1000
_LONGEST_SUBJECT: Final = 255
_log = logging.getLogger("stadtpass.oidc")

Claims = Mapping[str, Any]


class _UnknownKey(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Description:
    """What of the provider's metadata is needed."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    basic: bool
    names_itself: bool


class Provider:
    """The provider of one city; keeps description and keys for an hour. Safe for several threads."""

    def __init__(self, config: OidcConfig, folder: Path) -> None:
        self.config = config
        self._folder = folder
        self._lock = threading.Lock()
        self._description: tuple[float, Description] | None = None
        self._keys: tuple[float, list[jwk.RSAKey | jwk.ECKey]] | None = None
        # When it was last found unreachable: threads that wait for it must not do so one after the other.
        self._silent_at = -_SILENT_SECONDS

    def description(self) -> Description:
        """The provider's metadata. Raises IssuerRefusal OIDC_UNREACHABLE, OIDC_REFUSED."""
        with self._lock:
            if self._description is None or time.monotonic() - self._description[0] > _KEPT_SECONDS:
                issuer = self.config.issuer
                told = self._ask("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
                if told.get("issuer") != issuer:
                    raise refused("description of another issuer")
                methods = told.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
                self._description = (
                    time.monotonic(),
                    Description(
                        self._endpoint(told, "authorization_endpoint"),
                        self._endpoint(told, "token_endpoint"),
                        self._endpoint(told, "jwks_uri"),
                        "client_secret_basic" in methods,
                        told.get("authorization_response_iss_parameter_supported") is True,
                    ),
                )
            return self._description[1]

    def exchange(self, code: str, verifier: str, redirect_uri: str) -> str:
        """The ID token for ``code``, not verified yet. Raises IssuerRefusal as `description`."""
        description = self.description()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        secret = self._secret()
        auth = None
        if not secret:
            form["client_id"] = self.config.client_id
        elif description.basic:
            # RFC 6749, 2.3.1: both are form-encoded first.
            auth = httpx.BasicAuth(quote(self.config.client_id, safe=""), quote(secret, safe=""))
        else:
            form |= {"client_id": self.config.client_id, "client_secret": secret}
        told = self._ask("POST", description.token_endpoint, form, auth)
        token = told.get("id_token")
        if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
            raise refused("no ID token")
        return token

    def verified(self, token: str, nonce: str, at: datetime) -> Claims:
        """The claims of an ID token that is for us, for this log-in and good at the aware time ``at``.

        Raises IssuerRefusal as `description`.
        """
        try:
            try:
                claims = jwt.decode(token, self._key_of, algorithms=ALGORITHMS).claims
            except _UnknownKey:
                self._forget_keys()
                claims = jwt.decode(token, self._key_of, algorithms=ALGORITHMS).claims
        except (JoseError, _UnknownKey, ValueError, TypeError, KeyError) as fault:
            raise refused(f"token: {type(fault).__name__}") from None
        if why := self._fault_of(claims, nonce, int(at.timestamp())):
            raise refused(why)
        return claims

    def _fault_of(self, claims: Claims, nonce: str, now: int) -> str | None:
        audiences = claims.get("aud")
        audiences = [audiences] if isinstance(audiences, str) else audiences
        if claims.get("iss") != self.config.issuer:
            return "token of another issuer"
        if not isinstance(audiences, list) or self.config.client_id not in audiences:
            return "token for another audience"
        party = claims.get("azp")
        if (party is None and len(audiences) > 1) or (party is not None and party != self.config.client_id):
            return "token for another party"
        times = [claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)]
        if not all(map(_is_time, times)):
            return "token without times"
        expires, issued, starts = map(float, times)
        if expires <= now - _LEEWAY_SECONDS:
            return "token expired"
        if max(issued, starts) > now + _LEEWAY_SECONDS:
            return "token of the future"
        told = claims.get("nonce")
        if not isinstance(told, str) or not hmac.compare_digest(told.encode(), nonce.encode()):
            return "token for another log-in"
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
            return "token without subject"
        wanted = set(self.config.required_amr)
        used = claims.get("amr")
        if wanted and not (isinstance(used, list) and wanted & {one for one in used if isinstance(one, str)}):
            return "log-in without the required method"
        return None

    def _key_of(self, signed: Any) -> jwk.RSAKey | jwk.ECKey:
        header = signed.headers()
        kid, algorithm = header.get("kid"), str(header.get("alg"))
        kind = "EC" if algorithm.startswith("ES") else "RSA"
        fitting = [key for key in self._loaded_keys() if key.key_type == kind]
        if kid is not None:
            fitting = [key for key in fitting if key.as_dict().get("kid") == kid]
        if len(fitting) != 1:
            raise _UnknownKey
        return fitting[0]

    def _loaded_keys(self) -> list[jwk.RSAKey | jwk.ECKey]:
        address = self.description().jwks_uri
        with self._lock:
            if self._keys is None or time.monotonic() - self._keys[0] > _KEPT_SECONDS:
                told = self._ask("GET", address).get("keys")
                self._keys = (time.monotonic(), _public_keys(told if isinstance(told, list) else []))
            return self._keys[1]

    def _forget_keys(self) -> None:
        with self._lock:
            if self._keys is not None and time.monotonic() - self._keys[0] > _AGAIN_SECONDS:
                self._keys = None

    def _secret(self) -> str:
        if not self.config.client_secret_file:
            return ""
        content = read_private(self._folder / self.config.client_secret_file, _LONGEST_SECRET)
        return content.decode().partition("\n")[0].strip()

    def _endpoint(self, told: Claims, name: str) -> str:
        address = told.get(name)
        scheme = urlsplit(self.config.issuer).scheme
        if not isinstance(address, str) or len(address) > 1000 or urlsplit(address).scheme != scheme:
            raise refused(f"description without {name}")
        return address

    def _ask(
        self,
        method: str,
        address: str,
        form: dict[str, str] | None = None,
        auth: httpx.BasicAuth | None = None,
    ) -> Claims:
        """A JSON object; bounded in size, and in time from the first byte to the last."""
        if time.monotonic() - self._silent_at < _SILENT_SECONDS:
            raise IssuerRefusal("OIDC_UNREACHABLE")
        patience = self.config.timeout_seconds
        end = time.monotonic() + patience
        body = b""
        try:
            verify = ssl.create_default_context(cafile=self.config.ca_file or None)
            with (
                httpx.Client(verify=verify, timeout=patience, trust_env=False) as client,
                client.stream(
                    method,
                    address,
                    data=form,
                    auth=auth or httpx.USE_CLIENT_DEFAULT,
                    headers={"Accept": "application/json", "User-Agent": "stadtpass"},
                ) as answer,
            ):
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _LARGEST:
                        raise refused("answer too long")
                    if time.monotonic() > end:
                        raise self._unreachable("slow")
                status = answer.status_code
        except (httpx.HTTPError, OSError) as fault:
            raise self._unreachable(type(fault).__name__) from fault
        if status >= 500:
            raise self._unreachable(f"status {status}")
        if status != 200:
            raise refused(f"status {status}")
        try:
            told = json.loads(body)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise refused("no JSON object")
        return told

    def _unreachable(self, fault: str) -> IssuerRefusal:
        self._silent_at = time.monotonic()
        _log.warning("provider unreachable", extra={"fault": fault})
        return IssuerRefusal("OIDC_UNREACHABLE")


def refused(why: str) -> IssuerRefusal:
    """The refusal of something the provider or the browser has sent; ``why`` is for the log and names nobody."""
    _log.warning("log-in by the provider refused", extra={"why": why})
    return IssuerRefusal("OIDC_REFUSED")


def _public_keys(told: list[Any]) -> list[jwk.RSAKey | jwk.ECKey]:
    """The keys that sign with RSA or curves; what is not understood is left out (RFC 7517, 5)."""
    found: list[jwk.RSAKey | jwk.ECKey] = []
    for one in told[:50]:
        if not isinstance(one, dict) or one.get("kty") not in _KINDS or one.get("use", "sig") != "sig":
            continue
        try:
            key = jwk.import_key(one)
        except (JoseError, ValueError, TypeError):
            continue
        if isinstance(key, (jwk.RSAKey, jwk.ECKey)):
            found.append(key)
    return found


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**53
