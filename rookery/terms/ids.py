"""Ids as users write them. Engines work on dense integers instead (row numbers of the frames)."""

from typing import NewType

NodeId = NewType("NodeId", str)
LaneId = NewType("LaneId", str)
DepartureId = NewType("DepartureId", str)
OrderId = NewType("OrderId", str)
