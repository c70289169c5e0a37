"""Plans as users get them: weights in groups, files, policy tables, odd wishes."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

import rookery as rk
from rookery.flows.planning import plan
from rookery.planning import batch
from rookery.terms.frames import PLAN_LEGS, PLAN_LOADS, PLAN_PARCELS


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The tiny sample network and 400 orders."""
    folder = tmp_path_factory.mktemp("tiny") / "feed"
    rk.sample_network("tiny", 1, folder)
    feed = rk.read_feed(folder)
    return feed, rk.sample_orders(feed, 400, 1)


@pytest.mark.parametrize("outcomes", [1, 8])
def test_grouped_weights_stay_within_the_error_they_admit(make_feed, make_orders, monkeypatch, outcomes):
    """With weights grouped, every cost lies between the exact optimum and that plus the admitted error."""
    prices = {"flat": (5.0, 0.1), "mixed": (3.0, 1.0), "by weight": (0.5, 3.0)}  # a parcel, a kilogram
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": name, "from_node": "A", "to_node": "B"} for name in prices],
        departures=[
            {"departure_id": name, "lane_id": name, "cost_per_parcel": fixed, "cost_per_kg": per_kg}
            for name, (fixed, per_kg) in prices.items()
        ],
    )
    row = {"from_node": "A", "to_node": "B"}
    orders = make_orders(*({"order_id": str(w), "weight_g": float(w), **row} for w in range(100, 6000, 50)))
    exact = plan(feed, orders, outcomes=outcomes)
    kilograms = orders["weight_g"].to_numpy() / 1000
    np.testing.assert_allclose(exact.parcels["cost"], np.min([a + b * kilograms for a, b in prices.values()], axis=0))
    monkeypatch.setattr(batch, "EXACT_WORK", 0)
    monkeypatch.setattr(batch, "GROUPED_ROUNDS", ((2, np.inf),))
    grouped = plan(feed, orders, outcomes=outcomes)
    assert grouped.summary["grouped_weights"] and not exact.summary["grouped_weights"]
    more = (grouped.parcels["cost"] - exact.parcels["cost"]).to_numpy()
    assert (more > -1e-4).all() and (more <= grouped.summary["grouping_error_max_per_parcel"] + 1e-4).all()
    assert more.max() > 0.5, "two weights for three prices must lose something, or this test shows nothing"
    assert grouped.summary["lower_bound"] <= exact.summary["cost"] <= grouped.summary["cost"] + 1e-3


def test_the_bound_of_an_exact_plan_is_its_cost(tiny):
    """Planned exactly, the lower bound touches the cost but never passes it."""
    summary = plan(*tiny).summary
    assert 0 <= summary["gap"] < 1e-6
    assert summary["lower_bound"] <= summary["cost"]


def test_pieces_multiply_costs_and_loads(tiny):
    """An order of three pieces costs and loads three times one piece."""
    feed, orders = tiny
    one = plan(feed, orders.with_columns(pieces=pl.lit(1)))
    three = plan(feed, orders.with_columns(pieces=pl.lit(3)))
    np.testing.assert_allclose(three.parcels["cost"], 3 * one.parcels["cost"])
    assert three.loads["parcels"].sum() == pytest.approx(3 * one.loads["parcels"].sum())
    assert three.summary["parcels"] == 3 * one.summary["parcels"]


def test_threads_do_not_change_a_plan(tiny):
    """One thread and four give the same plan, byte for byte but for the time it took."""
    one, four = plan(*tiny, threads=1), plan(*tiny, threads=4)
    assert one.parcels.equals(four.parcels) and one.legs.equals(four.legs)
    np.testing.assert_allclose(one.loads["parcels"], four.loads["parcels"])


