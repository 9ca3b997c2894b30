"""What an API client may do; each operation asks for one scope, files of a pass for a second."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """The scopes, as they stand in tokens and in the description of the interface."""

    PASSES_READ = "passes:read"
    PASSES_WRITE = "passes:write"
    PASSES_REVOKE = "passes:revoke"
    # Beside passes:read: names and addresses in answers and prints, and searching by name.
    HOLDERS_READ = "holders:read"
    # Names, birth dates and addresses of the register of residents, in a certificate that it confirms.
    RESIDENCE_WRITE = "residence:write"
    JOBS_WRITE = "jobs:write"
    CHECKS_READ = "checks:read"
    # More than yes or no: numbers, periods and changes of the permits behind a plate.
    STATEMENTS_READ = "statements:read"
    WEBHOOKS_WRITE = "webhooks:write"
    DEVICES_WRITE = "devices:write"


DESCRIPTIONS: Final[dict[Scope, str]] = {
    Scope.PASSES_READ: "Look at passes, their history and their QR codes",
    Scope.PASSES_WRITE: "Issue, change and reissue passes, and fetch them for Apple Wallet",
    Scope.PASSES_REVOKE: "Revoke, suspend and resume passes",
    Scope.HOLDERS_READ: "See names and addresses of holders, also in prints, and search by name",
    Scope.RESIDENCE_WRITE: "Issue certificates of residence; beside another scope, act on them",
    Scope.JOBS_WRITE: "Start, watch and cancel bulk jobs",
    Scope.CHECKS_READ: "Ask whether a plate has a permit",
    Scope.STATEMENTS_READ: "Get signed statements about a plate at a past moment",
    Scope.WEBHOOKS_WRITE: "Set up webhooks and see their deliveries",
    Scope.DEVICES_WRITE: "Enrol and lock the devices of wardens and librarians",
}
