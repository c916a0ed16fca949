"""The tables about groups and serving, from what ``benchmarks.small_groups``, ``groups`` and ``serve`` stored."""

from __future__ import annotations

from benchmarks.stored import markdown, stored


def small_groups() -> str:
    """Real tables of a few hundred rows: together, and each by itself."""
    found = stored("small_groups")
    rows = [
        [
            way,
            f"{own['mean']:+.1%} ± {own['standard error']:.1%}",
            f"{own['median']:+.1%}",
            f"{own['lower']:.0%}",
            f"{own['lower by 1%']:.0%}",
            f"{own['higher by 1%']:.0%}",
            f"{own['worst']:+.1%}",
            f"{own['processor seconds']:.1f}",
            f"{own['bytes'] / 1000:,.0f} kB",
        ]
        for way, own in found["summary"].items()
    ]
    header = ["way", "log loss, mean", "median", "lower on", "by 1%", "higher by 1% on", "worst"]
    note = f"\n{len(found['cells'])} tables, {found['rows']} training rows each.\n"
    return markdown([*header, "processor seconds", "adapters"], rows) + note


def starts() -> str:
    """Gains by where groups of a real table began, beside the linear theory's transition."""
    found = stored("starts")
    rows = []
    for own in found["theory"]:
        fits = [fit for fit in found["fits"] if fit["rows"] == own["rows"]]
        gains = []
        for start in ("cold", "scaled", "warm", "chosen"):
            differences = [fit["frozen_loss"] - fit["loss"] for fit in fits if fit["start"] == start]
            gains.append(f"{sum(differences) / len(differences):+.4f}")
        rows.append(
            [
                f"{own['rows']}",
                *gains,
                f"{own['train_rows']}",
                f"{own['transition']:.0f}",
                f"{own['scale']:.2f}",
            ]
        )
    n_groups = len({fit["group"] for fit in found["fits"]})
    header = ["rows of a group", "cold", "half", "warm", "chosen", "training rows"]
    header += ["theory: warm is better below", "theory: best scale"]
    return markdown(header, rows) + f"\n{n_groups} groups.\n"


def groups() -> str:
    """Adapters per minute by engine, beside the fine-tuner."""
    found = stored("groups")
    rows = [
        [
            own["way"],
            f"{own['groups']}",
            f"{own['seconds']:,.0f}",
            f"{own['per_minute']:,.1f}",
            f"{own['bytes_saved']:,.0f}",
            f"{own['bytes_of_deltas']:,.0f}",
            f"{own['bytes_in_memory'] / 1e6:.0f} MB" if "bytes_in_memory" in own else "",
        ]
        for own in found["ways"]
    ]
    header = ["way", "groups", "seconds", "adapters per minute", "bytes saved for a group"]
    settings = found["settings"]
    note = f"\n{settings['rows']} rows and 10 columns a group; load of the machine at the end {found['load']:.0f}.\n"
    return markdown([*header, "of these adapters", "memory when served"], rows) + note


def store() -> str:
    """Seconds of store operations by the number of adapters."""
    found = stored("groups")
    names = ("add", "list", "names", "current", "verify")
    rows = [[f"{own['adapters']:,}", *(f"{own[name]:.2g}" for name in names)] for own in found["store"]]
    writers = found["writers"]
    said = f"{writers['operations']:,} operations of two processes at once: {writers['seconds']:.0f} s"
    note = f"\n{said}, {writers['versions']} versions, {writers['damaged']} damaged.\n"
    return markdown(["adapters", "add", "list", "names", "current version of one", "verify"], rows) + note


def serve() -> str:
    """Requests per second, latency and memory of the server."""
    found = stored("serve")
    rows = [
        [
            own["served"],
            f"{own['adapters']:,}",
            f"{own['requests_per_second']:.1f}",
            f"{own['p50_ms']:,.0f}",
            f"{own['p99_ms']:,.0f}",
            f"{own['first_request_ms']:,.0f}",
            f"{own['mb_per_adapter']:.1f}",
            f"{own['swap_ms']:.0f}",
        ]
        for own in found["served"]
    ]
    header = ["served", "adapters", "requests per second", "p50, ms", "p99, ms", "first request, ms"]
    settings = found["settings"]
    note = f"\n{settings['clients']} clients, {settings['requests']:,} requests of one row each, two cores.\n"
    return markdown([*header, "MB per adapter", "swap, ms"], rows) + note


BLOCKS = {"small-groups": small_groups, "starts": starts, "groups": groups, "store": store, "serve": serve}
