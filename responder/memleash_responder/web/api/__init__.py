"""The API below ``/api/v1``: one module a subject, each a function that adds its operations."""
