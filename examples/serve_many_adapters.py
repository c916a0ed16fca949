"""
Serve many adapters
===================

``testtime serve STORE`` answers over HTTP for every adapter of a store, on one base model. A new version is served from
the next request on, and a bad one is rolled back. Here the same application is asked without a socket.
"""

import secrets
import tempfile

import numpy as np
import pandas as pd
from fastapi.testclient import TestClient

from testtime import AdapterStore, TTTClassifier
from testtime.serve.app import create_app
from testtime.serve.settings import ServeSettings

rng = np.random.default_rng(0)
X = pd.DataFrame(rng.normal(size=(120, 2)), columns=["x", "z"])
store = AdapterStore(tempfile.mkdtemp())
for name, column in (("by x", "x"), ("by z", "z")):
    model = TTTClassifier(n_members=1, n_steps=3, n_context=64, random_state=0).fit(X, X[column] > 0)
    print(name, "is version", store.add(name, model).number)

# %%
# Each name answers with its own adapter. A client sends a token; ``testtime serve`` asks for one unless told not to.

token = secrets.token_urlsafe()
client = TestClient(
    create_app(store, ServeSettings(token=token)), headers={"Authorization": f"Bearer {token}"}
)
with client:
    for name in ("by x", "by z"):
        answer = client.post(f"/v1/models/{name}:predict", json={"rows": [{"x": 2.0, "z": -2.0}]}).json()
        print(name, answer["predictions"], "from version", answer["version"])
    refused = client.post("/v1/models/by x:predict", json={"rows": [{"x": 2.0}]})
    print(refused.status_code, refused.json()["error"])
