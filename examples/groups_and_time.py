"""
Groups and time in the split
============================

Rows of one patient resemble each other, and rows of tomorrow differ from those of today. A split that ignores this
promises too much. Pass ``groups`` to ``fit`` to keep rows that belong together on one side of every inner split, and
``time`` to train on earlier rows than those that decide.
"""

import numpy as np
from sklearn.metrics import log_loss

from testtime import TTTClassifier

# %%
# Sixty patients with six visits each: the label belongs to the patient, and the columns name the patient almost surely.

rng = np.random.default_rng(0)
patient = np.repeat(np.arange(60), 6)
centre, label = rng.normal(size=(60, 4)), rng.integers(0, 2, 60)
X, y = centre[patient] + 0.05 * rng.normal(size=(360, 4)), label[patient]
known, new = patient < 40, patient >= 40

settings = {"n_members": 1, "n_steps": 5, "random_state": 0}
for name, groups in (("rows at random", None), ("patients apart", patient[known])):
    model = TTTClassifier(**settings).fit(X[known], y[known], groups=groups)
    promised = model.adaptation_.loss_after
    found = log_loss(y[new], model.predict_proba(X[new]), labels=[0, 1])
    print(f"{name}: promised log loss {promised:.2f}, on patients never seen {found:.2f}")

# %%
# The labels of new patients cannot be predicted here (0.69 is a coin). Only the split by patients knows.
#
# With ``time`` the rows that decide are later than the rows that are trained on.

day = np.arange(360)
x = rng.normal(size=(360, 3))
drifting = (x[:, 0] * np.cos(day / 120) + x[:, 1] * np.sin(day / 120) > 0).astype(int)
for name, time in (("rows at random", None), ("by time", day[:300])):
    model = TTTClassifier(**settings).fit(x[:300], drifting[:300], time=time)
    found = log_loss(drifting[300:], model.predict_proba(x[300:]), labels=[0, 1])
    print(f"{name}: promised {model.adaptation_.loss_after:.2f}, on the 60 days after {found:.2f}")
