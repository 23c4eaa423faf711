import pytest

from sterna.errors import InvalidSpec, NotFound


def test_a_key_opens_until_it_is_revoked_and_is_kept_nowhere(ledger, tmp_path):
    made, key = ledger.create_key(tenant="acme", name="ci", scope="submit")
    other, _ = ledger.create_key(tenant="acme", name="ci", scope="read")
    assert ledger.find_key(key) == made
    assert ledger.find_key(key + "x") is None
    assert ledger.find_key("") is None
    assert ledger.keys() == (made, other)
    assert len(key) > 40
    assert not any(key.encode() in path.read_bytes() for path in tmp_path.iterdir())
    revoked = ledger.revoke_key(made.id)
    assert ledger.find_key(key) is None
    assert ledger.revoke_key(made.id) == revoked
    assert (ledger.has_keys(), ledger.has_keys(usable=True)) == (True, True)
    ledger.revoke_key(other.id)
    assert (ledger.has_keys(), ledger.has_keys(usable=True)) == (True, False)


def test_each_scope_includes_those_before_it(ledger):
    may = {}
    for scope in ("read", "submit", "admin"):
        key, _ = ledger.create_key(tenant="t", name="n", scope=scope)
        may[scope] = [wanted for wanted in ("read", "submit", "admin") if key.may(wanted)]
    assert may == {"read": ["read"], "submit": ["read", "submit"], "admin": ["read", "submit", "admin"]}


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\n", "x" * 64, "ä"])
def test_names_that_cannot_be_used(ledger, name):
    for fields in ({"tenant": name, "name": "n"}, {"tenant": "t", "name": name}):
        with pytest.raises(InvalidSpec, match="cannot be used"):
            ledger.create_key(scope="read", **fields)


def test_an_unknown_key_is_not_revoked(ledger):
    with pytest.raises(NotFound):
        ledger.revoke_key("key_\x00")


BROUGHT = "sterna_" + "aZ09-_" * 7 + "x"


def test_a_key_that_is_brought_along_opens_and_may_be_brought_again(ledger):
    known = ledger.import_key(BROUGHT, tenant="acme", name="ci", scope="admin")
    assert ledger.find_key(BROUGHT) == known
    assert (known.tenant, known.name, known.scope) == ("acme", "ci", "admin")
    assert ledger.import_key(BROUGHT, tenant="other", name="x", scope="read") == known
    revoked = ledger.revoke_key(known.id)
    assert ledger.import_key(BROUGHT, tenant="acme", name="ci", scope="admin") == revoked
    assert ledger.find_key(BROUGHT) is None
    assert ledger.keys() == (revoked,)


def test_a_key_that_was_made_here_can_be_brought_elsewhere(ledger):
    made, key = ledger.create_key(tenant="acme", name="ci", scope="read")
    assert ledger.import_key(key, tenant="acme", name="ci", scope="read") == made


@pytest.mark.parametrize(
    "key", ["", "secret", "sterna_", BROUGHT[:-1], BROUGHT + "x", BROUGHT[:-1] + "=", BROUGHT + "\n"]
)
def test_what_could_be_guessed_is_no_key(ledger, key):
    with pytest.raises(InvalidSpec, match="none of ours") as refused:
        ledger.import_key(key, tenant="acme", name="ci", scope="admin")
    assert not key or key not in str(refused.value.detail)
    assert not ledger.has_keys()
