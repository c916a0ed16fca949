"""
Rare classes: choose a threshold
================================

A class of five per cent is seldom the most probable one, so ``predict`` seldom names it. The probabilities are right as
they are; what must move is the decision. scikit-learn's ``TunedThresholdClassifierCV`` chooses the threshold on rows
that the model has not seen.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import TunedThresholdClassifierCV, train_test_split

from testtime import TTTClassifier

X, y = make_classification(
    1200, 6, n_informative=4, n_redundant=0, weights=[0.95], class_sep=0.8, flip_y=0.02, random_state=3
)
X, X_test, y, y_test = train_test_split(X, y, train_size=400, stratify=y, random_state=0)

model = TTTClassifier(n_members=1, n_steps=5, n_context=200, random_state=0)
tuned = TunedThresholdClassifierCV(model, scoring="balanced_accuracy", cv=3).fit(X, y)

# %%
# The tuned threshold lies far below one half, and finds more of the rare class.

probability = tuned.predict_proba(X_test)[:, 1]
for name, answer in (("one half", (probability > 0.5).astype(int)), ("tuned", tuned.predict(X_test))):
    found, balanced = recall_score(y_test, answer), balanced_accuracy_score(y_test, answer)
    print(f"threshold {name}: recall of the rare class {found:.2f}, balanced accuracy {balanced:.2f}")
print(f"tuned threshold: {tuned.best_threshold_:.3f}")

# %%
# What each threshold would give:

thresholds = np.linspace(0.01, 0.9, 60)
scores = [balanced_accuracy_score(y_test, probability > t) for t in thresholds]
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.plot(thresholds, scores)
axes.axvline(tuned.best_threshold_, color="grey", linestyle=":", label="chosen on training rows")
axes.set(xlabel="threshold", ylabel="balanced accuracy on new rows")
axes.legend(frameon=False)
plt.show()
