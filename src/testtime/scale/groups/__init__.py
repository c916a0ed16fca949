"""One adapter for each group of a table, side by side on one machine or on a cluster."""

from testtime.scale.groups.adapt import adapt_groups
from testtime.scale.groups.outcomes import AdaptedGroups, GroupOutcome, Outcome

__all__ = ["AdaptedGroups", "GroupOutcome", "Outcome", "adapt_groups"]
