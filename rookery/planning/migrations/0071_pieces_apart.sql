-- Where the pieces of a shipment stood that was not booked on because they were apart, and the way suggested to each.
alter table planning.replan_shipments add column pieces jsonb; -- a list; null = they were together, or nobody looked
