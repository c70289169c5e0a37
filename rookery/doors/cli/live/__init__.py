"""The live demo: a network at work in simulated time, over real HTTP, and a terminal to watch it from.

`driving.py` is the loop that lets time pass. What it drives: `house.py` (the folder, the server, the clock), `cast.py`
(who takes part), `arriving.py` (orders), `carrying.py` (the twin's parcels, couriers' scans), `waves.py`, `looking.py`
(what the server says), `hearing.py` (a shop's webhook endpoint). They tell `figures.py`; `dashboard.py` shows it.
"""
