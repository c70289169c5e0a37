"""What the world sample consists of: which airports, ports and countries, and how many nodes each gets (invented)."""

from __future__ import annotations


def _counts(text: str) -> dict[str, int]:
    """A table written as words and numbers by turns."""
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


# airport: size, 3 = the busiest
GATES = _counts("""
    PVG 3  HKG 3  ICN 3  SIN 3  DXB 3  LEJ 3  ORD 3  LAX 3
    CAN 2  PEK 2  NRT 2  TPE 2  BKK 2  DEL 2  IST 2  LGG 2  CDG 2  STN 2  MIA 2  JFK 2
    CGO 1  KUL 1  SGN 1  CGK 1  MNL 1  BOM 1  RUH 1  MXP 1  MAD 1  WAW 1  BUD 1  ATH 1
    YYZ 1  MEX 1  GRU 1  BOG 1  SCL 1  JNB 1  NBO 1  LOS 1  SYD 1  AKL 1
""")

EXPORTERS = frozenset({"CN", "HK", "KR", "TW", "VN", "JP", "TH"})
_LOW_WAGE = "CN IN ID PH VN TH MY TR MX BR CO CL ZA NG KE RO BG"
LOW_WAGE = frozenset(_LOW_WAGE.split())

_LAND_BORDERS = "CN-HK EU-GB EU-TR US-CA US-MX MY-SG MY-TH"
LAND_BORDERS = frozenset(frozenset(pair.split("-")) for pair in _LAND_BORDERS.split())
"""Pairs of customs areas between which trucks drive."""

DEPOTS = _counts("""
    US 48  CN 36  IN 22  BR 16  DE 16  JP 14  GB 14  FR 13  IT 12  ES 11  MX 10  CA 10  ID 9  TR 9  PL 8  VN 7  TH 7
    KR 7  AU 7  PH 6  SA 6  ZA 6  NG 6  MY 6  CO 6  TW 5  CL 5  NL 5  RO 5  BE 4  AT 4  CZ 4  SE 4  HU 4  NZ 4  PT 3
    GR 3  DK 3  FI 3  BG 3  KE 3  AE 3  HK 3  IE 2  SK 2  HR 2  SG 2
""")
ORIGINS = _counts("""
    CN 110  US 16  IN 12  VN 9  KR 8  JP 8  TW 8  TR 8  DE 8  HK 6  TH 6  IT 6  GB 6  MY 5  ID 5  PL 5  ES 4  NL 4
    FR 4  MX 4  BR 4  AE 2  ZA 2
""")

# port: country, lat, lon, the sea marks it sails from
PORTS: dict[str, tuple[str, float, float, tuple[str, ...]]] = {
    "CNSHA": ("CN", 31.2, 121.5, ("east-china",)),
    "CNNGB": ("CN", 29.9, 121.5, ("east-china",)),
    "CNYTN": ("CN", 22.5, 114.1, ("pearl",)),
    "CNTAO": ("CN", 36.1, 120.4, ("korea", "east-china")),
    "HKHKG": ("HK", 22.3, 114.2, ("pearl",)),
    "KRPUS": ("KR", 35.1, 129.0, ("korea",)),
    "JPTYO": ("JP", 35.7, 139.7, ("honshu",)),
    "TWKHH": ("TW", 22.6, 120.3, ("luzon",)),
    "VNSGN": ("VN", 10.8, 106.6, ("south-china",)),
    "THLCH": ("TH", 13.1, 100.9, ("siam",)),
    "SGSIN": ("SG", 1.3, 103.9, ("singapore",)),
    "MYPKG": ("MY", 3.0, 101.4, ("malacca",)),
    "IDJKT": ("ID", -6.2, 106.8, ("java",)),
    "PHMNL": ("PH", 14.6, 121.0, ("manila",)),
    "INNSA": ("IN", 19.1, 72.9, ("bombay",)),
    "AEJEA": ("AE", 25.1, 55.2, ("hormuz",)),
    "SAJED": ("SA", 21.5, 39.2, ("jeddah",)),
    "TRIST": ("TR", 41.0, 28.9, ("dardanelles",)),
    "GRPIR": ("GR", 37.9, 23.6, ("crete", "dardanelles")),
    "ITGOA": ("IT", 44.4, 8.9, ("sicily",)),
    "ESVLC": ("ES", 39.5, -0.4, ("gibraltar", "sicily")),
    "NLRTM": ("NL", 51.9, 4.5, ("dover",)),
    "DEHAM": ("DE", 53.6, 10.0, ("dover",)),
    "PLGDN": ("PL", 54.4, 18.6, ("sound",)),
    "GBFXT": ("GB", 52.0, 1.4, ("dover",)),
    "USLAX": ("US", 34.0, -118.2, ("honshu", "panama-west")),
    "USNYC": ("US", 40.7, -74.2, ("windward",)),
    "USSAV": ("US", 32.1, -81.1, ("windward",)),
    "CAVAN": ("CA", 49.2, -123.1, ("honshu",)),
    "MXZLO": ("MX", 19.1, -104.3, ("honshu", "panama-west")),
    "BRSSZ": ("BR", -24.0, -46.3, ("cape",)),
    "COBUN": ("CO", 3.9, -77.0, ("panama-west",)),
    "CLSAI": ("CL", -33.6, -71.6, ("honshu", "solomon")),
    "ZADUR": ("ZA", -29.9, 31.0, ("durban",)),
    "NGLOS": ("NG", 6.5, 3.4, ("guinea",)),
    "KEMBA": ("KE", -4.1, 39.7, ("mombasa",)),
    "AUSYD": ("AU", -33.9, 151.2, ("brisbane",)),
    "NZAKL": ("NZ", -36.8, 174.8, ("norfolk",)),
}
EXPORT_PORTS = ("CNSHA", "CNNGB", "CNYTN", "CNTAO", "HKHKG", "KRPUS", "VNSGN", "THLCH", "INNSA")
RETURN_PORTS = ("CNSHA", "CNYTN")
