from sterna.digest import file_digest


def test_the_digest_is_sha_256_in_hexadecimal(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")  # the example of FIPS 180-4
    assert file_digest(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
