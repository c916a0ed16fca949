"""
Save, load, share an adapter
============================

A saved model is a folder: adapters as safetensors, the context rows, and a record in which every byte is covered by a
checksum. There is no pickle, so loading runs no code of whoever made it; what it does not protect from is in
:doc:`/security`.
"""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_wine

import testtime

X, y = load_wine(return_X_y=True, as_frame=True)
model = testtime.TTTClassifier(n_members=1, n_steps=3, random_state=0).fit(X, y)

folder = Path(tempfile.mkdtemp()) / "wine"
model.save(folder)
for path in sorted(folder.rglob("*")):
    print(f"{path.relative_to(folder)}: {path.stat().st_size / 1000:.1f} KB")

# %%
# What is loaded answers as what was saved.

again = testtime.load(folder)
print("same answers:", np.array_equal(again.predict_proba(X), model.predict_proba(X)))

# %%
# A single changed bit is refused.

weights = next(folder.rglob("*.safetensors"))
content = bytearray(weights.read_bytes())
content[-1] ^= 1
weights.chmod(0o644)
weights.write_bytes(content)
try:
    testtime.load(folder)
except testtime.StoreError as error:
    print(f"StoreError: {error}".replace(str(folder), "wine"))

# %%
# A store keeps adapters by name, with versions; its folder may be a URL that others read (``s3://...``).

store = testtime.AdapterStore(tempfile.mkdtemp())
store.add("wine", model)
print(store.load("wine").predict(X[:3]).tolist(), "is version", store.current("wine")[0])
