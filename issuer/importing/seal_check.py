"""Whether a row can be sealed at all: found out before anything of its file enters the register."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from issuer.importing.row_under_check import RowUnderCheck
from issuer.status_allocation import CAPACITY
from keys.errors import Refusal
from passes.model import Attribute, PassStatus
from passes.pass_types import PassType
from passes.periods import Period
from passes.seal import MalformedSeal, check_fits
from passes.sealing import seal_content

# The place in the status lists is drawn later; this one takes as many bytes as any.
_LIST: Final = 0xFFFF
_INDEX: Final = CAPACITY - 1


class SealCheck:
    """Checks rows of one pass type against the limits of a seal issued at the aware time ``at``."""

    def __init__(self, pass_type: PassType, at: datetime) -> None:
        self._type = pass_type
        self._at = at

    def fits(
        self, row: RowUnderCheck, period: Period, attributes: Mapping[str, Attribute], status: PassStatus
    ) -> bool:
        """Whether the seal of ``row`` can be written; a fault is reported at the column that causes it."""
        if status is PassStatus.PENDING_PAYMENT:
            return True
        refusal = self._refusal(row.number, period, attributes)
        if refusal is None:
            return True
        if isinstance(refusal, MalformedSeal):
            row.error(self._column(row.number, period, attributes), "SEAL_MALFORMED", text="SEAL_VALUE")
        else:
            row.refuse(self._type.spec.register.number_column, refusal)
        return False

    def _refusal(self, number: str, period: Period, attributes: Mapping[str, Attribute]) -> Refusal | None:
        try:
            check_fits(
                seal_content(
                    self._type,
                    number,
                    period,
                    attributes,
                    issued_at=self._at,
                    status_list=_LIST,
                    status_index=_INDEX,
                )
            )
        except Refusal as refusal:
            return refusal
        return None

    def _column(self, number: str, period: Period, attributes: Mapping[str, Attribute]) -> str:
        """The column of the one value that does not fit on its own; else that of the number."""
        register = self._type.spec.register
        faulty = {
            name
            for name, value in attributes.items()
            if self._refusal(number, period, {name: value}) is not None
        }
        columns = (spec.name for spec in register.columns if spec.attribute in faulty)
        return next(columns, register.number_column)
