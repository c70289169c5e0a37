-- A courier hands a parcel over without seeing the shipment: as the tables' owner, for a parcel that was granted to it.
create function orders.hand_over_shipment(parcel text, at timestamptz) returns void
  language sql security definer set search_path = ''
  begin atomic
    update orders.shipments s set state = 'handed_over', version = s.version + 1, updated_at = at
      from orders.parcels p
     where p.parcel_id = parcel and p.shipment_id = s.shipment_id and s.state = 'booked'
       and p.state = 'handed_over' and p.test = (select base.test_mode())
       and ((select base.sees_all()) or exists (
         select from orders.parcel_party g where g.parcel_id = parcel and g.party_id = (select base.party())));
  end;
create policy definer on orders.shipments for select using ((select base.is_owner()));
create policy definer_write on orders.shipments for update using ((select base.is_owner()));
revoke all on function orders.hand_over_shipment from public;
grant execute on function orders.hand_over_shipment to rookery_app;

