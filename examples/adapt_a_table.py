"""
Adapt a model to a table and see that it is better
==================================================

Test-time training takes a few gradient steps on the rows that a frozen in-context model would only read. Here the
embedded model is adapted to handwritten digits and compared with itself, frozen, on rows that neither has seen.
"""

from matplotlib import pyplot as plt
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from testtime import TTTClassifier
from testtime.tasks.tables import load_table

table = load_table("pendigits")
X, X_test, y, y_test = train_test_split(
    table.X, table.target, train_size=600, test_size=200, stratify=table.target, random_state=0
)

# %%
# ``fit`` decides on rows that were not trained on how much of the adapted models is served, and says so. The default
# is eight adapters; two are enough to see what happens.

model = TTTClassifier(n_context=128, n_members=2, random_state=0).fit(X, y)
print(model.adaptation_.explain())

# %%
# ``predict_proba_at`` answers with any number of context rows, adapted or frozen.

sizes = (32, 64, 128)
losses = {
    label: [log_loss(y_test, model.predict_proba_at(X_test, n, adapted=adapted)) for n in sizes]
    for label, adapted in (("frozen", False), ("adapted", True))
}
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for label, values in losses.items():
    axes.plot(sizes, values, marker="o", label=label)
axes.set(xlabel="context rows", ylabel="log loss on 200 new rows", xscale="log", xticks=sizes)
axes.set_xticks(sizes, [str(n) for n in sizes])
axes.legend(frameon=False)
print(f"128 context rows: {losses['frozen'][2]:.3f} frozen, {losses['adapted'][2]:.3f} adapted")
plt.show()
