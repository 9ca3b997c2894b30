"""How fast EUDI credentials and their status lists are made, against the bare ES256 signature in the same run.

``python -m bench.eudi`` prints one table, for one core. A credential is one signature and the digests of its claims;
the limit is what the key store signs in Python, with OpenSSL's own figure beside it.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from bench.eudi_endpoint import measured, signatures
from bench.seal import openssl, rate
from passes.credential_frame import StatusReference
from passes.credential_status import StatusListFrame, pack, sign_cwt, sign_jwt
from passes.credentials import Binding, CredentialFactory
from passes.eudi_spec import CredentialFormat
from passes.model import PassContent
from passes.status_list import Status
from tests.eudi_wallet import AT, Issuer, Wallet
from tests.passes.carrier_samples import builtin, city
from tests.passes.credential_samples import LIST_URI, SAMPLES
from tests.verifier.credentials.asked import (
    AUDIENCE,
    NONCE,
    TRANSCRIPT,
    check_bytes,
    check_text,
    lists,
)

_BATCH = 100
_FORMS: tuple[CredentialFormat, ...] = ("dc+sd-jwt", "mso_mdoc")


def run() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        issuer, wallet = Issuer.new(Path(folder)), Wallet()
        message = b"x" * 1500
        openssl_signs, openssl_verifies = openssl()
        signs = rate(lambda _: issuer.identity.signer.sign(message), 4000)
        _line("openssl speed: sign", openssl_signs)
        _line("ES256 by the key store (the limit)", signs)
        keys = [ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(_BATCH)]
        bound = [Binding(key, StatusReference(LIST_URI, place)) for place, key in enumerate(keys)]
        for type_id, content in SAMPLES.items():
            factory = CredentialFactory(builtin(type_id), city(), issuer.identity)
            for form in _FORMS:
                made = _batches(factory, form, content, bound)
                _line(f"{form} {type_id}", made, made / signs)
        print("  through the credential endpoint, for a second of processor time:")
        limit = signatures(issuer.identity.signer)
        _line("  ES256 by the key store (the limit)", limit)
        for name, made in measured():
            _line(f"  {name}", made, made / limit)
        entries = [(place, Status.INVALID) for place in range(0, 1 << 20, 100)]
        now = int(AT.timestamp())
        frame = StatusListFrame(LIST_URI, now, 3600, now + 86_400)
        packed = pack(entries)
        _line("status list of 2^20, packed", rate(lambda _: pack(entries), 3))
        _line("  signed as JWT", rate(lambda _: sign_jwt(issuer.identity, frame, packed), 200))
        _line("  signed as CWT", rate(lambda _: sign_cwt(issuer.identity, frame, packed), 200))
        print(f"  JWT {len(sign_jwt(issuer.identity, frame, packed)):,} characters, "
              f"CWT {len(sign_cwt(issuer.identity, frame, packed)):,} bytes")  # fmt: skip
        _checking(issuer, wallet, openssl_verifies)


def _batches(
    factory: CredentialFactory,
    form: CredentialFormat,
    content: PassContent,
    bound: list[Binding],
) -> float:
    week = timedelta(days=7)
    return _BATCH * rate(lambda _: factory.issue(form, content, bound, AT, lifetime=week), 5)


def _checking(issuer: Issuer, wallet: Wallet, openssl_verifies: float) -> None:
    """Presentations: three signatures each (issuer, certificate, wallet), and the status list's two more."""
    factory = CredentialFactory(builtin("library-card"), city(), issuer.identity)
    bound = [Binding(wallet.public_key, StatusReference(LIST_URI, 5))]
    [text] = factory.issue("dc+sd-jwt", SAMPLES["library-card"], bound, AT)
    [mdoc] = factory.issue("mso_mdoc", SAMPLES["library-card"], bound, AT)
    shown = wallet.show_sd_jwt(text, None, AUDIENCE, NONCE)
    response = wallet.show_mdoc(mdoc, None, TRANSCRIPT)
    told = lists(issuer, cwt=True)
    for name, work in (
        ("SD-JWT VC with key binding checked", lambda _: check_text(issuer, shown)),
        ("mdoc DeviceResponse checked", lambda _: check_bytes(issuer, response)),
        ("  with a status list of 2^20", lambda _: check_bytes(issuer, response, status=told)),
    ):
        checks = rate(work, 100)
        _line(name, checks, checks / (openssl_verifies / 3))


def _line(name: str, per_second: float, share: float | None = None) -> None:
    line = f"{name:44s} {per_second:10,.0f} /s"
    print(line if share is None else f"{line}   {share:6.1%} of the limit")


if __name__ == "__main__":
    run()
