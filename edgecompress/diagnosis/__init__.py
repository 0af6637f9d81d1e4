"""Diagnosis: where in the artifact the accuracy, the bytes and the time went."""

from edgecompress.diagnosis.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
