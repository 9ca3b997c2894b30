"""Issuing many passes anew at once, as when a seal key is revoked in an emergency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from issuer import lifecycle
from issuer.application import Application
from issuer.carriers import Carrier, carriers_of, files_in, files_of
from issuer.database import reading, writing
from issuer.delivery import mail
from issuer.issue import Progress, usable_carriers
from issuer.lifecycle import Actor
from issuer.production import Failure, Production, carrier_maker
from issuer.register import load_contents
from issuer.sealing import sealer_for
from issuer.service_secret import service_secret
from issuer.workspace import Workspace
from keys.errors import Refusal


@dataclass(frozen=True, slots=True)
class Reissued:
    """What came of a run: how many passes have a new seal, and (number, refusal) of those left out."""

    count: int
    left_out: tuple[tuple[str, Refusal], ...]
    failures: tuple[Failure, ...]


def reissue_all(
    workspace: Workspace, passes: Sequence[tuple[str, str]], out: Path, actor: Actor, progress: Progress
) -> Reissued:
    """Give each of ``passes`` (type, number) a new seal and make its carriers in ``out``.

    Holders with a mail address are told to print again. Serials and tokens stay, so that installed passes are
    updated instead of cut off. A run that was
    interrupted is finished by running it again for those that still have the old seal, and `complete_files`
    for the others. Raises IssuerRefusal NO_SIGNING_KEY, or KeyRefusal for a key or certificate that cannot be
    used, before anything has changed.
    """
    count = 0
    left_out: list[tuple[str, Refusal]] = []
    failures: list[Failure] = []
    out.mkdir(parents=True, exist_ok=True)
    with workspace.keys() as manager:
        application = Application(workspace, manager, service_secret(workspace.folder), lambda: actor.at)
        with reading(workspace.engine) as session:
            carriers = {
                type_id: usable_carriers(session, workspace.tenant, workspace.pass_types[type_id], None)[0]
                for type_id in {one for one, _ in passes}
            }
            sealers = {
                type_id: sealer_for(
                    session, workspace.tenant, workspace.pass_types[type_id], manager, actor.at
                )
                for type_id in sorted({one for one, _ in passes})
            }
        for type_id in sealers:
            # Made only to refuse before the first pass is touched; the processes make their own.
            carrier_maker(workspace, manager, type_id, carriers[type_id], actor.at)
        for type_id, sealer in sealers.items():
            numbers = [number for one, number in passes if one == type_id]
            pass_type = workspace.pass_types[type_id]
            with Production(workspace, type_id, carriers[type_id], actor.at, out, len(numbers)) as production:
                for number in numbers:
                    try:
                        with writing(workspace.engine) as session:
                            content = lifecycle.reseal(
                                session, workspace.tenant, pass_type, number, seal_for=sealer, actor=actor
                            )
                            # Without an address the office posts the PDF made here.
                            mail.queue_mail(session, application, mail.RESEALED, type_id, number, {})
                    except Refusal as refusal:
                        left_out.append((number, refusal))
                        continue
                    count += 1
                    production.add([(content, carriers_of(content.status, carriers[type_id]))])
                    progress(count, len(passes))
                for _ in production.finish():
                    progress(count, len(passes))
            failures += production.failures
    return Reissued(count, tuple(left_out), tuple(failures))


def complete_files(workspace: Workspace, passes: Sequence[tuple[str, str]], out: Path, at: datetime) -> int:
    """Make what ``out`` lacks, or has of an older revision, of ``passes`` (type, number); says how many.

    A folder that holds nothing of any of them is not the one they were issued into, and stays as it is.
    """
    present = files_in(out) if out.is_dir() else set()
    if not any(files_of(number, Carrier.SEAL)[0] in present for _, number in passes):
        return 0
    made = 0
    for type_id in sorted({one for one, _ in passes}):
        numbers = [number for one, number in passes if one == type_id]
        pass_type = workspace.pass_types[type_id]
        with reading(workspace.engine) as session:
            wanted, _ = usable_carriers(session, workspace.tenant, pass_type, None)
            contents = list(load_contents(session, workspace.tenant, pass_type, numbers))
        with Production(workspace, type_id, wanted, at, out, len(numbers)) as production:
            production.add_due(pass_type, contents, wanted, present)
            for _ in production.finish():
                pass
            made += production.made
    return made
