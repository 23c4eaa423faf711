"""Strangers' files become checked graphs, weights and data. No torch, and nothing in a file is ever executed."""

from sterna.intake.data import Data, read_data
from sterna.intake.formats import Format, sniff_format
from sterna.intake.inspection import Checked, ModelInspection, inspect_model, preflight, read_checked
from sterna.intake.limits import DEFAULT_LIMITS, Limits
from sterna.intake.model import network_bytes, read_model

__all__ = [
    "DEFAULT_LIMITS",
    "Checked",
    "Data",
    "Format",
    "Limits",
    "ModelInspection",
    "inspect_model",
    "network_bytes",
    "preflight",
    "read_checked",
    "read_data",
    "read_model",
    "sniff_format",
]
