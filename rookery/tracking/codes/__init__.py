"""Couriers' and platforms' words for what happens to a parcel, as dated data: theirs read here, ours told there.

inward/NAME@DATE.csv: their code -> status, detail, business step and disposition (tables.py).
outward/NAME@DATE.csv: our status and detail -> their status and detail (answers.py).
DATE is the day from which the list was published so, or the day it was looked at where none is given. A list that
changes is added under its new date; a file that is there is not changed, since scans were read by it.
"""
