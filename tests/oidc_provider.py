"""A strict stand-in for a city's OpenID provider, with faults on demand; it runs in a thread on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwk, jwt

from tests.service import SetClock

CLIENT, SECRET = "stadtpass", "geheim:mit%Zeichen"


@dataclass
class OidcProvider:
    """``fault`` changes one thing about the next answers; ``person`` is who logs in."""

    clock: SetClock
    person: dict[str, Any] = field(
        default_factory=lambda: {
            "sub": "4711",
            "name": "Erika Muster",
            "email": "erika@musterstadt.example",
            "groups": ["ordnungsamt"],
            "amr": ["pwd", "mfa"],
        }
    )
    fault: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rotate()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._send(*provider.get(urlsplit(self.path).path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self._send(*provider.token(body, self.headers.get("authorization", "")))

            def _send(self, status: int, body: Any) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://localhost:{self._server.server_port}/stadt"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def rotate(self) -> None:
        """New keys; tokens are signed with them from now on."""
        self.key = jwk.RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})

    def get(self, path: str) -> tuple[int, Any]:
        self.asked.append(path)
        if self.fault == "slow":
            time.sleep(1.5)
        if self.fault == "down":
            return 503, {}
        if path == "/stadt/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer if self.fault != "other description" else "http://localhost/other",
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_response_iss_parameter_supported": True,
            }
        if path == "/stadt/keys":
            return 200, {"keys": [self.key.as_dict(private=False), {"kty": "new", "kid": "x"}]}
        return 404, {}

    def authorize(self, address: str) -> str:
        """What the browser does there: log in, and come back with the query that is returned."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        assert len(asked["state"]) >= 43
        assert len(asked["nonce"]) >= 43
        if self.fault == "denied":
            return urlencode({"error": "access_denied", "state": asked["state"], "iss": self.issuer})
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        state = asked["state"] if self.fault != "state" else "x" * 43
        answer = {"code": code, "state": state, "iss": self.issuer}
        if self.fault == "mix-up":
            answer["iss"] = "https://evil.example"
        if self.fault == "no iss":
            del answer["iss"]
        return urlencode(answer)

    def token(self, body: str, authorization: str) -> tuple[int, Any]:
        form = {name: values[0] for name, values in parse_qs(body).items()}
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            (unquote(name), unquote(secret)) != (CLIENT, SECRET)
            or form["grant_type"] != "authorization_code"
            or asked is None
            or asked["redirect_uri"] != form["redirect_uri"]
            or asked["code_challenge"] != challenge
        ):
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])}

    def id_token(self, nonce: str) -> str:
        now = int(self.now().timestamp())
        claims: dict[str, Any] = {
            **self.person, "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce
        }  # fmt: skip
        changes: dict[str, dict[str, Any]] = {
            "nonce": {"nonce": "x" * 43},
            "no nonce": {"nonce": None},
            "expired": {"iat": now - 1000, "exp": now - 61},
            "no expiry": {"exp": None},
            "future": {"iat": now + 61},
            "audience": {"aud": "other"},
            "audiences": {"aud": [CLIENT, "other"]},
            "party": {"azp": "other"},
            "issuer": {"iss": "https://evil.example"},
            "no subject": {"sub": ""},
            "password only": {"amr": ["pwd"]},
        }
        claims |= changes.get(self.fault, {})
        header = {"alg": "RS256", "kid": self.key.kid}
        if self.fault == "none":
            return f"{_part({'alg': 'none'})}.{_part(claims)}."
        if self.fault == "hmac":
            # The public key as a shared secret: the oldest trick.
            signed = f"{_part({'alg': 'HS256', 'kid': self.key.kid})}.{_part(claims)}"
            tag = hmac.digest(self.key.as_pem(private=False), signed.encode(), "sha256")
            return f"{signed}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"
        if self.fault == "foreign key":
            other = jwk.RSAKey.generate_key(2048)
            return jwt.encode(header, claims, other)
        if self.fault == "unknown key":
            return jwt.encode({"alg": "RS256", "kid": "nobody"}, claims, self.key)
        return jwt.encode(header, claims, self.key)

    def now(self) -> datetime:
        return self.clock()


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
