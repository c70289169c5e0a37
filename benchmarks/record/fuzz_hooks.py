"""Read by schemathesis: bodies of these kinds are sent as the bytes they are."""

import schemathesis

schemathesis.serializer.alias(
    ["application/zip", "text/csv", "application/jsonl", "application/vnd.apache.parquet"], "application/octet-stream"
)
