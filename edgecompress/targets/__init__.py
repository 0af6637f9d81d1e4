"""Deployment targets: a named recipe with the reason for its strategy."""

from edgecompress.targets.inheritance import device_names, profile_names, strategy_names
from edgecompress.targets.profile import TargetProfile, effective_profile, given_profile, load_profile, recorded_profile

__all__ = [
    "TargetProfile",
    "device_names",
    "effective_profile",
    "given_profile",
    "load_profile",
    "profile_names",
    "recorded_profile",
    "strategy_names",
]
