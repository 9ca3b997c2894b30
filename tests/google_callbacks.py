"""Signs callbacks as Google does, with keys of its own, and wrong in every way that a test asks for."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PROTOCOL = "ECv2SigningOnly"
SENDER = "GooglePayPasses"


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def spki(key: ec.EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def framed(*parts: str) -> bytes:
    made = b""
    for part in parts:
        data = part.encode("utf-8")
        made += struct.pack("<I", len(data)) + data
    return made


def millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


@dataclass
class CallbackSigner:
    """A root key and what it signs; every part of what is signed can be replaced."""

    root: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    intermediate: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    def published(self, until: datetime, **changes: Any) -> bytes:
        """The document with the root keys; Google publishes those of other protocols beside them."""
        own = {"keyValue": spki(self.root), "protocolVersion": PROTOCOL, "keyExpiration": str(millis(until))}
        other = {"keyValue": spki(new_key()), "protocolVersion": "ECv1"}
        return json.dumps({"keys": [other, own | changes]}).encode()

    def message(
        self,
        object_id: str,
        class_id: str,
        at: datetime,
        *,
        event: str = "save",
        nonce: str = "n-1",
        **more: Any,
    ) -> str:
        """The text that is signed; it holds for an hour from ``at``."""
        told = {
            "classId": class_id,
            "objectId": object_id,
            "eventType": event,
            "expTimeMillis": millis(at + timedelta(hours=1)),
            "count": 1,
            "nonce": nonce,
        }
        return json.dumps(told | more, ensure_ascii=False, separators=(",", ":"))

    def callback(
        self,
        message: str,
        issuer_id: str,
        at: datetime,
        *,
        sender: str = SENDER,
        protocol: str = PROTOCOL,
        said_protocol: str = PROTOCOL,
        key_until: datetime | None = None,
        frame: Any = framed,
    ) -> bytes:
        """The body of a callback: ``message`` signed for ``issuer_id``."""
        until = key_until or at + timedelta(days=7)
        signed_key = json.dumps({"keyValue": spki(self.intermediate), "keyExpiration": str(millis(until))})
        envelope = {
            "signature": _sign(self.intermediate, frame(sender, issuer_id, protocol, message)),
            "intermediateSigningKey": {
                "signedKey": signed_key,
                "signatures": [_sign(self.root, frame(sender, protocol, signed_key))],
            },
            "protocolVersion": said_protocol,
            "signedMessage": message,
        }
        return json.dumps(envelope).encode()


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> str:
    return base64.b64encode(key.sign(data, ec.ECDSA(SHA256()))).decode()
