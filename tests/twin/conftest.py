"""Makes the random networks and orders of the planner's tests importable here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "planning"))
