"""ONNX, read by an importer of our own: mapped, never loaded whole, never with the stock library."""

from sterna.intake.onnx.model import Onnx

__all__ = ["Onnx"]
