"""What a training step costs on the published sizes of TabICL and TabPFN, with random weights.

    python -m benchmarks.backbone_costs [--steps 3] [--device cpu] [--out benchmarks/results/backbone_costs.json]

Each line is a process of its own: one episode of 256 context and 128 query rows of 10 columns, three classes.
"official" is the step of the package's own tuner, which moves every weight: the module's joint forward pass, backward,
clipping, AdamW. The others are this library's `train` with the delta that is named. Time is the fastest step after the
first; memory is the growth of the process's peak over what it held with the model loaded (on a GPU: PyTorch's).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

FAMILIES = ("tabicl", "v2.6", "v3")
KINDS = ("official", "all", "encoders", "lora", "norms", "head")

_CHILD = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
family, kind, steps, device = json.loads(sys.argv[1])
import numpy as np, torch
from torch import nn
from testtime.adapt.budget import Budget
from testtime.adapt.delta import DeltaSpec
from testtime.adapt.learner import Rows
from testtime.adapt.train import TrainConfig, train
device = torch.device(device)
torch.manual_seed(0)
if family == "tabicl":
    from tabicl._model.tabicl import TabICL
    from testtime.backbones.tabicl_learner import TabICLClassifierLearner
    module = TabICL(row_rope_interleaved=False, zero_init=False)
    make = lambda module, names: TabICLClassifierLearner(module.eval(), 3, 0.9)
    forward = lambda module, x, y: module(x[None], y[None].float())[0]
else:
    from tabpfn.architectures import ARCHITECTURES
    from testtime.backbones.tabpfn_learner import TabPFNClassifierLearner
    architecture = ARCHITECTURES["tabpfn_" + family.replace(".", "_")]
    config, _ = architecture.parse_config({"max_num_classes": 10, "num_buckets": 0})
    module = architecture.get_architecture(config)
    make = lambda module, names: TabPFNClassifierLearner(module.eval(), names, 3, 0.9)
    forward = lambda module, x, y: module(x[:, None], y[:, None].float(), only_return_standard_out=True)[:, 0]
module = module.to(device)
names = [name for name, p in module.named_parameters() if p.requires_grad]
parameters = sum(p.numel() for p in module.parameters())
rng = np.random.default_rng(0)
x = torch.as_tensor(rng.normal(size=(384, 10)), dtype=torch.float32, device=device)
y = torch.as_tensor(rng.integers(0, 3, 384), device=device)
seconds = []
def now():
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
with torch.no_grad():
    forward(module.eval() if family != "tabicl" else module.train(), x[:40], y[:20])
if device.type == "cuda":
    torch.cuda.reset_peak_memory_stats(); before = torch.cuda.memory_allocated()
else:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if kind == "official":
    module.train()
    own = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(own, lr=1e-5)
    for _ in range(steps + 1):
        began = now()
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(forward(module, x, y[:256])[:, :3], y[256:]).backward()
        nn.utils.clip_grad_norm_(own, 1.0)
        optimizer.step()
        seconds.append(now() - began)
else:
    learner = make(module, names)
    config = TrainConfig(n_steps=steps + 1, n_context=256, learning_rate=1e-5, spec=DeltaSpec(kind))
    moments = [now()]
    train(learner, Rows(x, y), np.arange(384), config, np.random.SeedSequence(0),
          on_step=lambda step, loss: moments.append(now()))
    seconds = [float(s) for s in np.diff(moments)]
if device.type == "cuda":
    mb = (torch.cuda.max_memory_allocated() - before) / 1e6
else:
    mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
print(json.dumps({"parameters": parameters, "seconds_per_step": min(seconds[1:]), "memory_mb": mb}))
"""


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = []
    for family in arguments.families:
        for kind in KINDS:
            line = {
                "family": family,
                "kind": kind,
                **measured(family, kind, arguments.steps, arguments.device),
            }
            official = (
                line
                if kind == "official"
                else next(one for one in found if one["family"] == family and one["kind"] == "official")
            )
            line["time_share"] = line["seconds_per_step"] / official["seconds_per_step"]
            line["memory_share"] = line["memory_mb"] / official["memory_mb"]
            found.append(line)
            print(
                f"{family:7} {line['parameters'] / 1e6:5.1f}M {kind:9} {line['seconds_per_step']:7.3f} s "
                f"({line['time_share']:4.0%}) {line['memory_mb']:7.0f} MB ({line['memory_share']:4.0%})",
                flush=True,
            )
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        content = {"threads": os.environ.get("OMP_NUM_THREADS"), "device": arguments.device, "lines": found}
        arguments.out.write_text(json.dumps(content, indent=1) + "\n")


def measured(family: str, kind: str, steps: int, device: str) -> dict[str, float]:
    """Time and memory of one line, in a process of its own."""
    words = [sys.executable, "-c", _CHILD, json.dumps([family, kind, steps, device])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{family}, {kind}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
