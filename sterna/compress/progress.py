"""What is heard of a training while it goes on, and what may be said to it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Literal

from api_schemas import ProgressPoint
from api_schemas.events import EventBody, PhaseChange
from sterna.compress.checkpoints import Course
from sterna.method import Order, Point

Control = Callable[[], Literal["continue", "stop", "cancel"]]
OnEvent = Callable[[EventBody], None]


class Reporter:
    """Turns steps into progress points, few enough to store, and asks what to do next.

    Args:
        on_event: hears of points and phases.
        control: whether to go on.
        metric: name of what the network is validated by.
        search_s: the search is told to stop after so many seconds; None: never.
        course: how the work went up to the checkpoint that it goes on from.
    """

    _interval_s = 0.25

    def __init__(
        self, on_event: OnEvent, control: Control, metric: str, search_s: float | None, course: Course | None = None
    ) -> None:
        self._on_event, self._control, self._metric = on_event, control, metric
        self._began = time.monotonic() - (0.0 if course is None else course.searched_s)
        self._search_ends = None if search_s is None else self._began + search_s
        self.out_of_time = course is not None and course.out_of_time
        self._phase = "search"
        self._last = 0.0

    @property
    def searched_s(self) -> float:
        """Seconds since the search began, in all attempts."""
        return time.monotonic() - self._began

    def __call__(self, point: Point) -> Order:
        """Tell of a step, where it is time to, and say how to go on."""
        if point.phase != self._phase:
            self._phase = point.phase
            self._on_event(PhaseChange(phase=point.phase))
        now = time.monotonic()
        metric = point.metric if point.metric is not None and math.isfinite(point.metric) else None
        if now - self._last >= self._interval_s or point.step == point.steps or metric is not None:
            self._last = now
            self._on_event(
                ProgressPoint(
                    step=point.step,
                    steps=point.steps,
                    loss=point.loss,
                    sparsity=point.sparsity,
                    alpha=point.alpha,
                    lambda_=point.strength,
                    metric=metric,
                    metric_name=None if metric is None else self._metric,
                )
            )
        order = self._control()
        if (
            order == "continue"
            and point.phase == "search"
            and self._search_ends is not None
            and now > self._search_ends
        ):
            self.out_of_time = True
            return "stop"
        return order
