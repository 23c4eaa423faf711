"""Ternary weights with exactly the zeros asked for: WDR, the α controller, the run. Pure torch on any module."""

from sterna.method.batches import Batch, Rows, Samples
from sterna.method.config import Order, Point, TernariseConfig, TernaryLayer
from sterna.method.evaluation import agreement, evaluate
from sterna.method.layers import find_ternary_layers
from sterna.method.normalisation import least_values_per_channel
from sterna.method.objective import Objective, classification, distillation, regression
from sterna.method.run_state import RunState
from sterna.method.synthesis import match_statistics
from sterna.method.ternarise import Task, Ternarised, Validation, ternarise

__all__ = [
    "Batch",
    "Objective",
    "Order",
    "Point",
    "Rows",
    "RunState",
    "Samples",
    "Task",
    "TernariseConfig",
    "Ternarised",
    "TernaryLayer",
    "Validation",
    "agreement",
    "classification",
    "distillation",
    "evaluate",
    "find_ternary_layers",
    "least_values_per_channel",
    "match_statistics",
    "regression",
    "ternarise",
]