def test_a_plan_is_written_whole_and_read_back(tiny, tmp_path):
    """The files have the public columns, and reading them gives the plan."""
    made = plan(*tiny)
    made.write(tmp_path / "plan")
    files = {path.name for path in (tmp_path / "plan").iterdir()}
    tables = {"parcels.parquet", "legs.parquet", "loads.parquet", "hours.parquet"}
    assert files == tables | {"summary.json", "manifest.json"}
    for name, schema in (("parcels", PLAN_PARCELS), ("legs", PLAN_LEGS), ("loads", PLAN_LOADS)):
        assert dict(pl.read_parquet_schema(tmp_path / "plan" / f"{name}.parquet")).keys() == schema.keys()
    assert rk.read_plan(tmp_path / "plan").parcels.equals(made.parcels)
    assert rk.check(*tiny, tmp_path / "plan").violations == []


def test_a_folder_that_is_no_plan_is_left_alone(tiny, tmp_path):
    """Writing over somebody's files is refused and leaves them and nothing else."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(rk.Conflict, match="left alone"):
        plan(*tiny).write(tmp_path / "mine")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "letter.txt"]


def test_a_departure_for_one_carries_one(make_feed, make_orders):
    """Of two parcels on a departure for one, the next day takes the other; the plan says what a seat is worth."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "d", "lane_id": "AB", "capacity_parcels": 1.0}],
        services=[{"service_id": "s", "due_hours": 24.0}],
    )
    orders = make_orders(*({"from_node": "A", "to_node": "B", "service_id": "s"} for _ in range(2)))
    made = plan(feed, orders)
    assert made.summary["planned"] == 2 and made.summary["capacity_violations"] == 0
    assert made.loads["parcels"].to_list() == [1.0, 1.0] and made.notices == ()
    assert made.manifest["prices"] == "capacity" and not made.summary["interrupted"]
    assert made.loads["shadow_price"][0] == pytest.approx(20.0, rel=0.1), "the other is late, which costs 20"
    assert made.summary["lower_bound"] <= made.summary["cost"] == pytest.approx(20.0)
    assert rk.check(feed, orders, made).violations == []


def test_warm_prices_change_where_a_plan_begins_not_what_it_may_do(make_feed, make_orders):
    """With an earlier plan's prices a plan is as good, and within the same capacities."""
    feed = make_feed(
        nodes=[{"node_id": "A"}, {"node_id": "B"}],
        lanes=[{"lane_id": "AB", "from_node": "A", "to_node": "B"}],
        departures=[{"departure_id": "d", "lane_id": "AB", "capacity_parcels": 3.0}],
        services=[{"service_id": "s", "due_hours": 24.0, "late_cost_per_day": 1.0}],
    )
    orders = make_orders(*({"from_node": "A", "to_node": "B", "service_id": "s"} for _ in range(8)))
    cold = plan(feed, orders, outcomes=1)
    warm = plan(feed, orders, outcomes=1, prices=cold)
    assert warm.summary["cost"] == cold.summary["cost"] == pytest.approx(3 * 21 + 2 * 22)
    assert warm.loads["parcels"].to_list() == [3.0, 3.0, 2.0]
    assert rk.check(feed, orders, warm).violations == []


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"outcomes": 0}, "plan.outcomes"),
        ({"outcomes": 65}, "plan.outcomes"),
        ({"horizon_days": 0}, "plan.horizon"),
        ({"horizon_days": 3651}, "plan.horizon"),
        ({"start": datetime(2026, 1, 1)}, "plan.start"),
    ],
)
def test_senseless_wishes_are_refused_with_the_next_action(tiny, wish, code):
    """A wish that means nothing is an error that says what to do, from a plan and from an explanation alike."""
    feed, orders = tiny
    for ask in (lambda: plan(feed, orders, **wish), lambda: rk.explain(feed, orders, "O00000001", **wish)):
        with pytest.raises(rk.InvalidInput, match="Next: ") as told:
            ask()
        assert told.value.code == code


@pytest.mark.parametrize(
    ("effort", "code"),
    [({"gap": -0.1}, "plan.gap"), ({"gap": 1.0}, "plan.gap"), ({"seconds": 0.0}, "plan.seconds")],
)
def test_a_senseless_effort_is_refused(tiny, effort, code):
    """A gap that is no share and no time at all are errors, from a plan and from a what-if alike."""
    for ask in (lambda: plan(*tiny, **effort), lambda: rk.what_if(*tiny, [rk.ScaleVolume(2)], **effort)):
        with pytest.raises(rk.InvalidInput, match="Next: ") as told:
            ask()
        assert told.value.code == code


