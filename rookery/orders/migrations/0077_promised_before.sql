-- How surely shipments were promised that were booked before this was kept, or since then by a program that did not know of
-- it: the chance they had when somebody first tried to book them on; of those that nobody tried, the one they have.
-- Whoever owns the tables may be bound by their policies, and none shows it replans.
alter table planning.replan_shipments no force row level security;
update orders.shipments s
  set promised_chance = coalesce(
    (select r.chance_before from planning.replan_shipments r
      where r.shipment_id = s.shipment_id and r.chance_before is not null order by r.replan_id limit 1),
    s.on_time_probability)
  where s.promised_chance is null;
alter table planning.replan_shipments force row level security;
