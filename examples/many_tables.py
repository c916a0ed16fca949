"""
Many tables: one adapter per group
==================================

A table of several sites, shops or tenants is adapted group by group. They share one frozen base model; what is stored
for each is a small adapter and its context rows. Groups with too few rows are answered by a shared model.
"""

import tempfile

import numpy as np
import pandas as pd

from testtime import AdapterStore, TTTClassifier, adapt_groups

# %%
# Three shops. What makes a customer come back differs between them, and the third has just opened.

rng = np.random.default_rng(0)
frames = []
for shop, (rows, weight) in {"north": (200, 3.0), "south": (200, -3.0), "new": (20, 0.0)}.items():
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["price", "age", "visits"])
    score = weight * frame["price"] + frame["visits"] + rng.normal(size=rows)
    frames.append(frame.assign(shop=shop, came_back=np.where(score > 0, "yes", "no")))
table = pd.concat(frames, ignore_index=True)

# %%
# A second call would do only what is missing: new groups, and those whose rows or settings changed.

folder = tempfile.mkdtemp()
groups = adapt_groups(
    table,
    target="came_back",
    by="shop",
    store=folder,
    estimator=TTTClassifier(n_members=1, n_steps=8, random_state=0),
    engine="serial",
)
print(groups.frame()[["outcome", "n_rows", "reason"]].to_string())

# %%
# The same customer, at two shops.

customer = pd.DataFrame({"price": [1.0], "age": [0.0], "visits": [0.0]})
for shop in ("north", "south"):
    model = AdapterStore(folder).load(shop)
    print(shop, dict(zip(model.classes_, model.predict_proba(customer)[0].round(2).tolist(), strict=True)))