def test_no_good_order_is_an_error_with_every_fault(tiny):
    """When no order is left, the error carries the notices of all of them."""
    feed, orders = tiny
    with pytest.raises(rk.InvalidInput) as told:
        plan(feed, orders.with_columns(service_id=pl.lit("teleport")))
    assert {n.code for n in told.value.notices} == {"unknown_service"}


@pytest.fixture(scope="module")
def policy(tiny, tmp_path_factory):
    """A plan of the tiny network with its policy tables."""
    made = plan(*tiny, policy=True)
    return made, rk.PolicyTable.open(made.write(tmp_path_factory.mktemp("policy") / "plan") / "policy")


def test_the_policy_table_gives_each_parcels_first_move(tiny, policy):
    """At its origin when ready, a parcel of a column's very class is told the plan's first leg, cost and chance."""
    _, orders = tiny
    made, table = policy
    seen = 0
    rows = made.parcels.join(orders, on="order_id").filter(pl.col("status") == "planned")
    weights = table.columns["chargeable_g"]
    for order in rows.drop_nulls(["from_node", "to_node"]).iter_rows(named=True):
        for column in table.columns_to(order["to_node"], order["goods"]):
            same_due = order["due_at"] == datetime.fromtimestamp(table.columns["due_minute"][column] * 60, UTC)
            if table.columns["zone_id"][column] is None and same_due and weights[column] == order["chargeable_g"]:
                move = table.move(column, order["from_node"], order["ready_at"])
                leg = made.legs.filter(pl.col("order_id") == order["order_id"]).row(0, named=True)
                assert (move.departure_id, move.depart_at) == (leg["departure_id"], leg["depart_at"])
                assert move.cost == pytest.approx(order["cost"], abs=0.01)
                assert move.chance == pytest.approx(order["on_time_probability"], abs=0.005)
                seen += 1
    assert seen >= 10


def test_a_missed_departure_leads_to_the_next_move(policy):
    """A minute after the cut-off of a move, the table names a later one, no cheaper."""
    _, table = policy
    column, node = 0, next(iter(table.nodes))
    for name in table.nodes:
        first = table.move(column, name, datetime(2026, 9, 15, 8, tzinfo=UTC))
        if first is not None:
            node = name
            break
    late = first.cutoff_at.replace(second=0)
    after = table.move(column, node, late.replace(minute=(late.minute + 1) % 60, hour=late.hour + (late.minute == 59)))
    assert after is None or (after.cutoff_at > first.cutoff_at and after.cost >= first.cost - 0.02)


def test_many_look_ups_equal_single_ones(policy):
    """The vectorised look-up gives what `move` gives, for random places, times and columns."""
    _, table = policy
    r = np.random.default_rng(0)
    columns = r.integers(0, table.columns.height, 200)
    nodes = r.integers(0, len(table.nodes), 200)
    at = r.integers(int(table.cutoff.min()), int(table.cutoff.max()), 200)
    places, cost, chance = table.moves(columns, nodes, at)
    paid, likely = table.worths(columns, nodes, at)
    assert (paid == cost).all() and (likely == chance).all()
    names = list(table.nodes)
    for i in range(200):
        move = table.move(int(columns[i]), names[nodes[i]], datetime.fromtimestamp(int(at[i]) * 60, UTC))
        if move is None:
            assert places[i] == -1
        else:
            assert (move.cost, move.chance) == (cost[i], chance[i])
            assert table.departures["departure_id"][int(places[i])] == move.departure_id


