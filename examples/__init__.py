"""Small networks on real data, and what to do with them."""
