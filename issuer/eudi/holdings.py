"""Whether a pass is in an EUDI Wallet, for those who count passes or print for whoever has none."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Exists, exists

from issuer.eudi import status_lists
from issuer.models import PassRow
from issuer.models_eudi import EudiCredentialRow


def is_in_eudi_wallet(tenant: str, at: datetime) -> Exists:
    """For a query over `PassRow`: a credential of the pass holds at ``at`` (aware), and none has taken its place."""
    return exists().where(
        EudiCredentialRow.tenant == tenant,
        EudiCredentialRow.type_id == PassRow.type_id,
        EudiCredentialRow.number == PassRow.number,
        EudiCredentialRow.superseded_at.is_(None),
        EudiCredentialRow.status_value != status_lists.INVALID,
        EudiCredentialRow.expires_at > at,
    )
