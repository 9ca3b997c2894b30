"""Whose credentials the city believes: the certificates in ``[eudi.trusted]`` by kind of credential, read once.

Each kind has anchors of its own and is checked against no other: a certificate that counts for library cards vouches
for nobody's identity.
"""

from __future__ import annotations

from typing import Final

from issuer.application import Application
from issuer.eudi.certificates import read_anchors
from issuer.presentations.wishes import Credential
from verifier.credentials.chain import TrustAnchors

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


def _files(application: Application, credential: Credential) -> tuple[str, ...]:
    files: tuple[str, ...] = getattr(application.config.eudi.trusted, _SETTING[credential])
    return files
