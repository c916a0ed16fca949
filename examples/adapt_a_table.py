"""Adapt the embedded model to a real table, read why, and compare with the frozen model at the same context.

python examples/adapt_a_table.py
"""

from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from testtime import TTTClassifier
from testtime.tasks.tables import load_table

table = load_table("pendigits")
X, X_test, y, y_test = train_test_split(
    table.X, table.target, train_size=1000, test_size=1000, stratify=table.target, random_state=0
)

model = TTTClassifier(n_context=128, random_state=0).fit(X, y)
print(model.adaptation_.explain())

adapted = log_loss(y_test, model.predict_proba(X_test))
frozen = log_loss(y_test, model.predict_proba_at(X_test, 128, adapted=False))
print(f"log loss with 128 context rows: {frozen:.3f} frozen, {adapted:.3f} adapted")
