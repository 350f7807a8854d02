"""The sandbox's files in the data folder, readable by its owner alone."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from app.sandbox.domain import Sandbox, SandboxKeys

KEYS_FILE: Final = "sandbox-keys.json"
SANDBOX_FILE: Final = "sandbox.json"


def keys_in(data: Path) -> SandboxKeys:
    """Give the secrets of this data folder, made the first time."""
    path = data / KEYS_FILE
    if not path.exists():
        _write(path, asdict(SandboxKeys.make()), replace=False)
    return SandboxKeys(**json.loads(path.read_text()))


def publish(data: Path, sandbox: Sandbox) -> None:
    """Write `sandbox.json`: whoever waits for it finds it whole."""
    _write(data / SANDBOX_FILE, shown(sandbox), replace=True)


def withdraw(data: Path) -> None:
    """Take away what an earlier run wrote, so that nobody takes it for ready."""
    (data / SANDBOX_FILE).unlink(missing_ok=True)


def shown(sandbox: Sandbox) -> Mapping[str, object]:
    """Say a sandbox in the contract's fields."""
    merchant = sandbox.merchant
    return {
        "base_url": sandbox.base_url,
        **asdict(sandbox.keys),
        "bank": merchant.bank,
        "merchant_id": merchant.merchant_id,
        "store_id": merchant.store_id,
        "custody_account": merchant.custody_account,
        "products": dict(merchant.products),
        "consumer_id": sandbox.consumer_id,
        "consumer_token": sandbox.consumer_token,
    }


def _write(path: Path, content: Mapping[str, object], *, replace: bool) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
        file.write("\n")
    if replace:
        unfinished.replace(path)
        return
    try:
        # Of two processes at once one makes it, and the other takes what is there.
        path.hardlink_to(unfinished)
    except FileExistsError:
        pass
    finally:
        unfinished.unlink()
