"""Real servers, started when a test first asks for one: Valkey, PostgreSQL, and an S3 store.

Each is a class that can also be killed and started again in place, with the port and the data that it had.
"""
