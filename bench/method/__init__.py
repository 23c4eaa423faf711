"""How good the method is: every way of making a network ternary, side by side, on real data."""
