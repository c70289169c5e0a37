"""The whole OpenAPI document against a real server, with questions that schemathesis makes up from it."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

import rookery.app
from rookery.base.operations import OPERATIONS
from rookery.doors.http.openapi import document

assert rookery.app.ACTS
EXAMPLES = 40
"""Questions for each operation, the same ones each time."""
for media in ("application/zip", "application/jsonl", "application/vnd.apache.parquet"):
    schemathesis.openapi.media_type(media, st.binary(max_size=200))
schema = schemathesis.openapi.from_dict(document(OPERATIONS.values()))
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


@pytest.fixture(scope="module")
def key(served) -> str:
    """An admin's key of a party of its own: nothing that is asked here is missed elsewhere."""
    return served.new_key("admin", party=served.new_party("Schemathesis"))


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_nothing_that_is_asked_breaks_the_document(case, served, key):
    """No answer of 500 or above, no status and no shape that the document does not tell."""
    case.call_and_validate(base_url=served.url, headers={"Authorization": f"Bearer {key}"}, checks=CHECKS, timeout=30)
