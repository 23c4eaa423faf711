"""Products of sorted rows with a stack of matrices, as mixtures of experts of transformers compute them.

Exported, they are `transformers.grouped_mm_fallback`, an operator that transformers registers and torch does not know.
It is computed here by what its documentation says, so that transformers need not be there. `aten._grouped_mm` is no
replacement: its rows must begin at multiples of 16 bytes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor


def grouped_mm(*, input: Tensor, weight: Tensor, offs: Tensor) -> Tensor:  # noqa: A002  the operator's own name
    """Multiply each group of rows with its own matrix.

    Args:
        input: rows, sorted by group, (S, K).
        weight: of each group, (G, K, N).
        offs: where each group ends, (G,), integers from 0 to S that do not fall.

    Returns:
        (S, N); rows behind the last group are 0.

    Raises:
        ValueError: the groups are not as said, or not as many as matrices.
    """
    if torch.compiler.is_exporting():
        return _chosen_of_all(input, weight, offs)
    ends = [0, *offs.tolist()]
    if ends != sorted(ends) or ends[-1] > len(input):
        raise ValueError(
            f"groups of rows end at {ends[1:][:20]}, which must not fall, nor exceed the {len(input)} rows"
        )
    parts = [input[start:end] @ matrix for (start, end), matrix in zip(pairwise(ends), weight, strict=True)]
    return torch.cat([*parts, input.new_zeros(len(input) - ends[-1], weight.shape[2])])


def _chosen_of_all(rows: Tensor, weight: Tensor, offs: Tensor) -> Tensor:
    """The same as one expression, G times as dear: what is exported cannot depend on where the groups end."""
    groups = torch.arange(weight.shape[0], device=rows.device)[:, None]
    group_of_row = (torch.arange(rows.shape[0], device=rows.device)[:, None] >= offs).sum(1)  # (S,), G behind the last
    return torch.where((group_of_row == groups)[..., None], rows @ weight, 0.0).sum(0)
