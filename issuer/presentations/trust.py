"""Whose credentials the city believes: the certificates in ``[eudi.trusted]`` by kind of credential, read once.

Each kind has anchors of its own and is checked against no other: a certificate that counts for library cards vouches
for nobody's identity.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from issuer import keyring
from issuer.application import Application
from issuer.eudi.certificates import read_anchors
from issuer.presentations.wishes import Credential
from keys.identity import kid_of_spki
from keys.lifecycle import KeyState, Purpose
from verifier.credentials.chain import TrustAnchors
from verifier.credentials.outcome import PresentationRefused, Presented, StatusVerdict

_SETTING: Final = {
    Credential.PID: "pid",
    Credential.RESIDENCE_CERTIFICATE: "residence",
    Credential.LIBRARY_CARD: "library",
}


def trusted_kinds(application: Application) -> frozenset[Credential]:
    """The kinds of credentials that the operator has named an authority for."""
    return frozenset(one for one in Credential if _files(application, one))


def anchors_of(application: Application, credential: Credential) -> TrustAnchors:
    """The trust anchors of a kind in `trusted_kinds`; they are read again when the service is started anew.

    Raises IssuerRefusal FILE_FAULT, ValueError for files without any certificate.
    """
    files = _files(application, credential)
    made: TrustAnchors = application.kept(
        ("eudi-trusted", credential, files),
        lambda: TrustAnchors(read_anchors(application.workspace.folder, files)),
    )
    return made


def check_own(application: Application, presented: Presented) -> None:
    """Check what was signed by a document signer of the city itself against what the register knows of that key.

    Certificates are not asked for their revocation, so a stolen key would go on counting here; and every credential
    of ours names its place in a list, so that one without has not come from here. Raises PresentationRefused
    PRESENTATION_REVOKED, PRESENTATION_STATUS_UNKNOWN.
    """
    key = presented.certificate.public_key()
    kid = kid_of_spki(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    with application.reading() as session:
        known = keyring.records(session, application.tenant, Purpose.EUDI)
    signer = next((one for one in known if one.kid == kid), None)
    if signer is None:
        return
    if signer.state is KeyState.REVOKED:
        raise PresentationRefused("PRESENTATION_REVOKED")
    if presented.status is StatusVerdict.NONE:
        raise PresentationRefused("PRESENTATION_STATUS_UNKNOWN", fault="no status list")


def _files(application: Application, credential: Credential) -> tuple[str, ...]:
    files: tuple[str, ...] = getattr(application.config.eudi.trusted, _SETTING[credential])
    return files
