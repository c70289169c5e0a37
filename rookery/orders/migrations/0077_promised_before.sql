-- How surely shipments were promised that were booked before this was kept, or since then by a program that did not know of
-- it: the chance they had when somebody first tried to book them on; of those that nobody tried, the one they have. Only of
-- those that may still be delivered: of the others it stays null.
-- Whoever owns the tables may be bound by their policies, and none shows it replans, or where parcels of test data are.
alter table planning.replan_shipments no force row level security;
alter table tracking.parcels no force row level security;
update orders.shipments s
  set promised_chance = coalesce(
    (select r.chance_before from planning.replan_shipments r
      where r.shipment_id = s.shipment_id and r.chance_before is not null order by r.replan_id limit 1),
    s.on_time_probability)
  where s.promised_chance is null and s.state <> 'cancelled' and s.shipment_id in (
    select p.shipment_id from orders.parcels p left join tracking.parcels t using (parcel_id)
     where t.status is null or t.status not in ('delivered', 'return_to_sender', 'cancelled'));
alter table tracking.parcels force row level security;
alter table planning.replan_shipments force row level security;
