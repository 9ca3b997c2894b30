"""A device of the verifier's app as a browser is one: a key of P-256 that signs with either s, and what it sends."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from httpx import Response

from tests.issuer.publication.handheld import Http
from tests.service import SetClock

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
LINK = re.compile(r"#enrol=([A-Za-z0-9_-]{22})\.([0-9a-f]{16})\Z")


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def code_in(url: str) -> str:
    found = LINK.search(url)
    assert found is not None, url
    return found[1]


@dataclass
class AppDevice:
    """A device whose clock is ``clock``; ``high_s`` chooses which of the two signatures it makes."""

    clock: SetClock
    high_s: bool = False
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: str = ""

    @property
    def public_key(self) -> str:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return b64url(point)

    def sign(self, data: bytes) -> bytes:
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        if (s > ORDER // 2) != self.high_s:
            s = ORDER - s
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def enrolment(self, code: str) -> dict[str, str]:
        proof = self.sign(f"stadtpass-enrol\n{code}\n{self.public_key}".encode())
        return {"code": code, "public_key": self.public_key, "signature": b64url(proof)}

    def enrol(self, http: Http, code: str) -> Response:
        answer = http.post("/check/devices", json=self.enrolment(code))
        if answer.status_code == 201:
            self.id = answer.json()["device"]
        return answer

    def check_code(self, code: str) -> str:
        """What the device shows, computed by itself."""
        digest = hashlib.sha256(f"stadtpass-check\n{code}\n{self.public_key}".encode()).digest()
        digits = f"{int.from_bytes(digest[:8], 'big') % 10**6:06d}"
        return f"{digits[:3]} {digits[3:]}"

    def headers(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        nonce: str = "",
        created: int = 0,
        device: str = "",
    ) -> dict[str, str]:
        created = created or int(self.clock().timestamp())
        nonce = nonce or secrets.token_urlsafe(16)
        covered = '"@method" "@path"' + (' "content-digest"' if body else "")
        parameters = (
            f'({covered});created={created};nonce="{nonce}";keyid="{device or self.id}"'
            ';alg="ecdsa-p256-sha256";tag="stadtpass-device"'
        )
        digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        lines = [f'"@method": {method}', f'"@path": {path}']
        lines += [f'"content-digest": {digest}'] if body else []
        text = "\n".join([*lines, f'"@signature-params": {parameters}'])
        signature = base64.b64encode(self.sign(text.encode())).decode()
        made = {"Signature-Input": f"stadtpass={parameters}", "Signature": f"stadtpass=:{signature}:"}
        return made | ({"Content-Digest": digest} if body else {})

    def ask(self, http: Http, method: str, path: str, body: bytes = b"", **more: Any) -> Response:
        return http.request(method, path, content=body, headers=self.headers(method, path, body, **more))

    def state(self, http: Http) -> str:
        answer = self.ask(http, "GET", "/check/devices/self")
        return str(answer.json()["state"] if answer.status_code == 200 else answer.json()["code"])

    def lease(self, http: Http, **more: Any) -> Response:
        return self.ask(http, "POST", "/check/leases", **more)

    def plates(self, http: Http) -> int:
        return self.ask(http, "GET", "/lists/plates.cwt").status_code
