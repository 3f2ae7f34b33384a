"""Which device runs which operator of a model, and why."""

from quantforge.inspection.inspector import inspect
from quantforge.inspection.partition import Group, partition
from quantforge.inspection.results import Inspection, Reason, Verdict

__all__ = ["Group", "Inspection", "Reason", "Verdict", "inspect", "partition"]
