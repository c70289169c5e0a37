"""Sums of money as they are told."""

from __future__ import annotations

_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"


def told_sum(amount: float | None, currency: str | None) -> float | None:
    """An amount in whole minor units of its currency (ISO 4217), as it is told to people; of one that is not known in
    hundredths.
    """
    if amount is None or currency is None:
        return None if amount is None else round(amount, 2)
    return round(amount, 0 if currency in _NONE.split() else 3 if currency in _THREE.split() else 2)
