"""Issuing a file of records: check, enter into the register, make the carriers on every core.

Rows enter the register in chunks, each one transaction; the carriers of a chunk are made while the next one
is entered. A run that was killed is finished by running it again: rows that are in the register already
are recognised, and whatever carrier of theirs is missing in the output folder is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from issuer import keyring
from issuer.carriers import ALL_CARRIERS, Carrier, Found, files_in, found_in
from issuer.database import reading, writing
from issuer.files import remove_leftovers
from issuer.importing.check_file import AcceptedRow, CheckedFile, check_rows
from issuer.importing.file_check import FileCheck, RowIndex
from issuer.importing.findings import FileRefused, Finding, Severity
from issuer.importing.rows import RowFile, read_rows
from issuer.production import Failure, Production, carrier_maker
from issuer.register import insert_passes, load_contents
from issuer.revocation_log import RevocationLog
from issuer.rules.sources.connected import connected_sources
from issuer.sealing import RegisterSealer, sealer_for
from issuer.status_allocation import chunks
from issuer.workspace import Workspace
from keys.lifecycle import Purpose
from passes.pass_types import PassType

_CHUNK = 250

Progress = Callable[[int, int], None]


def _quiet(_done: int, _total: int) -> None:
    return


@dataclass(slots=True)
class IssueResult:
    """What an issue run did: counts of rows and written passes, and every finding.

    ``unsealed`` is whether certificates were made as PDF without an electronic seal, for want of a key.
    """

    accepted: int = 0
    unchanged: int = 0
    refused: int = 0
    made: int = 0
    findings: list[Finding] = field(default_factory=list)
    fees_checked: bool = True
    carriers: tuple[Carrier, ...] = ()
    left_out: tuple[Carrier, ...] = ()
    unsealed: bool = False


def usable_carriers(
    session: Session, tenant: str, pass_type: PassType, wanted: Sequence[Carrier] | None
) -> tuple[tuple[Carrier, ...], tuple[Carrier, ...]]:
    """The carriers to make, and those left out because the city has no key for them.

    A type has only the carriers its file declares. Carriers asked for by name are never left out: making them then
    raises TYPE_CARRIER or NO_SIGNING_KEY.
    """
    if wanted is not None:
        return tuple(wanted), ()
    purposes = {Carrier.APPLE: Purpose.APPLE_PASS, Carrier.GOOGLE: Purpose.GOOGLE}
    left_out = tuple(
        carrier
        for carrier, purpose in purposes.items()
        if carrier.value in pass_type.carriers and not keyring.has_signing_key(session, tenant, purpose)
    )
    return tuple(
        one for one in ALL_CARRIERS if one.value in pass_type.carriers and one not in left_out
    ), left_out


@dataclass(frozen=True, slots=True)
class IssueRequest:
    """What to issue: a file of a pass type, into ``out``; ``carriers`` None for all the city has keys for."""

    type_id: str
    file: Path
    out: Path
    at: datetime
    actor: str
    encoding: str | None = None
    carriers: tuple[Carrier, ...] | None = None
    dry_run: bool = False


def issue(workspace: Workspace, request: IssueRequest, progress: Progress = _quiet) -> IssueResult:
    """Issue the records of a file.

    Refused rows never stop good ones; the same file again changes nothing but missing output files.
    Raises FileRefused where nothing of the file can be used, PassRefusal for an unknown type, IssuerRefusal
    for carriers without keys; each before anything has entered the register.
    """
    if request.dry_run:
        return _checked(workspace, request)
    tenant = workspace.tenant
    pass_type = workspace.pass_types[request.type_id]
    rows = read_rows(request.file, pass_type, request.encoding)
    with reading(workspace.engine) as session:
        carriers, left_out = usable_carriers(session, tenant, pass_type, request.carriers)
        residents = connected_sources(workspace.config.sources, workspace.folder).residents
        checked = check_rows(session, tenant, pass_type, rows, request.at, residents=residents)
    result = IssueResult(
        accepted=len(checked.accepted),
        unchanged=len(checked.unchanged),
        refused=checked.refused,
        findings=list(checked.findings),
        fees_checked=checked.fees_checked,
        carriers=carriers,
        left_out=left_out,
    )
    request.out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(request.out)
    with workspace.keys() as manager:
        # Made here once so that a missing key or an expired certificate stops the run before it begins.
        maker = carrier_maker(workspace, manager, request.type_id, carriers, request.at)
        result.unsealed = maker.leaves_unsealed
        with reading(workspace.engine) as session:
            sealer = sealer_for(session, tenant, pass_type, manager, request.at)
        run = _Run(workspace, request, pass_type, carriers, sealer, result, _rows_by_number(rows, pass_type))
        run.execute(checked, progress)
    return result


def _checked(workspace: Workspace, request: IssueRequest) -> IssueResult:
    """What a run would find; the file is gone through piece by piece, whatever its size."""
    tenant, pass_type = workspace.tenant, workspace.pass_types[request.type_id]
    with reading(workspace.engine) as session:
        carriers, left_out = usable_carriers(session, tenant, pass_type, request.carriers)
    result = IssueResult(carriers=carriers, left_out=left_out)
    try:
        file = request.file.open("rb")
    except OSError as fault:
        raise FileRefused("FILE_UNREADABLE", file=request.file) from fault
    with file, closing(RowIndex()) as index:
        check = FileCheck(
            lambda: reading(workspace.engine),
            tenant,
            pass_type,
            file,
            request.encoding,
            request.at,
            index,
            connected_sources(workspace.config.sources, workspace.folder).residents,
        )
        for rows in check.chunks():
            checked = check.check(rows)
            result.accepted += len(checked.accepted)
            result.unchanged += len(checked.unchanged)
            result.refused += checked.refused
            result.findings += checked.findings
            result.fees_checked = checked.fees_checked
    return result


def _rows_by_number(rows: RowFile, pass_type: PassType) -> dict[str, tuple[int, int]]:
    column = pass_type.spec.register.number_column
    return {row.values.get(column, ""): (row.row, row.line) for row in rows.rows}


@dataclass(slots=True)
class _Run:
    """One issue run under way."""

    workspace: Workspace
    request: IssueRequest
    pass_type: PassType
    carriers: tuple[Carrier, ...]
    sealer: RegisterSealer
    result: IssueResult
    places: dict[str, tuple[int, int]]

    def execute(self, checked: CheckedFile, progress: Progress) -> None:
        """Enter the accepted rows chunk by chunk and make the carriers of all, on every core."""
        total = len(checked.accepted) + len(checked.unchanged)
        present = files_in(self.request.out)
        with ExitStack() as stack:
            production = stack.enter_context(
                Production(self.workspace, self.pass_type.id, self.carriers, self.request.at,
                           self.request.out, total)
            )  # fmt: skip
            for chunk in chunks(checked.accepted, _CHUNK):
                self._enter(chunk)
                self._make(production, [row.number for row in chunk], present)
                progress(production.done, total)
            for numbers in chunks(checked.unchanged, _CHUNK):
                self._make(production, numbers, present)
                progress(production.done, total)
            for done in production.finish():
                progress(done, total)
        self.result.made = production.made
        self.result.findings.extend(self._finding(failure) for failure in production.failures)

    def _enter(self, rows: Sequence[AcceptedRow]) -> None:
        with writing(self.workspace.engine) as session:
            insert_passes(
                session,
                self.workspace.tenant,
                rows,
                self.sealer,
                at=self.request.at,
                actor=self.request.actor,
                log=RevocationLog(self.workspace.folder),
            )

    def _make(self, production: Production, numbers: Sequence[str], present: set[str]) -> None:
        """Have made what is missing of the passes: everything of new ones, of others what a kill has left out."""
        with reading(self.workspace.engine) as session:
            contents = list(load_contents(session, self.workspace.tenant, self.pass_type, numbers))
        for content in contents:
            if found_in(self.pass_type, content, self.request.out, present) is Found.ANOTHER_TYPE:
                self._overwritten(content.number)
        production.add_due(self.pass_type, contents, self.carriers, present)

    def _overwritten(self, number: str) -> None:
        row, line = self.places.get(number, (None, None))
        params = {"number": number, "folder": self.request.out}
        column = self.pass_type.spec.register.number_column
        self.result.findings.append(Finding(row, line, column, Severity.WARN, "FILE_OF_OTHER_TYPE", params))

    def _finding(self, failure: Failure) -> Finding:
        row, line = self.places.get(failure.number, (None, None))
        return Finding(
            row, line, failure.carrier, Severity.ERROR, failure.code, failure.params, failure.package
        )
