"""Networks that others have trained and published, through the whole way: read, compared, compressed, loaded."""
