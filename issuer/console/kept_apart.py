"""Passes that the permit office does not see: librarians have library cards, registrars certificates of residence.

Who borrows is nobody's business outside the library, and an address is for nobody who does not need it (§ 51 BMG).
"""

from __future__ import annotations

from issuer.application import Application
from issuer.console.library.shared import library_types
from issuer.residence.certificates import certificate_ids


def kept_apart(application: Application) -> frozenset[str]:
    """The ids of the pass types that have no page among the office's passes."""
    return frozenset(one.id for one in library_types(application)) | frozenset(
        certificate_ids(application.pass_types)
    )
