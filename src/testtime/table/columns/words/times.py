"""Units of time, in the languages that dates are read in."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["SECONDS", "SPELLED", "seconds_of"]

_DAY = 86_400.0
# fmt: off
SPELLED = {
    365.25 * _DAY: "y yr yrs year years jahr jahre an ans année années año años anno anni jaar ano anos",
    365.25 / 12 * _DAY: "mo mos month months monat monate mois mes meses mese mesi maand maanden mês",
    7 * _DAY: "w wk wks week weeks woche wochen semaine semaines semana semanas settimana settimane weken",
    _DAY: "d day days tag tage j jour jours día días dia dias giorno giorni dag dagen",
    3600.0: "h hr hrs hour hours std stunde stunden heure heures hora horas ora ore uur uren",
    60.0: "m mn min mins minute minutes minuten minuto minutos minuti minuut",
    1.0: "s sec secs second seconds sek sekunde sekunden seconde secondes segundo segundos secondo secondi",
}
# fmt: on
"""Words by their seconds, the longest time first; months and years have their mean length."""

_WORDS = {word: seconds for seconds, words in SPELLED.items() for word in words.split()}
SECONDS = {word[:-1]: of for word, of in _WORDS.items() if len(word) > 2 and word[-1] == "s"} | _WORDS
"""The seconds of each word, also without its last s, as units are compared."""

_LONG = {365.25 * _DAY, 7 * _DAY}
_SHORT = {3600.0, 1.0}


def seconds_of(units: Collection[str]) -> dict[str, float]:
    """Return the seconds of each word in a column with these units.

    A bare m is a month beside years or weeks, as in the age of a child, and a minute beside anything else.

    >>> [seconds_of(units)["m"] == SECONDS["month"] for units in (["y", "m"], ["h", "m"], ["y", "h", "m"])]
    [True, False, False]
    """
    spelled = [unit for unit in units if unit.lower() != "m"]
    there = {SECONDS.get(unit, SECONDS.get(unit.lower(), 0.0)) for unit in spelled}
    if there & _LONG and not there & {*_SHORT, SECONDS["month"], SECONDS["minute"]}:
        return SECONDS | {"m": SECONDS["month"]}
    return SECONDS
