"""Which parcels take which departures when not all fit: shadow prices, a certified lower bound, seats.

`resources` (what is scarce, and its prices) -> `demand` (parcels as columns and entries of the tables) -> `passes` (one
sweep over all blocks) -> `ascent` (prices that make the bound high) -> `seating` (parcels into the room there is) ->
`solve` (all of it, until the gap or the time is reached).
"""
