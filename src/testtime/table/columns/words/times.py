"""Units of time, in the languages that dates are read in."""

from __future__ import annotations

__all__ = ["SECONDS", "SPELLED"]

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
