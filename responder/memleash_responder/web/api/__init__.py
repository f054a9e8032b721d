"""The API below ``/api/v1``: one module a subject, each a function that adds its operations.

What they share: table (the routes), parameters, models (what is answered), and json_schema and
openapi, which derive the document from these.
"""
