"""What `import rookery as rk` offers."""

import ast
import inspect
import subprocess
import sys

import rookery as rk


def test_every_public_name_exists_and_is_documented():
    """Each name of __all__ loads, and says in its docstring what it is."""
    for name in rk.__all__:
        assert inspect.getdoc(getattr(rk, name)), name


def test_functions_are_typed():
    """Public functions annotate every parameter and what they return."""
    for name in rk.__all__:
        thing = getattr(rk, name)
        if inspect.isfunction(thing):
            signature = inspect.signature(thing)
            hints = [*signature.parameters.values()]
            assert all(p.annotation is not p.empty for p in hints), name
            assert signature.return_annotation is not signature.empty, name


def test_every_name_is_loaded_from_where_it_is_at_home():
    """What type checkers are told to import is what is loaded, name by name."""
    told = ast.parse(inspect.getsource(rk))
    homes = {
        alias.name: node.module
        for block in ast.walk(told)
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert homes == rk._HOME_OF
    assert set(homes) == set(rk.__all__)


def test_a_plan_can_be_rehearsed_from_python(tmp_path):
    """Experiments are made, read, run and held together with what the package offers."""
    feed = rk.read_feed(rk.sample_network("tiny", 7, tmp_path / "feed"))
    rk.write_orders(rk.sample_orders(feed, 20, 7), tmp_path / "orders.csv")
    orders = rk.read_orders(tmp_path / "orders.csv")
    (tmp_path / "x.toml").write_text('name = "x"\noutcomes = 1\nruns = 2\n[trouble]\ncorrelation = 0.5\n')
    made = rk.Experiment(name="x", outcomes=1, runs=2)
    for name, experiment in (("a", made), ("b", rk.read_experiment(tmp_path / "x.toml"))):
        trials = rk.run_experiment(feed, orders, experiment, threads=1)
        assert isinstance(trials, rk.Trials)
        trials.write(tmp_path / name)
    assert rk.compare_trials(tmp_path / "a", tmp_path / "b")[0].seeds == 2


def test_importing_loads_nothing_heavy():
    """`import rookery` alone brings neither numba nor polars."""
    code = "import sys, rookery; assert not {'numba', 'polars', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    """A mistyped name is refused in the usual way."""
    assert not hasattr(rk, "plann")
