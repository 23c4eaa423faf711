"""The client of a Sterna service: send a model, wait, fetch the artifact. httpx and pydantic, never torch.

with Client("http://127.0.0.1:8000") as client:
    job = client.submit(Path("model.pt2"), Path("data.npz"), {"target_sparsity": 0.7})
    job = client.wait(job.id, timeout_s=3600)
    client.download(job.id, "model.sterna", Path("model.sterna"))
"""

from sterna.client.client import Client
from sterna.client.problems import job_error

__all__ = ["Client", "job_error"]
