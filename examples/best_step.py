"""
Best step size from the exact linear theory
===========================================

For a one-layer linear transformer the risk after one test-time step is a parabola in the step size, known exactly for
every number of rows and dimensions. The best step depends on which context the new weights are used with: the one they
were trained with, or another one of the same task.
"""

import numpy as np
from matplotlib import pyplot as plt

from testtime.theory.linear import Setting, icl_risk, one_step

setting = Setting(n_context=40, n_train=60, dim=30, task=1.0, task_cov=1 / 30, noise_var=0.1)
answers = {context: one_step(setting, context=context) for context in ("fresh", "same")}
for context, answer in answers.items():
    print(
        f"{context} context: risk {answer.risk_before:.3f} before, {answer.best_risk:.3f} at the best step "
        f"{answer.best_step:.2e}"
    )

# %%
# The step that is best on its own context is too long for others.

longer = icl_risk(setting.replace(n_context=100))
steps = np.linspace(0.0, 1.6 * answers["same"].best_step, 200)
figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
for context, answer in answers.items():
    (line,) = axes.plot(steps, answer.risk(steps), label=f"{context} context")
    axes.plot(answer.best_step, answer.best_risk, marker="o", color=line.get_color())
axes.axhline(longer, color="grey", linestyle=":", label="no step, n + k rows as context")
axes.set(
    xlabel="step on the sum of squared errors", ylabel="risk", ylim=(0, 2 * answers["fresh"].risk_before)
)
axes.legend(frameon=False)
plt.show()
