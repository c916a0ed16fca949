"""Tiny TabICL and TabPFN models with random weights, in the packages' own checkpoint formats."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from tabicl._model.tabicl import TabICL
from torch import nn

TABICL = {
    "max_classes": 10,
    "embed_dim": 8,
    "col_num_blocks": 1,
    "col_nhead": 2,
    "col_num_inds": 4,
    "row_num_blocks": 1,
    "row_nhead": 2,
    "row_num_cls": 2,
    "row_rope_interleaved": False,
    "icl_num_blocks": 2,
    "icl_nhead": 2,
    "zero_init": False,
}
_OLD = {"emsize": 24, "nlayers": 2, "nhead": 2}
_NEW = {
    "embed_dim": 16,
    "dist_embed_num_blocks": 1,
    "dist_embed_num_heads": 2,
    "dist_embed_num_inducing_points": 4,
    "feat_agg_num_blocks": 1,
    "feat_agg_num_heads": 2,
    "feat_agg_num_cls_tokens": 2,
    "nlayers": 2,
    "icl_num_heads": 2,
    "decoder_head_dim": 8,
    "decoder_num_heads": 2,
}
TABPFN = {
    "v2": _OLD,
    "v2.5": {**_OLD, "num_thinking_rows": 4},
    "v2.6": {**_OLD, "num_thinking_rows": 4},
    "v3": _NEW,
    "v3.5": {
        **_NEW,
        "icl_num_kv_heads_test": None,
        "fourier_encoding_num_frequencies": 4,
        "cell_ecdf_num_buckets": 8,
    },
}
N_BUCKETS = 30


def shaken(module: nn.Module, seed: int, scale: float) -> nn.Module:
    """Random weights everywhere, also where a package begins at zero or one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return module


def tabicl_checkpoint(folder: Path, task: str, seed: int = 0, **changes: object) -> Path:
    """A TabICL checkpoint file."""
    config = {
        **TABICL,
        **({} if task == "classifier" else {"max_classes": 0, "num_quantiles": 99}),
        **changes,
    }
    path = folder / f"tabicl-{task}-{seed}.ckpt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = shaken(TabICL(**config), seed, 0.1)
    torch.save({"config": config, "state_dict": module.state_dict()}, path)
    return path


def tabpfn_checkpoint(folder: Path, version: str, task: str, seed: int = 0) -> Path:
    """A TabPFN checkpoint file of one of the versions, as its package writes it."""
    from tabpfn.architectures import ARCHITECTURES
    from tabpfn.constants import ModelVersion
    from tabpfn.inference_config import InferenceConfig

    both = version == "v3.5"  # one checkpoint for both tasks
    name = "tabpfn_" + version.replace(".", "_")
    sizes = {
        "max_num_classes": 10 if both or task == "classifier" else 0,
        "num_buckets": N_BUCKETS if both or task == "regressor" else 0,
    }
    config, _ = ARCHITECTURES[name].parse_config({**TABPFN[version], **sizes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = shaken(ARCHITECTURES[name].get_architecture(config), seed, 0.2)
    state = module.state_dict()
    if version in ("v2", "v2.5", "v2.6") and task == "regressor":
        borders = torch.linspace(-4, 4, N_BUCKETS + 1)
        state |= {"criterion.borders": borders, "criterion.losses_per_bucket": torch.zeros(N_BUCKETS)}
    checkpoint = {"state_dict": state, "config": asdict(config)}
    if version == "v2.5":
        checkpoint["architecture_name"] = "base"
    elif version != "v2":
        kind = "multiclass" if task == "classifier" else "regression"
        checkpoint["architecture_name"] = name
        checkpoint["inference_config"] = asdict(InferenceConfig.get_default(kind, ModelVersion.V2_5))
    path = folder / f"tabpfn-{version}-{'' if both else task + '-'}{seed}.ckpt"
    torch.save(checkpoint, path)
    return path
