"""The technical measures, each as it really is here: in force, or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.nightly import chain, reports, retention


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure by its text RECORD_MEASURE_<code>; where it is not in force, RECORD_MEASURE_<code>_OFF says so."""

    code: str
    is_on: bool
    params: dict[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The code of its sentence."""
        return f"RECORD_MEASURE_{self.code}" + ("" if self.is_on else "_OFF")


def measures(session: Session, application: Application) -> Iterator[Measure]:
    """All measures that this installation can tell of itself."""
    config, settings = application.config, application.settings(session)
    root = application.config.root_keys.removeprefix("file:")
    checked = chain.last_check(session, application.tenant)
    deleted = next(
        (
            one
            for one in reports.newest(session, application.tenant, 60)
            if one.name == retention.NAME and one.finished_at is not None
        ),
        None,
    )
    yield Measure("REAL", not settings.test)
    yield Measure("TLS", urlsplit(settings.base_url).scheme == "https")
    yield Measure("HSM" if config.keys.startswith("pkcs11:") else "KEYSTORE", is_on=True)
    yield Measure("ROOT_AWAY", not (application.workspace.folder / root).exists())
    yield Measure("EVIDENCE", is_on=True)
    yield Measure("ROLES", is_on=True)
    yield Measure("FACTOR", not config.oidc.issuer or bool(config.oidc.required_amr))
    yield Measure("SESSIONS", is_on=True, params={"minutes": config.staff.idle_minutes})
    yield Measure("ACCESS_LOG", is_on=True, params={"days": config.retention.accesses})
    yield Measure("FOUR_EYES", is_on=True)
    yield Measure("CHAIN", checked is not None and checked.broken_at is None)
    yield Measure(
        "DELETION", deleted is not None, {"day": deleted.day.isoformat()} if deleted is not None else {}
    )
    yield Measure("LIMITS", config.service.requests_per_minute > 0)
    yield Measure("LOGS", config.service.log_level != "debug")
    yield Measure("LEASES", is_on=True, params={"hours": config.devices.lease_hours})
    yield Measure("MAIL", not config.mail.host or config.mail.security != "none")
    yield Measure("OUTSIDE", is_on=False)
