import time

from sqlalchemy.exc import OperationalError

from workers import lease_keeper
from workers.lease_keeper import LeaseKeeper


class Answers:
    """A ledger that gives these answers, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked_at = []

    def renew(self, _lease, *, lease_s):
        assert lease_s > 0
        self.asked_at.append(time.monotonic())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_orders_arrive_and_the_lease_is_renewed_every_third(desk, eventually):
    lease = desk.claim(desk.submit())
    ledger = Answers("continue", "continue", "stop", "cancel")
    with LeaseKeeper(ledger, lease, lease_s=0.3) as keeper:
        assert keeper.order == "continue"
        eventually(lambda: keeper.order == "stop")
        eventually(lambda: keeper.order == "cancel")
    renewals = len(ledger.asked_at)
    gaps = [later - earlier for earlier, later in zip(ledger.asked_at, ledger.asked_at[1:], strict=False)]
    assert min(gaps) >= 0.09
    time.sleep(0.3)
    assert len(ledger.asked_at) == renewals, "it goes on after the block"


def test_a_lease_that_is_anothers_is_lost_for_good(desk, eventually):
    ledger = Answers(None, "continue")
    with LeaseKeeper(ledger, desk.claim(desk.submit()), lease_s=0.15) as keeper:
        eventually(lambda: keeper.order == "lost")
        time.sleep(0.2)
        assert keeper.order == "lost"
    assert len(ledger.asked_at) == 1


def test_a_ledger_that_is_away_for_less_than_the_lease_does_no_harm(desk, eventually, monkeypatch):
    monkeypatch.setattr(lease_keeper, "ORDER_DELAY_S", 0.1)
    away = OperationalError("select", {}, Exception("away"))
    ledger = Answers(away, away, "stop")
    with LeaseKeeper(ledger, desk.claim(desk.submit()), lease_s=60) as keeper:
        eventually(lambda: keeper.order == "stop")


def test_a_ledger_that_is_away_for_longer_loses_the_lease(desk, eventually):
    ledger = Answers(OperationalError("select", {}, Exception("away")))
    lease, began = desk.claim(desk.submit()), time.monotonic()
    with LeaseKeeper(ledger, lease, lease_s=0.3) as keeper:
        eventually(lambda: keeper.order == "lost")
    assert time.monotonic() - began > 0.3
