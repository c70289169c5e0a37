"""Names in EPCIS documents: short and full ones mean the same, whatever a context holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.tracking.epcis.contexts import STANDARD_CONTEXT, Names

EXAMPLE = "https://ns.example.com/epcis/"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("contexts", "name", "expanded"),
    [
        ([{"ex": EXAMPLE}], "ex:myField", "{https://ns.example.com/epcis/}myField"),
        ([{"ex": EXAMPLE}], EXAMPLE + "myField", "{https://ns.example.com/epcis/}myField"),
        ([], EXAMPLE + "myField", "{https://ns.example.com/epcis/}myField"),
        ([{"ex": "https://ns.example.com/epcis"}], "ex:myField", "{https://ns.example.com/epcis}myField"),
        ([{"ex": EXAMPLE, "mine": "ex:myField"}], "mine", "{https://ns.example.com/epcis/}myField"),
        ([{"mine": {"@id": EXAMPLE + "myField", "@type": "@id"}}], "mine", "{https://ns.example.com/epcis/}myField"),
        ([STANDARD_CONTEXT, [{"ex": "https://first/"}, {"ex": EXAMPLE}]], "ex:a", "{https://ns.example.com/epcis/}a"),
        ([{"rookery": "urn:rookery:epcis:"}], "rookery:code", "{urn:rookery:epcis:}code"),
        ([], "urn:rookery:epcis:code", "{urn:rookery:epcis:}code"),
        ([], "cbvmda:lotNumber", "{urn:epcglobal:cbv:mda:}lotNumber"),
        ([{"gs1": "https://other.example/"}], "gs1:a", "{https://other.example/}a"),
        ([], "nobody:declared", "nobody:declared"),
        ([], "bizStep", "bizStep"),
        ([], "@context", "@context"),
    ],
)
def test_a_name_has_one_full_form(contexts: list, name: str, expanded: str):
    """Prefixes, terms and full names lead to the same name; later declarations and the document's own go first."""
    assert Names.of(contexts).expand(name) == expanded
    assert Names.of(contexts).iri(name) == expanded.replace("{", "").replace("}", "")


def test_values_with_a_known_prefix_are_written_in_full():
    """A prefixed value is expanded, an address and a text that merely holds a colon are not."""
    names = Names.of([{"ex": EXAMPLE, "https": "https://never.example/"}])
    assert names.value("gs1:Temperature") == "https://gs1.org/voc/Temperature"
    assert names.value("ex:a") == EXAMPLE + "a"
    assert names.value("https://id.gs1.org/00/123") == "https://id.gs1.org/00/123"
    assert names.value("left at 10:30") == "left at 10:30"


def test_equal_contexts_share_their_names():
    """Events with equal contexts work with one object."""
    assert Names.of([{"ex": EXAMPLE}]) is Names.of([{"ex": EXAMPLE}])
    assert Names.of([]) is Names.of(())


def test_prefixes_that_name_each_other_in_a_ring_end():
    """A ring of prefixes neither hangs nor fails."""
    assert Names.of([{"a": "b:x", "b": "a:y"}]).expand("a:z").endswith("}z")


@given(st.lists(JSON, max_size=4), st.text(max_size=20))
def test_no_context_breaks_the_names(contexts: list, name: str):
    """Whatever stands in @context, every name has a full form, and it is its own full form."""
    names = Names.of(contexts)
    assert isinstance(names.expand(name), str)
    assert isinstance(names.value(name), str)


def test_numbers_beyond_all_measure_in_a_context_are_passed_over():
    """A number of 5,000 digits in a context is no declaration and no fault."""
    assert Names.of([{"a": 10**5000, "ex": EXAMPLE}]).expand("ex:b") == "{https://ns.example.com/epcis/}b"
