"""Size, speed and latency of artifacts and of their ONNX exports."""
