from service.rates import Rates


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_requests_may_come_at_once_and_come_back_evenly():
    clock = Clock()
    rates = Rates(60, clock=clock)
    taken = [rates.take("a") for _ in range(61)]
    assert [one.granted for one in taken] == [True] * 60 + [False]
    assert [one.remaining for one in taken[:3]] == [59, 58, 57]
    assert taken[-1].reset_s == 1.0
    assert rates.take("b").granted
    clock.now += 2.5
    assert [rates.take("a").granted for _ in range(3)] == [True, True, False]
    clock.now += 3600
    assert [rates.take("a").granted for _ in range(61)].count(True) == 60


def test_the_headers_are_structured_fields():
    headers = Rates(600).take("a").headers()
    assert headers == {"RateLimit-Policy": '"requests";q=600;w=60', "RateLimit": '"requests";r=599;t=1'}
