"""Which table holds personal data, for what, and for how long; and which hold none.

Every table of the register stands in one of the two. A new table that stands in neither fails a test: whoever adds
one says here what it is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from issuer.configuration import RetentionConfig


class Activity(StrEnum):
    """A processing activity; its texts are RECORD_<NAME>, _PURPOSE, _BASIS and _PEOPLE of the catalogues."""

    PASSES = "passes"
    RESIDENCE = "residence"
    MEMBERS = "members"
    CASES = "cases"
    PAYMENTS = "payments"
    PICKUP = "pickup"
    WALLETS = "wallets"
    APPLE = "apple"
    GOOGLE = "google"
    EUDI = "eudi"
    PRESENTATIONS = "presentations"
    CHECKS = "checks"
    INTERFACES = "interfaces"
    STAFF = "staff"
    AUDIT = "audit"
    FEEDBACK = "feedback"


# Periods that are no setting; each is a text RECORD_PERIOD_<NAME>.
EXPIRES: Final = "expires"
DAY: Final = "day"
KEPT: Final = "kept"
ACCOUNT: Final = "account"
DEVICE: Final = "device"
MEMBER: Final = "member"
LISTS: Final = "lists"
FIXED: Final = (EXPIRES, DAY, KEPT, ACCOUNT, DEVICE, MEMBER, LISTS)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a table is for, and its period: a setting of ``[retention]``, or one of `FIXED`."""

    activity: Activity
    period: str

    def __post_init__(self) -> None:
        if self.period not in (*FIXED, *RetentionConfig.__struct_fields__):
            raise ValueError(f"no period {self.period}")


PERSONAL: Final[Mapping[str, Stored]] = {
    "holders": Stored(Activity.PASSES, "passes_after_end"),
    "passes": Stored(Activity.PASSES, "passes_after_end"),
    "revisions": Stored(Activity.PASSES, "passes_after_end"),
    "pass_terms": Stored(Activity.PASSES, "passes_after_end"),
    "library_holds": Stored(Activity.MEMBERS, MEMBER),
    "library_members": Stored(Activity.MEMBERS, MEMBER),
    "replaced_cards": Stored(Activity.MEMBERS, KEPT),
    "cases": Stored(Activity.CASES, "cases"),
    "case_applicants": Stored(Activity.CASES, "applicants"),
    "case_evidence": Stored(Activity.CASES, "evidence"),
    "case_letters": Stored(Activity.CASES, "applicants"),
    "case_links": Stored(Activity.CASES, EXPIRES),
    "case_visits": Stored(Activity.CASES, EXPIRES),
    "payments": Stored(Activity.PAYMENTS, "payments"),
    "payment_events": Stored(Activity.PAYMENTS, "payments"),
    "mails": Stored(Activity.PICKUP, "mails"),
    "letters": Stored(Activity.PICKUP, "mails"),
    "reminders": Stored(Activity.PICKUP, "passes_after_end"),
    "pickup_links": Stored(Activity.PICKUP, "logs"),
    "letter_codes": Stored(Activity.PICKUP, EXPIRES),
    "visits": Stored(Activity.PICKUP, EXPIRES),
    "rate_slots": Stored(Activity.PICKUP, EXPIRES),
    "wallet_passes": Stored(Activity.WALLETS, "passes_after_end"),
    "apple_devices": Stored(Activity.APPLE, "failing_devices"),
    "apple_registrations": Stored(Activity.APPLE, "passes_after_end"),
    "apple_logs": Stored(Activity.APPLE, "logs"),
    "google_messages": Stored(Activity.GOOGLE, "logs"),
    "google_nonces": Stored(Activity.GOOGLE, EXPIRES),
    "eudi_sessions": Stored(Activity.EUDI, EXPIRES),
    "eudi_requests": Stored(Activity.EUDI, EXPIRES),
    "eudi_tokens": Stored(Activity.EUDI, EXPIRES),
    "eudi_batches": Stored(Activity.EUDI, EXPIRES),
    "eudi_replays": Stored(Activity.EUDI, EXPIRES),
    "eudi_transaction_codes": Stored(Activity.EUDI, "passes_after_end"),
    "eudi_credentials": Stored(Activity.EUDI, LISTS),
    "eudi_presentations": Stored(Activity.PRESENTATIONS, EXPIRES),
    "published_lists": Stored(Activity.CHECKS, LISTS),
    "verifier_devices": Stored(Activity.CHECKS, DEVICE),
    "device_nonces": Stored(Activity.CHECKS, EXPIRES),
    "import_runs": Stored(Activity.PASSES, "imports"),
    "import_findings": Stored(Activity.PASSES, "jobs"),
    "import_passes": Stored(Activity.PASSES, DAY),
    "import_holders": Stored(Activity.PASSES, DAY),
    "print_runs": Stored(Activity.PICKUP, "print_runs"),
    "print_items": Stored(Activity.PICKUP, "print_runs"),
    "print_files": Stored(Activity.PICKUP, "print_files"),
    "jobs": Stored(Activity.INTERFACES, "jobs"),
    "job_findings": Stored(Activity.INTERFACES, "jobs"),
    "webhook_deliveries": Stored(Activity.INTERFACES, "webhook_deliveries"),
    "idempotency_keys": Stored(Activity.INTERFACES, DAY),
    "staff_accounts": Stored(Activity.STAFF, ACCOUNT),
    "staff_links": Stored(Activity.STAFF, EXPIRES),
    "staff_sessions": Stored(Activity.STAFF, EXPIRES),
    "case_accesses": Stored(Activity.AUDIT, "accesses"),
    "audit_entries": Stored(Activity.AUDIT, KEPT),
    "accessibility_feedback": Stored(Activity.FEEDBACK, "feedback"),
}

# Tables that a further activity has rows in, and how long those are kept.
SHARED: Final[Mapping[Activity, Mapping[str, str]]] = {
    Activity.RESIDENCE: dict.fromkeys(("holders", "passes", "revisions"), "certificates")
}

# Rules, keys, counters and the service's own state: nothing in them is about a person.
IMPERSONAL: Final = frozenset(
    {
        "access_tokens",
        "api_clients",
        "audit_heads",
        "eudi_status_lists",
        "fees",
        "membership_fees",
        "nightly_runs",
        "open_data_counts",
        "open_data_months",
        "publications",
        "rule_changes",
        "sequences",
        "settings",
        "signing_keys",
        "status_lists",
        "street_entries",
        "tenants",
        "webhook_endpoints",
        "withdrawn_places",
        "workers",
        "zones",
    }
)
