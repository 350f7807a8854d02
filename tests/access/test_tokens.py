"""Consumers' tokens: only a configured issuer, its algorithm, its key, our audience, our time."""

import hmac
import json
from base64 import urlsafe_b64encode
from pathlib import Path
from time import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from app.access.principals import consumer_of
from app.access.tokens import LocalIssuer, TokenVerifier, _Registry
from app.errors import Unauthenticated
from app.settings import SANDBOX_ISSUER, Issuer

ISSUER = "https://wallet.example"
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"}, private=True)
EC = ECKey.generate_key("P-256", {"kid": "ec"}, private=True)
RSA = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)


def _issuer(*algorithms: str, audience: str = "anxin") -> Issuer:
    keys = [key.as_dict(private=False) for key in (ED, EC, RSA)]
    return Issuer.model_validate(
        {"issuer": ISSUER, "audience": audience, "algorithms": algorithms, "jwks": {"keys": keys}}
    )


def _claims(**changed: Any) -> dict[str, Any]:
    claims = {"iss": ISSUER, "aud": "anxin", "sub": "user-1", "exp": time() + 60, **changed}
    return {name: value for name, value in claims.items() if value is not None}


def _token(key: Any = ED, alg: str = "EdDSA", kid: str | None = "ed", **changed: Any) -> str:
    header = {"alg": alg} if kid is None else {"alg": alg, "kid": kid}
    return jwt.encode(header, _claims(**changed), key, registry=_Registry(algorithms=[alg]))


def _part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("key", "alg", "kid"), [(ED, "EdDSA", "ed"), (EC, "ES256", "ec"), (RSA, "RS256", "rsa")]
)
def test_a_token_of_each_algorithm_names_its_consumer(key: Any, alg: str, kid: str) -> None:
    verifier = TokenVerifier([_issuer("EdDSA", "ES256", "RS256")])
    found = verifier.authenticate(_token(key, alg, kid))
    assert found.consumer_id == "user-1"
    assert found.consumer == consumer_of(ISSUER, "user-1")
    assert verifier.authenticate(_token(key, alg, kid)) == found


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"iss": ["https://wallet.example"]},
        {"aud": "other"},
        {"aud": None},
        {"exp": time() - 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"nbf": time() + 3600},
        {"nbf": "now"},
        {"nbf": -1},
        {"nbf": 10**400},
        {"exp": 10**400},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\0b"},
        {"sub": "x" * 256},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        TokenVerifier([_issuer("EdDSA")]).authenticate(_token(**changed))


def test_a_remembered_token_expires() -> None:
    verifier = TokenVerifier([_issuer("EdDSA")])
    token = _token(exp=time() + 0.2)
    verifier.authenticate(token)
    end = time() + 0.3
    while time() < end:
        pass
    with pytest.raises(Unauthenticated):
        verifier.authenticate(token)


def test_an_algorithm_that_the_issuer_does_not_use_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        TokenVerifier([_issuer("EdDSA")]).authenticate(_token(RSA, "RS256", "rsa"))


def test_a_token_without_signature_is_refused() -> None:
    unsigned = f"{_part({'alg': 'none'})}.{_part(_claims())}."
    with pytest.raises(Unauthenticated):
        TokenVerifier([_issuer("EdDSA")]).authenticate(unsigned)


def test_a_public_key_is_never_taken_for_a_shared_secret() -> None:
    # Made by hand: the library refuses to be misused like this.
    secret = RSA.as_pem(private=False)
    for header in ({"alg": "HS256", "kid": "rsa"}, {"alg": "HS256"}):
        signed = f"{_part(header)}.{_part(_claims())}"
        signature = hmac.digest(secret, signed.encode(), "sha256")
        forged = f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"
        with pytest.raises(Unauthenticated):
            TokenVerifier([_issuer("EdDSA", "ES256", "RS256")]).authenticate(forged)


def test_a_key_of_another_algorithm_is_never_used() -> None:
    header, payload, signature = _token(RSA, "RS256", "rsa").split(".")
    confused = f"{_part({'alg': 'EdDSA', 'kid': 'rsa'})}.{payload}.{signature}"
    assert header
    with pytest.raises(Unauthenticated):
        TokenVerifier([_issuer("EdDSA", "RS256")]).authenticate(confused)


