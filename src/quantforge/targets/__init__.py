"""What devices can compute, as data: one TOML file per target, and its loader."""

from quantforge.targets.load import Bounds, Shifts, Target, load_target, target_names

__all__ = ["Bounds", "Shifts", "Target", "load_target", "target_names"]
