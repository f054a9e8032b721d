"""The responder's own tables, on SQLite or PostgreSQL. All of them stand in ``schema``.

Each other module is about one concern; ``engine`` opens the database and translates its errors.
Nothing here decides: rows in, rows out, each change one transaction.
"""
