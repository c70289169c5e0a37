-- A part of the live side tells since when it runs, that it ended as it was told to, and whether the run before did not: so
-- that a worker which was killed and started again by whoever watches it is seen. Real time. Programs of before write none of
-- it: a sign that is later than ended_at is theirs.
alter table tracking.live_signs
  add started_at timestamptz, -- null = nobody knows
  add ended_at timestamptz, -- told to end; null = it runs, or broke off
  add broke_off_at timestamptz; -- the last sign of the run before this one, which did not end so; null = it did, or there was none