def test_a_key_that_came_in_the_token_is_never_used() -> None:
    own = OKPKey.generate_key("Ed25519", private=True)
    registry = _Registry(algorithms=["EdDSA"])
    header = {"alg": "EdDSA", "jwk": own.as_dict(private=False)}
    forged = jwt.encode(header, _claims(), own, registry=registry)
    with pytest.raises(Unauthenticated):
        TokenVerifier([_issuer("EdDSA")]).authenticate(forged)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b",
        "a.b.c",
        "....",
        "e30.e30.e30",
        "x" * 9000,
        f"{_part([])}.{_part([])}.x",
        "剪.发.卡",
    ],
)
def test_no_text_breaks_the_verifier(token: str) -> None:
    with pytest.raises(Unauthenticated):
        TokenVerifier([_issuer("EdDSA")]).authenticate(token)


def test_a_changed_payload_is_refused() -> None:
    header, _, signature = _token().split(".")
    forged = f"{header}.{_part(_claims(sub='user-2'))}.{signature}"
    with pytest.raises(Unauthenticated):
        TokenVerifier([_issuer("EdDSA")]).authenticate(forged)


def test_the_sandbox_issuer_keeps_its_key_private_and_through_a_restart(tmp_path: Path) -> None:
    token = LocalIssuer.of(tmp_path).mint("user-1")
    again = LocalIssuer.of(tmp_path)
    assert TokenVerifier([again.issuer]).authenticate(token).issuer == SANDBOX_ISSUER
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "d" not in again.issuer.jwks["keys"][0]  # type: ignore[index]


def test_a_new_key_of_an_issuer_is_found_in_its_file(tmp_path: Path) -> None:
    clock = [0.0]
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [EC.as_dict(private=False)]}))
    issuer = Issuer(issuer=ISSUER, audience="anxin", algorithms=("EdDSA",), jwks_file=path)
    verifier = TokenVerifier([issuer], clock=lambda: clock[0])
    with pytest.raises(Unauthenticated):
        verifier.authenticate(_token())
    path.write_text(json.dumps({"keys": [ED.as_dict(private=False)]}))
    clock[0] += 60
    assert verifier.authenticate(_token()).consumer_id == "user-1"


def _in_file(path: Path, *keys: Any) -> None:
    path.write_text(json.dumps({"keys": [key.as_dict(private=False) for key in keys]}))


@pytest.mark.parametrize("seconds_between_calls", [1, 29, 61])
def test_a_key_that_its_issuer_dropped_is_believed_for_a_minute_at_most(
    tmp_path: Path, seconds_between_calls: int
) -> None:
    clock = [0.0]
    path = tmp_path / "jwks.json"
    _in_file(path, ED, EC)
    issuer = Issuer(issuer=ISSUER, audience="anxin", algorithms=("EdDSA",), jwks_file=path)
    verifier = TokenVerifier([issuer], clock=lambda: clock[0])
    token = _token(exp=time() + 3600)
    assert verifier.authenticate(token).consumer_id == "user-1"

    _in_file(path, EC)
    while clock[0] <= 60:
        clock[0] += seconds_between_calls
        try:
            verifier.authenticate(token)
        except Unauthenticated:
            break

    assert clock[0] <= 61
    with pytest.raises(Unauthenticated):
        verifier.authenticate(token)


@pytest.mark.parametrize("content", [None, "", "{", '{"keys": 1}', '{"keys": [{"kty": "x"}]}'])
def test_a_file_that_cannot_be_read_leaves_the_keys_that_were_read_last(
    tmp_path: Path, content: str | None
) -> None:
    clock = [0.0]
    path = tmp_path / "jwks.json"
    _in_file(path, ED)
    issuer = Issuer(issuer=ISSUER, audience="anxin", algorithms=("EdDSA",), jwks_file=path)
    verifier = TokenVerifier([issuer], clock=lambda: clock[0])

    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    clock[0] += 60

    assert verifier.authenticate(_token()).consumer_id == "user-1"
