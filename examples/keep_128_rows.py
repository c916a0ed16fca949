"""
Keep only 128 rows as context
=============================

Every prediction of an in-context model reads its context, so a long one costs memory and time on every call. An adapted
model has some of the table in its weights. ``n_context`` sets how many rows are kept; the others are only trained on.
"""

import time

from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from testtime import TTTClassifier
from testtime.tasks.tables import load_table

table = load_table("pendigits")
X, X_test, y, y_test = train_test_split(
    table.X, table.target, train_size=600, test_size=150, stratify=table.target, random_state=0
)

# %%
# ``n_steps=0`` is plain in-context learning: with all 600 rows, and with 128 of them.

models = {
    "frozen, 600 rows": TTTClassifier(n_steps=0, n_context=600, n_members=2, random_state=0),
    "frozen, 128 rows": TTTClassifier(n_steps=0, n_context=128, n_members=2, random_state=0),
    "adapted, 128 rows": TTTClassifier(n_context=128, n_members=2, n_steps=20, random_state=0),
}
for name, model in models.items():
    model.fit(X, y)
    model.predict_proba(X_test[:1])  # reads the context, which is then kept
    started = time.perf_counter()
    loss = log_loss(y_test, model.predict_proba(X_test))
    milliseconds = 1000 * (time.perf_counter() - started) / len(X_test)
    print(f"{name:20s} log loss {loss:.3f}, {milliseconds:.2f} ms for a row")

# %%
# ``objective="short"`` chooses the number itself, and ``TTTClassifier(n_context="auto")`` keeps what is most accurate.
