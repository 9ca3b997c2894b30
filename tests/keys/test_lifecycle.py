from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from keys.errors import KeyRefusal
from keys.identity import kid_of, spki_der
from keys.lifecycle import (
    KeyRecord,
    KeyState,
    Purpose,
    activate,
    pending_key,
    published,
    require_signing,
    require_verifying,
    retire,
    revoke,
)
from keys.uri import KeyUri

PUBLIC_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
END = datetime(2027, 6, 30, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)

PENDING = pending_key(
    tenant="musterstadt",
    purpose=Purpose.SEAL,
    uri=KeyUri.file("seal-1"),
    kid=kid_of(PUBLIC_KEY),
    spki=spki_der(PUBLIC_KEY),
    not_before=START,
    not_after=END,
    pass_types=("resident-parking-permit",),
)
PUBLISHED = published(PENDING, NOW - HOUR)
ACTIVE = activate(PUBLISHED, NOW)
RETIRED = retire(ACTIVE, NOW)
REVOKED = revoke(ACTIVE, NOW)

Step = Callable[[KeyRecord, datetime], KeyRecord]


def test_a_key_lives_its_life() -> None:
    assert [record.state for record in (PENDING, ACTIVE, RETIRED, revoke(RETIRED, NOW))] == [
        KeyState.PENDING,
        KeyState.ACTIVE,
        KeyState.RETIRED,
        KeyState.REVOKED,
    ]
    gone = revoke(retire(ACTIVE, NOW + HOUR), NOW + 2 * HOUR)
    assert (gone.published_at, gone.activated_at, gone.retired_at, gone.revoked_at) == (
        NOW - HOUR,
        NOW,
        NOW + HOUR,
        NOW + 2 * HOUR,
    )
    assert spki_der(gone.public_key()) == spki_der(PUBLIC_KEY)


@pytest.mark.parametrize(
    ("record", "step", "code"),
    [
        (PENDING, activate, "KEY_NOT_PUBLISHED"),
        (published(PENDING, NOW + HOUR), activate, "KEY_NOT_PUBLISHED"),
        (ACTIVE, activate, "KEY_ALREADY_ACTIVE"),
        (RETIRED, activate, "KEY_NEVER_AGAIN"),
        (REVOKED, activate, "KEY_REVOKED_FOR_GOOD"),
        (RETIRED, retire, "KEY_ALREADY_RETIRED"),
        (REVOKED, retire, "KEY_REVOKED_FOR_GOOD"),
        (REVOKED, revoke, "KEY_REVOKED_FOR_GOOD"),
    ],
)
def test_forbidden_steps_are_refused(record: KeyRecord, step: Step, code: str) -> None:
    with pytest.raises(KeyRefusal) as refusal:
        step(record, NOW)
    assert refusal.value.code == code
    assert record.kid.hex() in refusal.value.sentence("de")
    assert record.kid.hex() in refusal.value.sentence("en")


def test_initial_lifts_publication_and_nothing_else() -> None:
    assert activate(PENDING, NOW, initial=True).state is KeyState.ACTIVE
    for record in (ACTIVE, RETIRED, REVOKED):
        with pytest.raises(KeyRefusal):
            activate(record, NOW, initial=True)
    with pytest.raises(KeyRefusal, match="KEY_EXPIRED"):
        activate(PENDING, END, initial=True)


def test_devices_get_the_time_they_need() -> None:
    with pytest.raises(KeyRefusal) as refusal:
        activate(PUBLISHED, NOW, wait=timedelta(days=1))
    assert refusal.value.code == "KEY_PUBLISHED_RECENTLY"
    # published at 10:00 UTC on 20 November, shown in Berlin's time
    assert "21.11.2026, 11:00 Uhr" in refusal.value.sentence("de")
    assert activate(PUBLISHED, NOW, wait=HOUR).activated_at == NOW


def test_only_the_first_publication_counts() -> None:
    assert published(PUBLISHED, NOW).published_at == NOW - HOUR
    assert published(REVOKED, NOW) == REVOKED


@pytest.mark.parametrize(
    ("record", "signs", "verifies"),
    [
        (PUBLISHED, "KEY_PENDING", None),
        (ACTIVE, None, None),
        (RETIRED, "KEY_NEVER_AGAIN", None),
        (REVOKED, "KEY_REVOKED_FOR_GOOD", "KEY_REVOKED_FOR_GOOD"),
        (revoke(RETIRED, NOW), "KEY_REVOKED_FOR_GOOD", "KEY_REVOKED_FOR_GOOD"),
    ],
)
def test_what_each_state_may_do(record: KeyRecord, signs: str | None, verifies: str | None) -> None:
    for check, code in ((require_signing, signs), (require_verifying, verifies)):
        if code is None:
            check(record, NOW)
        else:
            with pytest.raises(KeyRefusal, match=code):
                check(record, NOW)


@pytest.mark.parametrize("check", [require_signing, require_verifying])
def test_the_period_ends_with_its_end(check: Callable[[KeyRecord, datetime], None]) -> None:
    second = timedelta(seconds=1)
    check(ACTIVE, START)
    check(ACTIVE, END - second)
    with pytest.raises(KeyRefusal, match="KEY_NOT_YET_VALID"):
        check(ACTIVE, START - second)
    with pytest.raises(KeyRefusal) as refusal:
        check(ACTIVE, END)
    assert "01.07.2027, 00:30 Uhr" in refusal.value.sentence("de")
    assert "2027-07-01 00:30" in refusal.value.sentence("en")


@pytest.mark.parametrize(
    "change",
    [
        {"kid": bytes(8)},
        {"spki": b""},
        {"not_after": START},
        {"not_before": datetime(2026, 1, 1)},  # noqa: DTZ001 - the point of the case
        {"state": KeyState.ACTIVE},
        {"state": KeyState.RETIRED},
        {"state": KeyState.REVOKED},
        {"revoked_at": NOW},
        {"activated_at": NOW},
    ],
    ids=str,
)
def test_a_record_that_contradicts_itself_is_a_fault(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"kid|public half|period|zone|state"):
        replace(PENDING, **change)  # type: ignore[arg-type]


def test_symmetric_keys_have_no_public_half() -> None:
    epoch = replace(PENDING, purpose=Purpose.GOOGLE, spki=b"", kid=b"8 random")
    assert activate(epoch, NOW, initial=True).state is KeyState.ACTIVE
    with pytest.raises(KeyRefusal, match="KEY_SPKI"):
        epoch.public_key()
