"""The forms that dates are read in, as patterns with named parts, and the names of months and zones."""

from __future__ import annotations

__all__ = ["DAYS", "FORMS", "LONG_DAYS", "MONTH_OF", "NUMERIC_FORM", "SHORT_DAYS", "ZONES"]

_MONTHS = (  # English, German, French, Spanish, Italian, Dutch and Portuguese, short and in full
    "jan january januar jänner janvier janv ene enero gen gennaio januari janeiro",
    "feb february februar février févr fév fevrier febrero febbraio februari fev fevereiro",
    "mar march mär mrz märz mars marzo mrt maart março marco",
    "apr april avr avril abr abril aprile",
    "may mai mayo mag maggio mei maio",
    "jun june juni juin junio giu giugno junho",
    "jul july juli juillet juil julio lug luglio julho",
    "aug august août aout ago agosto augustus",
    "sep sept september septembre septiembre set settembre setembro",
    "oct october okt oktober octobre octubre ott ottobre out outubro",
    "nov november novembre noviembre novembro",
    "dec december dez dezember déc décembre decembre dic diciembre dicembre dezembro",
)
MONTH_OF = {word: number for number, words in enumerate(_MONTHS, start=1) for word in words.split()}
"""Number of each name of a month, in lower case."""

ZONES = {
    **dict.fromkeys(("CET", "MEZ", "WEST", "BST"), 60),
    **dict.fromkeys(("CEST", "MESZ", "EET"), 120),
    **{"EEST": 180, "WET": 0, "JST": 540},
    **{"EST": -300, "EDT": -240, "CST": -360, "CDT": -300},
    **{"MST": -420, "MDT": -360, "PST": -480, "PDT": -420},
}
"""Minutes that zones are ahead of UTC; those of America mean what mails have them mean (RFC 822)."""

_ZONE = rf"(?P<zone>Z|z|UTC|GMT|{'|'.join(ZONES)}|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)"
_TIME = r"(?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{2})(?:[:.](?P<second>[0-9]{2}(?:[.,][0-9]+)?))?"
_CLOCK = rf"(?:(?:[T :]| at |, )\s*{_TIME}(?: Uhr)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*{_ZONE}?)?"
_NAMED = r"(?P<named>\pL{3,10})\.?"
_WEEKDAY = r"(?:(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? )?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_MONTH = r"(?P<month>[0-9]{1,2})"
_OF = r"(?:(?:of|de|del) )?"  # 13 de enero de 2019
NUMERIC_FORM = 1
"""Place of the form in which day and month may change places."""

FORMS = (
    # 2020-12-31, 2019. 03. 20., 2020-12
    rf"^(?P<year>[0-9]{{4}})(?:[-/.]|\. ){_MONTH}(?:(?:[-/.]|\. )(?P<day>[0-9]{{1,2}})\.?)?{_CLOCK}(?:/[0-9-]{{10}})?$",
    # 31.12.2020, 31. 12. 2020, 12/31/20
    rf"^(?P<first>[0-9]{{1,2}})(?P<mark>[-/. ]) ?(?P<next>[0-9]{{1,2}})(?:[-/. ]|\. )(?P<year>[0-9]{{4}}|[0-9]{{2}})"
    rf"{_CLOCK}$",
    # 31 Dec 2020, 31DEC2020:23:59:59, 31-Dez-20
    rf"^{_WEEKDAY}{_DAY}[-/. ]*{_OF}{_NAMED}[-/., ]*{_OF}(?P<year>[0-9]{{4}}|[0-9]{{2}}){_CLOCK}$",
    # Dec 31, 2020
    rf"^{_WEEKDAY}{_NAMED}[-/ ]{_DAY}(?:,? |[-/])(?P<year>[0-9]{{4}}){_CLOCK}$",
    # Thu Dec 31 23:59:59 UTC 2020, as computers write to their logs
    rf"^{_WEEKDAY}{_NAMED} {{1,2}}{_DAY} {_TIME}(?: {_ZONE})? (?P<year>[0-9]{{4}})$",
    # December 2020, DEC2020, Dec-20
    rf"^{_NAMED}(?:[-/., ]*{_OF}(?P<year>[0-9]{{4}})|-(?P<short>[0-9]{{2}}))$",
    # 2020-Dec-31, 2020 Dec
    rf"^(?P<year>[0-9]{{4}})[-/. ]*{_NAMED}(?:[-/. ]*{_DAY})?{_CLOCK}$",
    r"^(?P<month>0?[1-9]|1[0-2])/(?P<year>[0-9]{4})$",
    r"^(?P<month>0[1-9]|1[0-2])[-.](?P<year>(?:19|20)[0-9]{2})$",
    r"^(?P<year>(?:1[6-9]|20)[0-9]{2})-?[Mm](?P<month>0?[1-9]|1[0-2])$",  # 2022M10, as Eurostat and Stata have it
    rf"^(?P<year>[0-9]{{4}}) ?[年년] ?{_MONTH} ?[月월](?: ?(?P<day>[0-9]{{1,2}}) ?[日일])?{_CLOCK}$",
    r"^(?P<year>[0-9]{4})-?W(?P<week>[0-5][0-9])(?:-?(?P<weekday>[1-7]))?$",
    r"^(?P<year>[0-9]{4})-?[Qq](?P<quarter>[1-4])$",
    r"^[Qq](?P<quarter>[1-4])[-/ ]?(?P<year>[0-9]{4})$",
    r"^(?P<year>(?:19|20)[0-9]{2})(?P<month>0[1-9]|1[0-2])(?P<day>[0-3][0-9])"
    r"(?:T?(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?(?P<zone>Z)?)?$",
    r"^(?P<year>(?:19|20)[0-9]{2})(?P<month>0[1-9]|1[0-2])$",
)
"""Patterns that are tried one after the other."""

_DATE = r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
SHORT_DAYS = rf"^(?:{_DATE}|(?:19|20)[0-9]{{2}}(?:0[1-9]|1[0-2]))$"
"""Days and months in digits alone: 20201231, 202012."""

LONG_DAYS = rf"^{_DATE}(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9])?$"
"""Points in time in digits alone: 202012312359, 20201231235959."""

DAYS = r"^(?:[0-9]{8}|[0-9]{12}|[0-9]{14})$"
"""Digits alone that end in a day, or in a time of day."""
