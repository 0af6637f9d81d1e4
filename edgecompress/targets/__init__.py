"""Deployment targets: a named recipe with the reason for its strategy."""

from edgecompress.targets.profile import TargetProfile, effective_profile, load_profile, profile_names

__all__ = ["TargetProfile", "effective_profile", "load_profile", "profile_names"]
