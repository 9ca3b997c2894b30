"""Issuing many passes anew at once, as when a seal key is revoked in an emergency."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from issuer import lifecycle
from issuer.carriers import carriers_of
from issuer.database import reading, writing
from issuer.issue import Progress, usable_carriers
from issuer.lifecycle import Actor
from issuer.production import Production, carrier_maker
from issuer.sealing import sealer_for
from issuer.workspace import Workspace
from keys.errors import Refusal


def _quiet(_done: int, _total: int) -> None:
    return


def reissue_all(
    workspace: Workspace,
    passes: Sequence[tuple[str, str]],
    out: Path,
    actor: Actor,
    progress: Progress = _quiet,
) -> int:
    """Give each of ``passes`` (type, number) a new seal and make its carriers in ``out``.

    Serials and tokens stay, so that installed passes are updated instead of cut off.

    Passes that may not be issued anew, such as those that ended meanwhile, are left out. Returns how many
    were. A run that was interrupted is finished by running it again for those that still have the old key.
    Raises IssuerRefusal NO_SIGNING_KEY, or KeyRefusal for a key or certificate that cannot be used, before
    anything has changed.
    """
    done = 0
    out.mkdir(parents=True, exist_ok=True)
    type_ids = sorted({one for one, _ in passes})
    with workspace.keys() as manager:
        for type_id in type_ids:
            with reading(workspace.engine) as session:
                sealer_for(session, workspace.tenant, workspace.pass_types[type_id], manager, actor.at)
                carriers, _ = usable_carriers(session, workspace.tenant, None)
            carrier_maker(workspace, manager, type_id, carriers, actor.at)
        for type_id in type_ids:
            numbers = [number for one, number in passes if one == type_id]
            pass_type = workspace.pass_types[type_id]
            with reading(workspace.engine) as session:
                sealer = sealer_for(session, workspace.tenant, pass_type, manager, actor.at)
                carriers, _ = usable_carriers(session, workspace.tenant, None)
            with Production(workspace, type_id, carriers, actor.at, out, len(numbers)) as production:
                for number in numbers:
                    try:
                        with writing(workspace.engine) as session:
                            content = lifecycle.reseal(
                                session, workspace.tenant, pass_type, number, seal_for=sealer, actor=actor
                            )
                    except Refusal:
                        continue
                    done += 1
                    production.add([(content, carriers_of(content.status, carriers))])
                    progress(done, len(passes))
                for _ in production.finish():
                    progress(done, len(passes))
    return done
