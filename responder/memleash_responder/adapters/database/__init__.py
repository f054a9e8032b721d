"""The responder's own tables, on SQLite or PostgreSQL: inbox, requests, host states, mutes.

One module per table's concern; ``engine`` opens the database and translates its errors.
Nothing here decides: rows in, rows out, each change one transaction.
"""
