"""Whom the city believes about wallets: the certificates in ``eudi.wallet_providers``, read once and kept."""

from __future__ import annotations

from issuer.application import Application
from issuer.eudi.certificates import Anchors, read_anchors


def wallet_providers(application: Application) -> Anchors:
    """The trust anchors of wallet providers; none where the operator has named none.

    They are read again when the service is started anew. Raises IssuerRefusal FILE_FAULT.
    """
    files = application.config.eudi.wallet_providers
    made: Anchors = application.kept(
        ("eudi-wallet-providers", files), lambda: read_anchors(application.workspace.folder, files)
    )
    return made
