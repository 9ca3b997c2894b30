"""Which pass types say who somebody is. They are never wallet passes, and only few may see what they say."""

from __future__ import annotations

from collections.abc import Iterable

from passes.pass_types import PassType


def names_person(pass_type: PassType) -> bool:
    """Whether passes of the type say who their holder is, such as a certificate of residence."""
    return pass_type.spec.person is not None


def certificate_ids(pass_types: Iterable[PassType]) -> list[str]:
    """The ids of the types that say who somebody is, in the order of ``pass_types``."""
    return [one.id for one in pass_types if names_person(one)]
