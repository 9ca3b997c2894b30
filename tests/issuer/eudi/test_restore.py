"""After the restore of a backup: what was issued since counts no longer, and nothing is given out twice."""

from __future__ import annotations

from sqlalchemy import delete, select

from issuer import reconciliation
from issuer.application import Application
from issuer.models_eudi import EudiCredentialRow, EudiStatusListRow
from tests.eudi_issuing_wallet import error_of
from tests.issuer.eudi.conftest import MakeWallet, card, offer_of
from tests.issuer.eudi.test_one_revocation import issued, more, status


def test_restore(application: Application, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application, uses_dpop=True)
    number = card(application)
    before = issued(wallet, application, number)
    since = more(wallet)
    offer = wallet.read_offer(offer_of(application, number).link)
    with application.writing() as session:
        # As if the backup had been made between the two.
        for uri, index in since:
            place = (
                EudiCredentialRow.list_number == int(uri.rpartition("/")[2]),
                EudiCredentialRow.list_index == index,
            )
            session.execute(delete(EudiCredentialRow).where(*place))
        reconciliation.reconcile(
            session, application.tenant, application.now(), "test", [], None, keep_credentials=True
        )
    # Those of before may have become invalid since, and no list that is left says so.
    assert [status(wallet, *one) for one in (*before, *since)] == [1, 1, 1, 1]
    assert error_of(wallet.redeem(offer)) == (400, "invalid_grant")
    assert error_of(wallet.refresh()) == (400, "invalid_grant")
    after = issued(wallet, application, number)
    assert {uri for uri, _ in after}.isdisjoint({uri for uri, _ in (*before, *since)})
    with application.reading() as session:
        assert max(one.number for one in session.scalars(select(EudiStatusListRow))) > 1000
