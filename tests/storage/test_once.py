from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from sterna.errors import IdempotencyKeyReused, RequestInProgress
from storage.once import Repeatable, Replay, Turn

REQUEST = Repeatable(tenant="local", route="POST /v1/jobs", key="k", fingerprint="f")


def test_one_of_many_tries_has_the_turn_and_the_rest_get_its_answer(desk, ledger):
    spec, barrier = desk.spec(), Barrier(8)

    def submit(_: int):
        barrier.wait()
        try:
            turn = ledger.take_turn(REQUEST, hold_s=60)
        except RequestInProgress:
            return "409"
        return turn if isinstance(turn, Replay) else ledger.submit(spec, turn=turn)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(submit, range(8)))
    (job,) = ledger.jobs().jobs
    again = ledger.take_turn(REQUEST, hold_s=60)
    assert (again.location, type(job).model_validate_json(again.body)) == (f"/v1/jobs/{job.id}", job)
    assert all(answer in ("409", job, again) for answer in answers)


@pytest.mark.parametrize("other", [{"tenant": "t2"}, {"route": "POST /v1/sweeps"}, {"key": "K"}])
def test_keys_of_other_tenants_and_routes_are_other_keys(desk, ledger, other):
    ledger.submit(desk.spec(), turn=ledger.take_turn(REQUEST, hold_s=60))
    assert isinstance(ledger.take_turn(replace(REQUEST, **other), hold_s=60), Turn)


def test_another_payload_under_the_same_key_is_refused_even_while_the_first_is_handled(desk, ledger):
    turn = ledger.take_turn(REQUEST, hold_s=60)
    other = replace(REQUEST, fingerprint="g")
    for _ in range(2):
        with pytest.raises(IdempotencyKeyReused):
            ledger.take_turn(other, hold_s=60)
        if isinstance(turn, Turn):
            ledger.submit(desk.spec(), turn=turn)
            turn = None


def test_a_turn_that_was_given_up_is_free_and_an_answer_stays(desk, ledger):
    refused = ledger.take_turn(REQUEST, hold_s=60)
    ledger.give_up_turn(refused)
    done = ledger.take_turn(replace(REQUEST, fingerprint="mended"), hold_s=60)
    ledger.submit(desk.spec(), turn=done)
    ledger.give_up_turn(done)
    assert isinstance(ledger.take_turn(done.request, hold_s=60), Replay)


def test_a_slow_holder_that_lost_its_turn_makes_nothing(desk, ledger):
    slow = ledger.take_turn(REQUEST, hold_s=-1)
    fast = ledger.take_turn(REQUEST, hold_s=60)
    job = ledger.submit(desk.spec(), turn=fast)
    with pytest.raises(RequestInProgress):
        ledger.submit(desk.spec(), turn=slow)
    assert [one.id for one in ledger.jobs().jobs] == [job.id]
    ledger.give_up_turn(slow)
    assert isinstance(ledger.take_turn(REQUEST, hold_s=60), Replay)


def test_keys_are_forgotten_after_their_time(desk, ledger):
    ledger.submit(desk.spec(), turn=ledger.take_turn(REQUEST, hold_s=60))
    ledger.forget_turns(older_than_s=60)
    assert isinstance(ledger.take_turn(REQUEST, hold_s=60), Replay)
    ledger.forget_turns(older_than_s=-1)
    assert isinstance(ledger.take_turn(REQUEST, hold_s=60), Turn)


def test_a_holder_that_says_that_it_lives_keeps_its_turn_and_no_others(ledger):
    slow = ledger.take_turn(REQUEST, hold_s=-1)
    ledger.keep_turn(slow, hold_s=60)
    with pytest.raises(RequestInProgress):
        ledger.take_turn(REQUEST, hold_s=60)
    ledger.keep_turn(slow, hold_s=-1)
    fast = ledger.take_turn(REQUEST, hold_s=-1)
    ledger.keep_turn(slow, hold_s=60)
    assert isinstance(ledger.take_turn(REQUEST, hold_s=60), Turn)
    ledger.keep_turn(fast, hold_s=60)  # another's by now
