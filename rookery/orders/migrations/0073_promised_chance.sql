-- How surely a shipment was promised, when it was booked. Its on_time_probability is that of the route it has now, which
-- waves and re-booking replace; this is never changed, by nobody's right. null = booked before this was kept.
alter table orders.shipments add column promised_chance double precision;
