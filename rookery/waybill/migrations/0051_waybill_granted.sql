-- Who was granted a parcel sees the number it carries.
create policy granted on waybill.numbers for select to rookery_app
  using (test = (select base.test_mode()) and parcel_id in (
    select g.parcel_id from orders.parcel_party g where g.party_id = (select base.party())));
