"""The HTTP door: routes, permissions and the OpenAPI document are read from the table of operations."""
