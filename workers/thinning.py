"""Curves of a bounded number of points: a training of a million steps is told in about a thousand events.

The newest figures are shown all the same; what is left out is only not kept.
"""

from __future__ import annotations

from typing import Final

from api_schemas import ProgressPoint

POINTS: Final = 1000
"""About so many points of one attempt are kept, evenly over its steps."""


class Thinning:
    """Chooses the points of one attempt that are worth keeping."""

    def __init__(self) -> None:
        self._kept: ProgressPoint | None = None

    def keeps(self, point: ProgressPoint) -> bool:
        """Whether the point is to be kept: the first, the last, those with a metric, and one every so many steps."""
        kept, stride = self._kept, max(1, point.steps // POINTS)
        worth = (
            kept is None
            or point.step >= point.steps
            or point.metric is not None
            or not kept.step <= point.step < kept.step + stride
        )
        if worth:
            self._kept = point
        return worth
