"""Messages of the library in the terms of the command line: options in the place of arguments and classes."""

from __future__ import annotations

import re

__all__ = ["in_options"]

_OPTIONS = {
    "n_context": "--n-context",
    "n_steps": "--n-steps",
    "step_size": "--step-size",
    "n_members": "--n-members",
    "time_limit": "--time-limit",
    "random_state": "--seed",
    "levels": "--quantiles",
}
_ONLY_WITH_A_VALUE = {  # words of the language, too
    "adapt": "--adapt",
    "rank": "--rank",
    "device": "--device",
    "objective": "--objective",
    "guard": "--guard",
}
_PHRASES = (
    (r"or use TTTClassifier for classes", "or pass --task classify"),
    (r"use TTTRegressor or bin it first", "pass --task regress or bin it first"),
    (r"\bTTTClassifier\b", "the classifier"),
    (r"\bTTTRegressor\b", "the regressor"),
    (
        r"Declare a kind to keep it",
        "Keep it with --numeric, --categorical or --date, or all such columns with --keep-ids",
    ),
    (r", for example with sklearn\.feature_selection\.SelectKBest", ", or leave some out with --ignore"),
    (r", or None\b", ""),
    (r"np\.\w+\(([^()]*)\)", r"\1"),
)


def in_options(text: str) -> str:
    """Return a message as a user of the command reads it.

    >>> in_options("n_context=4,000 is more than the rows there are. Lower n_context to 52, or pass device='cpu'")
    '--n-context 4,000 is more than the rows there are. Lower --n-context to 52, or pass --device cpu'
    """
    for pattern, words in _PHRASES:
        text = re.sub(pattern, words, text)
    for name, option in (_OPTIONS | _ONLY_WITH_A_VALUE).items():
        text = re.sub(rf"(?<![\w-]){name}='([^']*)'", rf"{option} \1", text)
        text = re.sub(rf"(?<![\w-]){name}=", f"{option} ", text)
    for name, option in _OPTIONS.items():
        if "_" in name:
            text = re.sub(rf"(?<![\w-]){name}\b", option, text)
    return text.replace("'auto'", "auto")
