-- What shippers hand in (orders), what was promised for it (shipments), what travels (parcels), and who may see it.
create schema if not exists orders;
grant usage on schema orders to rookery_app;

create table orders.orders (
  order_id text collate "C" primary key,
  party_id text collate "C" not null, -- the shipper
  test boolean not null,
  reference text collate "C" not null, -- the shipper's own order_id
  state text not null check (state in ('received', 'booked', 'cancelled')),
  from_node text, from_country text, from_postal_code text,
  to_node text, to_country text, to_postal_code text,
  ready_at timestamptz not null,
  weight_g double precision not null check (weight_g > 0), -- of one piece
  length_mm double precision, width_mm double precision, height_mm double precision,
  goods text not null,
  value double precision, currency text,
  service_id text,
  due_at timestamptz,
  late_cost double precision,
  pieces integer not null check (pieces > 0),
  parcels jsonb, -- weight and sides piece by piece, where they are not alike
  sender_id text collate "C", recipient_id text collate "C", -- people, in the vault
  metadata jsonb not null default '{}',
  content_sha256 bytea not null, -- keyed; of all that was ordered, to tell a repeated order from a changed one
  upload_id text collate "C",
  version integer not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (party_id, test, reference)
);
create index orders_of_party on orders.orders (party_id, test, order_id);
create index orders_to_plan on orders.orders (test, ready_at) where state = 'received';

create table orders.items (
  order_id text collate "C" not null references orders.orders,
  line_no integer not null,
  party_id text collate "C" not null,
  test boolean not null,
  description text not null,
  quantity double precision not null check (quantity > 0),
  value double precision, currency text,
  origin text,
  hs_code text,
  weight_g double precision,
  primary key (order_id, line_no)
);

create table orders.shipments (
  shipment_id text collate "C" primary key,
  order_id text collate "C" not null unique references orders.orders,
  party_id text collate "C" not null,
  test boolean not null,
  state text not null check (state in ('booked', 'handed_over', 'cancelled')),
  service_id text,
  promised_at timestamptz not null, -- frozen when booked; the route may change, this never
  confidence double precision not null,
  on_time_probability double precision not null,
  expected_at timestamptz not null,
  cost double precision not null, -- expected, all pieces, in `currency`
  currency text not null,
  feed_id text collate "C" not null,
  plan_id text collate "C", -- the last wave that routed it; null = as quoted
  quote_sha256 bytea, -- of the quote it was accepted from
  route integer not null default 1, -- which of its routes (planning.legs) counts now
  metadata jsonb not null default '{}',
  version integer not null default 1,
  booked_at timestamptz not null,
  updated_at timestamptz not null
);
create index shipments_of_party on orders.shipments (party_id, test, shipment_id);
create index shipments_by_plan on orders.shipments (plan_id);

create table orders.parcels (
  parcel_id text collate "C" primary key,
  shipment_id text collate "C" not null references orders.shipments,
  order_id text collate "C" not null,
  party_id text collate "C" not null,
  test boolean not null,
  piece integer not null, -- from 1
  pieces integer not null,
  weight_g double precision not null,
  length_mm double precision, width_mm double precision, height_mm double precision,
  state text not null check (state in ('booked', 'handed_over', 'cancelled')),
  number text collate "C" unique, -- the waybill's, e.g. an SSCC
  route_code text,
  created_at timestamptz not null,
  unique (shipment_id, piece)
);
create index parcels_of_party on orders.parcels (party_id, test, parcel_id);

-- Who else may see a parcel: the couriers of its legs, its hubs, its station.
create table orders.parcel_party (
  parcel_id text collate "C" not null,
  party_id text collate "C" not null,
  role text not null check (role in ('courier', 'station', 'customs')),
  owner_id text collate "C" not null, -- the parcel's shipper
  test boolean not null,
  granted_at timestamptz not null,
  primary key (parcel_id, party_id, role)
);
create index parcel_party_of on orders.parcel_party (party_id, test, parcel_id);
grant select, insert, delete on orders.parcel_party to rookery_app;

-- What happened to an order, for its shipper and for the record.
create table orders.history (
  at timestamptz not null,
  order_id text collate "C" not null,
  party_id text collate "C" not null,
  test boolean not null,
  what text not null,
  by_party text collate "C" not null,
  detail jsonb not null default '{}'
) partition by range (at);
create table orders.history_other partition of orders.history default;
create index history_of_order on orders.history (order_id, at);
insert into base.partitioned values ('orders.history', 24);

-- As the tables' owner, so that the policy of grants need not ask the policy of parcels, which asks for grants.
create function orders.owner_of(parcel text) returns text
  language sql stable security definer set search_path = ''
  begin atomic
    select p.party_id from orders.parcels p where p.parcel_id = parcel;
  end;
revoke all on function orders.owner_of from public;
grant execute on function orders.owner_of to rookery_app;

alter table orders.parcel_party enable row level security;
alter table orders.parcel_party force row level security;
create policy grants_seen on orders.parcel_party for select to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all())
    or party_id = (select base.party()) or owner_id = (select base.party())));
create policy grants_given on orders.parcel_party for insert to rookery_app
  with check (test = (select base.test_mode()) and ((select base.sees_all())
    or (owner_id = (select base.party()) and orders.owner_of(parcel_id) = (select base.party()))));
create policy grants_taken on orders.parcel_party for delete to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all()) or owner_id = (select base.party())));

do $$
declare it text;
begin
  -- the shipper's own rows, and all of them for those who run the network
  foreach it in array array['orders', 'items', 'shipments', 'parcels', 'history'] loop
    execute format('alter table orders.%I enable row level security', it);
    execute format('alter table orders.%I force row level security', it);
    execute format('grant select, insert on orders.%I to rookery_app', it);
    execute format($p$create policy own on orders.%I to rookery_app
      using (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))
      with check (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))$p$, it);
  end loop;
end $$;
-- Nobody changes whose a row is, what it is called, or what was promised.
grant update (state, to_node, to_country, to_postal_code, ready_at, service_id, due_at, late_cost, sender_id, recipient_id,
  content_sha256, metadata, version, updated_at) on orders.orders to rookery_app;
grant update (state, route, feed_id, plan_id, expected_at, on_time_probability, cost, currency, metadata, version,
  updated_at) on orders.shipments to rookery_app;
grant update (state, number, route_code) on orders.parcels to rookery_app;
grant delete on orders.items to rookery_app;
create policy definer on orders.parcels for select using ((select base.is_owner())); -- orders.owner_of, hand_over_shipment

-- a courier or station sees the parcels it was granted, and notes that they were handed over
create policy granted on orders.parcels for select to rookery_app
  using (test = (select base.test_mode()) and parcel_id in (
    select g.parcel_id from orders.parcel_party g where g.party_id = (select base.party())));
create policy granted_write on orders.parcels for update to rookery_app
  using (test = (select base.test_mode()) and parcel_id in (
    select g.parcel_id from orders.parcel_party g
     where g.party_id = (select base.party()) and g.role in ('courier', 'station')));
create function orders.only_hand_over() returns trigger language plpgsql set search_path = '' as $$
declare but_for_state orders.parcels := new;
begin
  but_for_state.state := old.state;
  if not base.sees_all() and old.party_id <> base.party()
      and (old.state = 'cancelled' or new.state <> 'handed_over' or but_for_state is distinct from old) then
    raise insufficient_privilege using message = 'only its shipper changes a parcel otherwise than by hand-over';
  end if;
  return new;
end $$;
create trigger parcels_only_hand_over before update on orders.parcels
  for each row execute function orders.only_hand_over();
