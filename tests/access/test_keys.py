"""API keys: made, shown once, narrowed, expired, revoked within a second."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.access import service
from app.access.domain import KeyRequest, Scope
from app.access.keys import KeyRing
from app.access.principals import BankPrincipal, OperatorPrincipal, Role
from app.db.engine import Database
from app.errors import Forbidden, RateLimited, Unauthenticated


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def given_secret(
    db: Database,
    *,
    role: Role = Role.OPERATOR,
    expires_at: datetime | None = None,
    scopes: tuple[Scope, ...] | None = None,
) -> tuple[str, UUID]:
    bank = "HZCB" if role is Role.BANK else None
    wanted = KeyRequest(
        role=role, person_id="li.na", bank=bank, expires_at=expires_at, scopes=scopes
    )
    async with db.transaction() as tx:
        issued = await service.insert_key(tx, wanted)
    assert issued.secret is not None
    return issued.secret, issued.key.key_id


async def test_a_key_says_whose_it_is(db: Database) -> None:
    secret, key_id = await given_secret(db)
    assert await KeyRing(db).authenticate(secret, writes=True) == OperatorPrincipal(key_id, "li.na")


async def test_of_a_secret_only_its_digest_is_kept(db: Database) -> None:
    secret, _ = await given_secret(db)
    async with db.snapshot() as tx:
        dump = await tx.value("SELECT string_agg(api_key::text, ' ') FROM api_key")
    assert secret not in str(dump)
    assert len(secret) >= 43


@pytest.mark.parametrize("secret", ["ak_", "ak_x", "ak_" + "x" * 43, "ak_" + "x" * 5000, "ak_\0"])
async def test_a_key_that_was_never_made_is_unauthenticated(db: Database, secret: str) -> None:
    with pytest.raises(Unauthenticated):
        await KeyRing(db).authenticate(secret, writes=False)


async def test_an_expired_key_is_unauthenticated_also_when_it_is_remembered(db: Database) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    secret, _ = await given_secret(db, expires_at=soon)
    ring = KeyRing(db)
    await ring.authenticate(secret, writes=False)
    while datetime.now(UTC) < soon:
        pass
    with pytest.raises(Unauthenticated):
        await ring.authenticate(secret, writes=False)


async def test_a_revocation_counts_within_a_second_in_another_process(db: Database) -> None:
    clock = Clock()
    ring = KeyRing(db, clock=clock)
    secret, key_id = await given_secret(db)
    await ring.read_revocations()
    await ring.authenticate(secret, writes=False)
    await service.revoke_key(db, key_id)
    clock.now += 0.9
    with pytest.raises(Unauthenticated):
        await ring.authenticate(secret, writes=False)


async def test_a_reading_of_revocations_forgets_the_key_at_once(db: Database) -> None:
    ring = KeyRing(db, clock=Clock())
    secret, key_id = await given_secret(db)
    await ring.authenticate(secret, writes=False)
    await service.revoke_key(db, key_id)
    await ring.read_revocations()
    with pytest.raises(Unauthenticated):
        await ring.authenticate(secret, writes=False)


async def test_a_key_whose_revocation_was_read_long_ago_is_looked_up_again(db: Database) -> None:
    clock = Clock()
    ring = KeyRing(db, clock=clock)
    secret, key_id = await given_secret(db)
    await ring.authenticate(secret, writes=False)
    await service.revoke_key(db, key_id)
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE api_key SET revoked_at = revoked_at - interval '1 hour' WHERE key_id = :id",
            id=key_id,
        )
    clock.now += 3600
    await ring.read_revocations()
    with pytest.raises(Unauthenticated):
        await ring.authenticate(secret, writes=False)


async def test_a_key_for_reading_does_not_write(db: Database) -> None:
    secret, _ = await given_secret(db, scopes=(Scope.READ,))
    ring = KeyRing(db)
    await ring.authenticate(secret, writes=False)
    with pytest.raises(Forbidden):
        await ring.authenticate(secret, writes=True)


async def test_two_keys_of_one_bank_share_its_tenant(db: Database) -> None:
    ring = KeyRing(db)
    first, _ = await given_secret(db, role=Role.BANK)
    second, _ = await given_secret(db, role=Role.BANK)
    one = await ring.authenticate(first, writes=True)
    other = await ring.authenticate(second, writes=True)
    assert isinstance(one, BankPrincipal)
    assert one != other
    assert one.tenant == other.tenant


async def test_who_guesses_is_stopped_and_who_holds_a_key_is_not(db: Database) -> None:
    ring = KeyRing(db, failures_per_minute=3, clock=Clock())
    secret, _ = await given_secret(db)
    await ring.authenticate(secret, writes=False, caller="10.0.0.1")
    for number in range(3):
        with pytest.raises(Unauthenticated):
            await ring.authenticate(f"ak_{number}", writes=False, caller="10.0.0.1")
    with pytest.raises(RateLimited):
        await ring.authenticate("ak_9", writes=False, caller="10.0.0.1")
    with pytest.raises(Unauthenticated):
        await ring.authenticate("ak_9", writes=False, caller="10.0.0.2")
    assert await ring.authenticate(secret, writes=False, caller="10.0.0.1")
