"""Currencies beside numbers: which signs and codes name the same one."""

from __future__ import annotations

import unicodedata

__all__ = ["CURRENCIES", "LETTERS", "are_one_currency", "is_currency", "is_money"]

# fmt: off
CURRENCIES = frozenset((
    "USD", "EUR", "GBP", "JPY", "CHF", "CNY", "RMB", "INR", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN",
    "CZK", "HUF", "RUB", "TRY", "BRL", "MXN", "ZAR", "KRW", "SGD", "HKD", "Rs", "Rs.", "kr", "kr.",
))
"""Currencies that are written in letters."""

LETTERS = frozenset(name.rstrip(".").casefold() for name in CURRENCIES)
"""The same in small letters."""

_SECONDS = "sek"  # in German; kronor are SEK

_DOLLARS = ("usd", "aud", "cad", "nzd", "sgd", "hkd", "mxn")
_CODES = {
    "$": _DOLLARS,
    "dollar": _DOLLARS,
    "€": ("eur",),
    "£": ("gbp",),
    "¥": ("jpy", "cny"),
    "₹": ("inr",),
    "₽": ("rub",),
    "₺": ("try",),
    "₩": ("krw",),
    "kr": ("sek", "nok", "dkk", "isk"),
    "rs": ("inr",),
    "rmb": ("cny",),
    "euro": ("eur",),
    "pound": ("gbp",),
    "yen": ("jpy",),
    "rupee": ("inr",),
}
# fmt: on
"""What signs and short names stand for."""


def is_currency(sign: str) -> bool:
    """Tell whether a character is the sign of a currency."""
    return unicodedata.category(sign) == "Sc"


def is_money(unit: str) -> bool:
    """Tell whether a unit is a currency: letters in any case, a sign, or a sign behind letters.

    >>> [is_money(unit) for unit in ("US$", "eur", "kr.", "kg", "")]
    [True, True, True, False, False]
    """
    if unit == "" or unit in CURRENCIES:
        return unit != ""
    letters = unit.rstrip(".").casefold()
    return is_currency(unit[-1]) or (letters in LETTERS and letters != _SECONDS)


def are_one_currency(one: str, other: str) -> bool:
    """Tell whether a currency and a unit, each as it is written, may be the same currency.

    >>> [are_one_currency("€", other) for other in ("EUR", "eur", "Euro", "$", "USD", "kg")]
    [True, True, True, False, False, False]
    >>> [are_one_currency("US$", other) for other in ("$", "USD", "CAD", "A$")]
    [True, True, False, False]
    """
    return bool(_codes(one) & _codes(other))


def _codes(money: str) -> frozenset[str]:
    """Return the codes of the currencies that are written so; what is not known is a code of its own.

    >>> sorted(_codes("A$")), sorted(_codes("kr.")), sorted(_codes("R$"))
    (['aud'], ['dkk', 'isk', 'nok', 'sek'], ['r$'])
    """
    money = money.rstrip(".").casefold()
    if len(money) > 3:
        money = money.removesuffix("s")
    letters = money[:-1] if is_currency(money[-1]) else ""
    codes = _CODES.get(money.removeprefix(letters), (money,))
    return frozenset(code for code in codes if code.startswith(letters)) or frozenset((money,))
