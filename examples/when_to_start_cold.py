"""
Warm or cold start: the phase transition
========================================

When does training from zero beat training from the pretrained weights? With few training rows the pretrained weights
are the better start, with many the zero weights; where that changes is known exactly. There is no data here.
"""

import numpy as np
from matplotlib import pyplot as plt

from testtime.theory.linear import Setting, best_scaled_start, one_step, start_transition, transition_limit

for n_context in (15, 30, 60, 120):
    setting = Setting(n_context=n_context, n_train=60, dim=60, task=60.0, task_cov=1.0)
    warm, cold = one_step(setting, start="warm"), one_step(setting, start="cold")
    flip = start_transition(setting).n_train
    print(
        f"n = {n_context:3d}: with 60 training rows, risk {warm.best_risk / 60:.3f} from W*, "
        f"{cold.best_risk / 60:.3f} from zero; zero is better beyond {flip:.0f} rows"
    )

# %%
# The risk against the number of training rows, for n = d = 60. A start between the two, ``c W*`` with the best ``c``,
# beats both everywhere.

setting = Setting(n_context=60, n_train=0, dim=60, task=1.0)
rows = np.unique(np.geomspace(5, 600, 40).round())
risks = {"warm": [], "cold": [], "scaled": []}
for k in rows:
    found = best_scaled_start(setting.replace(n_train=k))
    for name, risk in zip(risks, (found.warm_risk, found.cold_risk, found.risk), strict=True):
        risks[name].append(risk)
figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
for name, values in risks.items():
    axes.plot(rows, values, label=name, linestyle="--" if name == "scaled" else "-")
exact, limit = start_transition(setting).n_train, 60 * transition_limit(1.0)
axes.axvline(exact, color="grey", linestyle=":", label=f"cold is better beyond {exact:.0f} rows")
axes.set(xlabel="training rows k", ylabel="risk after the best step", xscale="log")
axes.legend(frameon=False)
plt.show()
print(f"exact transition {exact:.0f} rows; its limit for large dimension is {limit:.0f}")
