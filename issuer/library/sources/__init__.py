"""The library's own system: who a card number belongs to and how their account stands.

It is the authority; the register only keeps what passes need. `source_of` gives the system that the operator has
connected under ``[library]``, by PAIA or SIP2; both are asked in the same way.
"""

from issuer.library.sources.connected import ask, source_of
from issuer.library.sources.patron import (
    Patron,
    PatronSource,
    PatronStanding,
    PatronUnknown,
    SourceMisbehaves,
    SourceUnavailable,
)

__all__ = [
    "Patron",
    "PatronSource",
    "PatronStanding",
    "PatronUnknown",
    "SourceMisbehaves",
    "SourceUnavailable",
    "ask",
    "source_of",
]
