"""The revisions of the schema, one file each in `versions/`; `storage/revisions.py` applies them."""
