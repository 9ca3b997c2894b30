"""A stand-in for an EUDI Wallet that is asked for credentials: strict about OpenID4VP 1.0 and HAIP 1.0.

It speaks to the service over HTTP alone and believes nothing: every question is checked as the specifications say
before it is answered. Faults on demand: whatever it says can be said wrongly.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from httpx import Client, Response
from joserfc import jwe
from joserfc.jwk import ECKey

from keys import es256
from passes.sd_jwt import decoded, digest, encoded
from tests.eudi_wallet import Wallet as HolderKey
from verifier.credentials.mdoc import openid4vp_transcript

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TYPE = "application/oauth-authz-req+jwt"
SD_JWT, MDOC = "dc+sd-jwt", "mso_mdoc"
# OpenID4VP 1.0, 5.2 and 5.3: characters that need no escaping; 128 bits and more.
_RANDOM = re.compile(r"[A-Za-z0-9._~-]{22,}")
Path = Sequence[str | int]


class NotAnswered(Exception):
    """The wallet has nothing that would do."""


@dataclass
class Held:
    """A credential in the wallet, and the key that it is bound to."""

    format: str
    type: str
    text: str
    key: HolderKey


@dataclass
class Question:
    """A question that has been checked."""

    claims: dict[str, Any]
    query: dict[str, Any]
    encryption_key: dict[str, Any]

    @property
    def address(self) -> str:
        return str(self.claims["response_uri"])

    @property
    def client_id(self) -> str:
        return str(self.claims["client_id"])

    @property
    def transcript(self) -> bytes:
        thumbprint = decoded(ECKey.import_key(self.encryption_key).thumbprint())
        return openid4vp_transcript(self.client_id, str(self.claims["nonce"]), self.address, thumbprint)


@dataclass
class PresentingWallet:
    """One wallet on one phone, which trusts questions under ``root``."""

    client: Client
    now: Callable[[], datetime]
    root: x509.Certificate
    held: list[Held] = field(default_factory=list)

    # Reading the question.

    def read(self, link: str, *, post: bool = True) -> Question:
        """The question behind a link or code."""
        told = parsed_link(link)
        nonce = secrets.token_urlsafe(16)
        if post:
            headers = {**FORM, "Accept": TYPE}
            metadata = json.dumps({"vp_formats_supported": {SD_JWT: {}, MDOC: {}}})
            fields = {"wallet_nonce": nonce, "wallet_metadata": metadata}
            answer = self.client.post(told["request_uri"], data=fields, headers=headers)
        else:
            answer = self.client.get(told["request_uri"], headers={"Accept": TYPE})
        assert (answer.status_code, answer.headers["content-type"]) == (200, TYPE), answer.text
        assert answer.headers["cache-control"] == "no-store"
        claims = self._verified(answer.text, told["client_id"])
        assert claims.get("wallet_nonce") == (nonce if post else None)
        return self._checked(claims, urlsplit(told["request_uri"]).hostname)

    def _verified(self, text: str, client_id: str) -> dict[str, Any]:
        """HAIP 1.0, 5: signed with a certificate that is not self-signed, without the anchor, named by its hash."""
        head, body, signature = text.split(".")
        header, claims = json.loads(decoded(head)), json.loads(decoded(body))
        assert (header["alg"], header["typ"]) == ("ES256", "oauth-authz-req+jwt")
        chain = [x509.load_der_x509_certificate(base64.b64decode(one)) for one in header["x5c"]]
        assert self.root not in chain
        leaf = chain[0]
        assert leaf.subject != leaf.issuer
        for below, above in zip(chain, [*chain[1:], self.root], strict=True):
            below.verify_directly_issued_by(above)
        assert leaf.not_valid_before_utc <= self.now() <= leaf.not_valid_after_utc
        key = leaf.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        es256.verify(key, decoded(signature), f"{head}.{body}".encode())
        wanted = encoded(hashlib.sha256(leaf.public_bytes(Encoding.DER)).digest())
        assert claims["client_id"] == client_id == f"x509_hash:{wanted}"
        return dict(claims)

    def _checked(self, claims: dict[str, Any], host: str | None) -> Question:
        assert claims["aud"] == "https://self-issued.me/v2"
        assert (claims["response_type"], claims["response_mode"]) == ("vp_token", "direct_post.jwt")
        assert "redirect_uri" not in claims
        assert "scope" not in claims
        assert "transaction_data" not in claims
        assert claims["iat"] <= self.now().timestamp() < claims["exp"]
        for name in ("nonce", "state"):
            assert _RANDOM.fullmatch(claims[name])
        where = urlsplit(claims["response_uri"])
        assert (where.scheme, where.hostname) == ("https", host)
        metadata = claims["client_metadata"]
        assert set(metadata) == {"jwks", "encrypted_response_enc_values_supported", "vp_formats_supported"}
        assert set(metadata["encrypted_response_enc_values_supported"]) == {"A128GCM", "A256GCM"}
        formats = metadata["vp_formats_supported"]
        assert formats[SD_JWT] == {"sd-jwt_alg_values": ["ES256"], "kb-jwt_alg_values": ["ES256"]}
        assert formats[MDOC] == {"issuerauth_alg_values": [-7], "deviceauth_alg_values": [-7]}
        [key] = metadata["jwks"]["keys"]
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "enc", "ECDH-ES")
        assert key["kid"]
        assert "d" not in key
        check_dcql(claims["dcql_query"])
        return Question(claims, claims["dcql_query"], key)

    # Answering it.

    def chosen(self, question: Question) -> tuple[str, Held, list[Path]]:
        """The first query that something in the wallet would do for, and which claims of it are shown."""
        for query in question.query["credentials"]:
            types = query["meta"].get("vct_values") or [query["meta"]["doctype_value"]]
            for one in self.held:
                if one.format != query["format"] or one.type not in types:
                    continue
                by_id = {claim["id"]: claim["path"] for claim in query["claims"]}
                for names in query.get("claim_sets", [list(by_id)]):
                    paths = [by_id[name] for name in names]
                    if all(_has(one, path) for path in paths):
                        return query["id"], one, paths
        raise NotAnswered

    def presentation(
        self,
        question: Question,
        held: Held,
        paths: Iterable[Path],
        *,
        client_id: str | None = None,
        nonce: str | None = None,
        transcript: bytes | None = None,
        also: Iterable[Path] = (),
        change: Callable[[dict[str, Any]], None] | None = None,
        **binding: Any,
    ) -> str:
        """What shows ``paths`` of ``held``, bound to the question; the keywords say it otherwise."""
        wanted = [*paths, *also]
        held.key.at = self.now()
        if held.format == MDOC:
            over = transcript or question.transcript
            if client_id or nonce:
                told = {**question.claims}
                told |= {"client_id": client_id} if client_id else {}
                told |= {"nonce": nonce} if nonce else {}
                over = Question(told, question.query, question.encryption_key).transcript
            names = [str(path[-1]) for path in wanted]
            return encoded(held.key.show_mdoc(held.text, names, over, change))
        shown = selected(held.text, wanted)
        told_nonce = nonce or str(question.claims["nonce"])
        return held.key.show_sd_jwt(shown, None, client_id or question.client_id, told_nonce, **binding)

    def vp_token(self, question: Question, **faults: Any) -> dict[str, list[str]]:
        name, held, paths = self.chosen(question)
        return {name: [self.presentation(question, held, paths, **faults)]}

    def encrypted(
        self,
        question: Question,
        members: Mapping[str, Any],
        *,
        enc: str = "A256GCM",
        key: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> str:
        told = {"alg": "ECDH-ES", "enc": enc, "kid": question.encryption_key["kid"], **(header or {})}
        to = ECKey.import_key(dict(key or question.encryption_key))
        return jwe.encrypt_compact(told, json.dumps(members).encode(), to, algorithms=["ECDH-ES", enc, "DEF"])

    def send(self, question: Question, fields: Mapping[str, str]) -> Response:
        """The answer over the wire; what comes back is checked."""
        answer = self.client.post(question.address, data=dict(fields), headers=FORM)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"
        told = answer.json()
        if answer.status_code == 200:
            assert set(told) <= {"redirect_uri"}
        else:
            assert set(told) == {"error", "error_description"}
        return answer

    def answer(self, question: Question, **faults: Any) -> Response:
        """Show what is asked for."""
        members = {"vp_token": self.vp_token(question, **faults), "state": question.claims["state"]}
        return self.send(question, {"response": self.encrypted(question, members)})

    def decline(self, question: Question, error: str = "access_denied", *, encrypt: bool = False) -> Response:
        members = {"error": error, "state": str(question.claims["state"])}
        if encrypt:
            return self.send(question, {"response": self.encrypted(question, members)})
        return self.send(question, members)


def parsed_link(link: str) -> dict[str, str]:
    """The parameters of a link that opens wallets."""
    parts = urlsplit(link)
    assert parts.scheme == "openid4vp"
    told = parse_qs(parts.query, strict_parsing=True)
    assert set(told) == {"client_id", "request_uri", "request_uri_method"}
    assert told["request_uri_method"] == ["post"]
    return {name: values[0] for name, values in told.items()}


def check_dcql(query: Mapping[str, Any]) -> None:
    """OpenID4VP 1.0, 6."""
    assert set(query) <= {"credentials", "credential_sets"}
    ids = [one["id"] for one in query["credentials"]]
    assert ids
    assert len(set(ids)) == len(ids)
    for one in query["credentials"]:
        assert set(one) <= {"id", "format", "meta", "claims", "claim_sets"}
        assert re.fullmatch(r"[A-Za-z0-9_-]+", one["id"])
        assert one["format"] in (SD_JWT, MDOC)
        assert set(one["meta"]) == ({"vct_values"} if one["format"] == SD_JWT else {"doctype_value"})
        names = [claim["id"] for claim in one["claims"]]
        assert len(set(names)) == len(names)
        paths = [tuple(claim["path"]) for claim in one["claims"]]
        assert len(set(paths)) == len(paths)
        if one["format"] == MDOC:
            assert all(len(path) == 2 and claim["intent_to_retain"] is False
                       for path, claim in zip(paths, one["claims"], strict=True))  # fmt: skip
        for chosen in one.get("claim_sets", []):
            assert chosen
            assert set(chosen) <= set(names)
    for one in query.get("credential_sets", []):
        assert all(option and set(option) <= set(ids) for option in one["options"])


def selected(credential: str, paths: Iterable[Path]) -> str:
    """``credential`` with the disclosures that ``paths`` need and no more."""
    token, *disclosures = credential.rstrip("~").split("~")
    known = {digest(one): one for one in disclosures}
    payload = json.loads(decoded(token.split(".")[1]))
    used: list[str] = []
    for path in paths:
        _walk(payload, path, known, used)
    return "~".join([token, *dict.fromkeys(used), ""])


def tampered(credential: str) -> str:
    """``credential`` with one bit of its payload changed."""
    head, body, rest = credential.split(".", 2)
    data = bytearray(decoded(body))
    place = data.index(b'"nbf":') + 7
    data[place] ^= 1
    return f"{head}.{encoded(bytes(data))}.{rest}"


def mdoc_names(credential: str) -> Collection[tuple[str, str]]:
    issued = cbor2.loads(decoded(credential))
    return {
        (space, cbor2.loads(one.value)["elementIdentifier"])
        for space, items in issued["nameSpaces"].items()
        for one in items
    }


def _walk(payload: Any, path: Path, known: Mapping[str, str], used: list[str]) -> None:
    value = payload
    for step in path:
        value = _step(value, step, known, used)


def _step(value: Any, step: str | int, known: Mapping[str, str], used: list[str]) -> Any:
    if isinstance(step, int):
        element = value[step]
        if isinstance(element, dict) and set(element) == {"..."}:
            used.append(known[element["..."]])
            return json.loads(decoded(known[element["..."]]))[1]
        return element
    if step in value:
        return value[step]
    for one in value.get("_sd", []):
        if one in known:
            content = json.loads(decoded(known[one]))
            if content[1] == step:
                used.append(known[one])
                return content[2]
    raise KeyError(step)


def _has(held: Held, path: Path) -> bool:
    if held.format == MDOC:
        return tuple(path) in mdoc_names(held.text)
    try:
        selected(held.text, [path])
    except (KeyError, IndexError):
        return False
    return True
