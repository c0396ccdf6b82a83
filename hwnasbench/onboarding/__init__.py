"""Bring a new device in from a few measurements; see docs/onboarding.md.

Importing this loads nothing: NumPy and the learner come with the first call.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hwnasbench.onboarding.device import OnboardedDevice, onboard
    from hwnasbench.onboarding.proposal import propose
    from hwnasbench.onboarding.saved import load_device
    from hwnasbench.onboarding.similarity import device_similarity

__all__ = ["OnboardedDevice", "device_similarity", "load_device", "onboard", "propose"]
_HOMES = {
    "OnboardedDevice": "device",
    "onboard": "device",
    "propose": "proposal",
    "load_device": "saved",
    "device_similarity": "similarity",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
