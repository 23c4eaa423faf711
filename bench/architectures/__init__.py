"""A census of architectures: what of transformers' networks, made small, the reader takes in four ways."""
