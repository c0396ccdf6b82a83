"""PyTorch for searchers: imported where it is used, and drawing from generators of a searcher's own."""

from __future__ import annotations

from typing import Any

from hwnasbench.errors import MissingExtra


def torch_of(searcher: str) -> Any:
    """Return the module.

    Raises
    ------
    MissingExtra
        When PyTorch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(f"{searcher} needs PyTorch: pip install 'hwnasbench[torch]'") from error
    return torch


def uniform(torch: Any, parameters: Any, spread: float, generator: Any) -> None:
    """Draw parameters anew, uniformly up to `spread` from 0."""
    with torch.no_grad():
        for parameter in parameters:
            parameter.uniform_(-spread, spread, generator=generator)
