import hmac

import pytest

from passes.rotating import is_fresh, pass_key, split, totp
from passes.seal import MalformedSeal

EPOCH = bytes(range(32))
AT = 1_790_000_000


@pytest.mark.parametrize(
    ("at", "digits"),
    [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
     (2000000000, "69279037"), (20000000000, "65353130")],
)  # fmt: skip
def test_digits_are_those_of_rfc_6238(at: int, digits: str) -> None:
    assert totp(b"12345678901234567890", at) == digits


def test_each_pass_has_its_own_key() -> None:
    key = pass_key(EPOCH, "BP-1")
    assert key == hmac.new(EPOCH, b"BP-1", "sha256").digest()[:20]
    assert key != pass_key(EPOCH, "BP-2")
    assert key != pass_key(EPOCH[:-1], "BP-1")


def code(shown_at: int = AT, digits: str | None = None) -> str:
    return f"SP1R:{shown_at}:{digits or totp(pass_key(EPOCH, 'BP-1'), shown_at)}:ABC:D"


def test_parts() -> None:
    found = split(code())
    assert (found.shown_at, found.token) == (AT, "ABC:D")


@pytest.mark.parametrize(
    "text",
    ["SP1R:", "SP1R:1:1:A", "SP1R:1:12345678:", "SP1R:x:12345678:A", "SP1R:-1:12345678:A", "SP1R:01:12345678:A",
     "SP1R:1:1234567８:A", "SP1R: 1:12345678:A", "SP1R:100000000000:12345678:A", "SP1R:1:12345678:" + "A" * 10_000],
)  # fmt: skip
def test_refuses_other_forms(text: str) -> None:
    with pytest.raises(MalformedSeal):
        split(text)


@pytest.mark.parametrize(
    ("late", "fresh"), [(0, True), (150, True), (151, False), (-120, True), (-121, False), (86400, False)]
)
def test_fresh_is_now_give_or_take_the_tolerance(late: int, fresh: bool) -> None:
    assert is_fresh(split(code()), EPOCH, "BP-1", AT + late, 120) is fresh


def test_digits_of_another_pass_time_or_epoch_are_not_fresh() -> None:
    assert not is_fresh(split(code()), EPOCH, "BP-2", AT, 120)
    assert not is_fresh(split(code()), b"other", "BP-1", AT, 120)
    yesterday = totp(pass_key(EPOCH, "BP-1"), AT - 86400)
    assert not is_fresh(split(code(digits=yesterday)), EPOCH, "BP-1", AT, 120)
