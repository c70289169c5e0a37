"""What `import rookery as rk` offers."""

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


def test_importing_loads_nothing_heavy():
    """`import rookery` alone brings neither numba nor polars."""
    code = "import sys, rookery; assert not {'numba', 'polars', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    """A mistyped name is refused in the usual way."""
    assert not hasattr(rk, "plann")
