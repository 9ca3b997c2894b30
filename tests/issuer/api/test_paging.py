"""Pages by key: nothing repeats and nothing is hidden while rows come and go, and cursors cannot be made up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from issuer.api.paging import page_of
from issuer.application import Application
from issuer.models import PassRow
from issuer.models_access import JobRow
from issuer.web.problems import ProblemRefusal


def job(application: Application, number: int, minutes: int) -> JobRow:
    return JobRow(
        tenant=application.tenant,
        id=f"{number:032x}",
        kind="k",
        actor="a",
        state="done",
        params={},
        report={},
        created_at=application.now() + timedelta(minutes=minutes, microseconds=number),
    )


def page(application: Application, session: Session, cursor: str | None, name: str = "jobs", **more: object):
    return page_of(
        application,
        session,
        select(JobRow).where(JobRow.tenant == application.tenant),
        (JobRow.created_at, JobRow.id),
        name=name,
        limit=7,
        cursor=cursor,
        **more,
    )


@pytest.mark.parametrize("descending", [False, True])
def test_a_walk_while_rows_come_and_go(application: Application, descending: bool) -> None:
    with application.writing() as session:
        # Many share their minute: the id decides among them.
        session.add_all(job(application, number, number // 10) for number in range(40))
    seen, cursor, round_number = [], None, 0
    while True:
        with application.writing() as session:
            found = page(application, session, cursor, descending=descending)
            seen += [int(one.id, 16) for one in found.items]
            cursor = found.next
            round_number += 1
            # One at either end of the list, and the one just seen goes.
            session.add_all(
                [job(application, 1000 + round_number, -9), job(application, 2000 + round_number, 99)]
            )
            session.execute(delete(JobRow).where(JobRow.id == found.items[-1].id))
        if cursor is None or round_number > 20:
            break
    old = [one for one in seen if one < 1000]
    assert old == sorted(range(40), reverse=descending)
    assert len(seen) == len(set(seen))


def test_pages_are_full_and_the_last_one_says_so(application: Application) -> None:
    with application.writing() as session:
        session.add_all(job(application, number, 0) for number in range(14))
    with application.reading() as session:
        first = page(application, session, None)
        second = page(application, session, first.next)
        assert (len(first.items), len(second.items), second.next) == (7, 7, None)


def test_text_keys_in_the_order_of_the_database(application: Application) -> None:
    query = select(PassRow).where(PassRow.tenant == application.tenant)
    with application.reading() as session:
        everything = {one.number for one in session.scalars(query)}
        seen: list[str] = []
        cursor = None
        while True:
            found = page_of(
                application,
                session,
                query,
                (PassRow.type_id, PassRow.number),
                name="p",
                limit=9,
                cursor=cursor,
            )
            seen += [one.number for one in found.items]
            cursor = found.next
            if cursor is None:
                break
    assert len(seen) == len(everything)
    assert set(seen) == everything


def test_cursors_that_do_not_hold(application: Application, neighbour: Application) -> None:
    with application.writing() as session:
        session.add_all(job(application, number, 0) for number in range(14))
    with application.reading() as session:
        cursor = page(application, session, None).next
        assert cursor is not None
        # Of the last character some bits may count for nothing; of the one before all do.
        swapped = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
        for wrong in ("", "x", "%%%", cursor[:-4], swapped, "A" + cursor[1:], "x" * 601, "ä"):
            with pytest.raises(ProblemRefusal, match="CURSOR_INVALID"):
                page(application, session, wrong)
        # A cursor is of one list with one filter, in one city.
        with pytest.raises(ProblemRefusal, match="CURSOR_INVALID"):
            page(application, session, cursor, name="jobs?state=done")
    with neighbour.reading() as session, pytest.raises(ProblemRefusal, match="CURSOR_INVALID"):
        page(neighbour, session, cursor)
