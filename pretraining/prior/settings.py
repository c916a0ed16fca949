"""Settings of the prior: every ingredient is a number, so that it can be switched off."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PriorConfig:
    """Shares and ranges of the prior.

    Attributes
    ----------
    regression : bool
        Numeric targets instead of classes. The source ``classes`` is then left out.
    sources : dict of str to float
        Relative weight of each kind of table: ``causal``, ``classes``, ``pool`` and the names in
        ``functions.FUNCTIONS``. ``pool`` is ignored while no pool is loaded.
    kinds_per_batch : int
        Number of different sources in one batch.
    candidates : float
        Tables drawn per table kept; see ``selection``. 1 switches the selection off.
    cells : int
        Rows x columns x tables per batch, about.
    rows, features, wide_features : tuple of int
        Ranges, log-uniform.
    wide_share : float
        Share of batches with ``wide_features`` columns.
    context : tuple of float
        Range of the share of rows that are context, uniform.
    roughen, missing, drift, plain_scale : float
        Shares of batches with column defects, with missing values, with temporal drift, and standardised
        without the rank half.
    label_noise : float
        Share of tables some of whose rows have the label of another row.
    nominal, statistics : float
        Share of batches with nominal columns of many levels, and share of those served with the levels' statistics.
        The source ``random_effects`` exists in these batches only.
    most_levels : int
        Of a nominal column.
    counts, dates, repeats, informative : float
        Shares of batches with counts and rates, with dates taken apart, with repeated rows, and with values that are
        missing because of the target or of another column.
    panels : float
        Share of batches whose rows belong to entities that were observed several times.
    rare : float
        Share of tables with a class of 1-10%.
    weak : float
        Share of batches whose tables are selected by held-out correlation, which keeps weak signals, instead of
        accuracy.
    levels, tails, useless, imbalance : bool
        Whether there are columns with few levels and codes; heavy-tailed columns (and numeric targets); duplicated
        and uninformative columns among the defects; classes of unequal size by design.
    """

    regression: bool = False
    sources: dict[str, float] = field(
        default_factory=lambda: {
            "causal": 0.26,
            "classes": 0.11,
            "pool": 0.25,
            "oblivious_trees": 0.07,
            "jagged_trees": 0.07,
            "rule_lists": 0.05,
            "interactions": 0.06,
            "additive": 0.09,
            "prototypes": 0.04,
            "experts": 0.05,
            "smooth_fields": 0.06,
        }
    )
    kinds_per_batch: int = 3
    candidates: float = 2.0
    cells: int = 28_000
    rows: tuple[int, int] = (128, 1280)
    features: tuple[int, int] = (2, 20)
    wide_features: tuple[int, int] = (21, 60)
    wide_share: float = 0.08
    context: tuple[float, float] = (0.06, 0.86)
    roughen: float = 0.7
    missing: float = 0.12
    drift: float = 0.0
    plain_scale: float = 0.1
    label_noise: float = 0.3
    nominal: float = 0.0
    statistics: float = 0.7
    most_levels: int = 300
    counts: float = 0.0
    dates: float = 0.0
    repeats: float = 0.0
    informative: float = 0.0
    panels: float = 0.0
    rare: float = 0.0
    weak: float = 0.0
    levels: bool = True
    tails: bool = True
    useless: bool = True
    imbalance: bool = True
