"""
Ask the planner before training
===============================

:func:`testtime.plan_table` measures the frozen model on a table for a few seconds and forecasts what adapting would
bring, with an interval and the probability that it harms. Nothing is trained. On the command line it is
``testtime plan TABLE --target COL``.
"""

from testtime import plan_table
from testtime.tasks.tables import load_table

for name in ("pendigits", "adult"):
    table = load_table(name)
    X, y = table.X.iloc[:300], table.target.iloc[:300]
    found = plan_table(X, y, random_state=0)
    print(f"{name}\n{found.explain()}\n")

# %%
# With ``memory=`` (bytes for what is kept of the context) or ``latency=`` (seconds for a predicted row) it also says
# how many rows of context fit.

print(plan_table(X, y, memory=20e6, random_state=0).explain())