def test_a_quote_names_the_first_due_time_that_is_sure_enough(policy):
    """`promise` gives the first column, by due time, whose chance reaches the confidence."""
    _, table = policy
    goods, destination = table.columns["goods"][0], table.columns["destination"][0]
    columns = table.columns_to(destination, goods)
    at = int(table.cutoff.min())
    for node in range(len(table.nodes)):
        column, cost, chance = table.promise(columns, node, at, 0.9)
        singles = [table.moves(np.array([c]), np.array([node]), np.array([at])) for c in columns]
        sure = [c for c, (place, _, p) in zip(columns, singles, strict=True) if place[0] >= 0 and p[0] >= 0.9]
        assert column == (sure[0] if sure else -1)
        if sure:
            _, one_cost, one_chance = singles[columns.index(column)]
            assert (cost, chance) == (one_cost[0], one_chance[0])


def test_a_damaged_or_missing_table_says_so(policy, tmp_path):
    """No table, or one that cannot be read, is an error with the next action."""
    with pytest.raises(rk.NotFound, match="--policy"):
        rk.PolicyTable.open(tmp_path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(rk.InvalidInput, match="plan again"):
        rk.PolicyTable.open(tmp_path)


def test_a_column_fits_the_weight_and_service_asked_for(policy):
    """A parcel heavier than those a column stands for, or of another service, does not get it."""
    _, table = policy
    row = table.columns.row(0, named=True)
    destination, goods, service = row["destination"], row["goods"], row["service_id"]
    column = table.column(destination, goods=goods, service_id=service, weight_g=row["heaviest_g"])
    found = table.columns.row(column, named=True)
    assert found["service_id"] == service and found["heaviest_g"] >= row["heaviest_g"]
    with pytest.raises(rk.NotFound, match="no column"):
        table.column(destination, goods=goods, weight_g=1e9)
    with pytest.raises(rk.NotFound, match="teleport"):
        table.column(destination, goods=goods, service_id="teleport")


def test_asking_a_table_for_the_unknown_is_an_error(policy):
    """An unknown node or destination, an instant without offset or before the table begins is named."""
    _, table = policy
    node = next(iter(table.nodes))
    with pytest.raises(rk.InvalidInput, match="no time zone"):
        table.move(0, node, datetime(2026, 9, 15))
    with pytest.raises(rk.InvalidInput, match="before the table begins"):
        table.move(0, node, datetime(2020, 9, 15, tzinfo=UTC))
    with pytest.raises(rk.NotFound, match="nowhere"):
        table.column("nowhere")
    with pytest.raises(rk.NotFound, match="nowhere"):
        table.move(0, "nowhere", datetime(2026, 9, 15, tzinfo=UTC))


def test_every_order_left_out_is_counted(tiny, tmp_path):
    """`orders_left_out` counts rows the reader left out, beyond what notices list, and those no service takes."""
    feed, orders = tiny
    row = pl.int_range(pl.len())
    weight = pl.when(row < 300).then(-1.0).otherwise("weight_g")
    service = pl.when(row >= 380).then(pl.lit("teleport")).otherwise("service_id")
    orders.with_columns(weight_g=weight, service_id=service).write_parquet(tmp_path / "o.parquet")
    made = plan(feed, rk.read_orders(tmp_path / "o.parquet"), outcomes=1)
    assert made.summary["orders"] == 80 and made.summary["orders_left_out"] == 320
    (unknown,) = [n for n in made.notices if n.code == "unknown_service" and n.count == 1][:1]
    assert unknown.file == "o.parquet"


def test_somebodys_manifest_is_no_plan(tiny, tmp_path):
    """A web app's folder has a manifest.json too: it is not replaced, nor is a plan to which something was added."""
    made = plan(*tiny, outcomes=1)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "manifest.json").write_text('{"name": "My app", "icons": []}')
    with pytest.raises(rk.Conflict, match="not written by this program"):
        made.write(tmp_path / "app")
    made.write(tmp_path / "plan")
    made.write(tmp_path / "plan")
    (tmp_path / "plan" / "notes.txt").write_text("mine")
    with pytest.raises(rk.Conflict, match=r"notes\.txt"):
        made.write(tmp_path / "plan")
    assert (tmp_path / "plan" / "notes.txt").exists() and len(list((tmp_path / "app").iterdir())) == 1
