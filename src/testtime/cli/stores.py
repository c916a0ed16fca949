"""``testtime store``: adapters by name, with versions."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testtime.cli.output import echo_json
from testtime.errors import StoreError, sentence
from testtime.plain import in_one_line

if TYPE_CHECKING:
    from testtime.scale.adapter_store import AdapterStore, Damage

__all__ = ["existing_store", "register"]

_Store = Annotated[
    str, typer.Argument(metavar="STORE", help="Folder, or a URL such as s3://bucket/adapters.")
]
_Name = Annotated[str, typer.Argument(help="Name of an adapter.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    store = typer.Typer(no_args_is_help=True, help="Adapters by name: list, add, remove, roll back, verify.")
    store.command("list")(list_adapters)
    for command in (add, remove, rollback, verify):
        store.command()(command)
    app.add_typer(store, name="store")


def list_adapters(
    store: _Store,
    name: Annotated[str | None, typer.Option(help="Show all versions of this adapter.")] = None,
    as_json: _Json = False,
) -> None:
    """List the adapters with version, size and the moment each was added."""
    opened = existing_store(store)
    found = opened.list() if name is None else opened.versions(name)
    if as_json:
        echo_json({"store": opened.where, "adapters": [version.to_dict() for version in found]})
        return
    names = [in_one_line(version.name) for version in found]
    wide = max([7, *map(len, names)])
    typer.echo(f"{'adapter':<{wide}}  version        bytes  added                     hash")
    for shown, version in zip(names, found, strict=True):
        back = f"  restores {version.restores}" if version.restores else ""
        added = version.added[:23] or "damaged entry"
        line = f"{shown:<{wide}}  {version.number:>7}  {version.n_bytes:>11,}  {added:<24}"
        typer.echo(f"{line}  {version.sha256[:12]}{back}")
    total = sum({version.sha256: version.n_bytes for version in found}.values())
    typer.echo(f"{len(found):,} {'version' if name else 'adapter'}{'s'[: len(found) != 1]}, {total:,} bytes")


def add(
    store: _Store,
    name: _Name,
    model: Annotated[Path, typer.Argument(help="Folder that `testtime adapt` made.")],
    as_json: _Json = False,
) -> None:
    """Make a saved model the current version of a name."""
    from testtime.scale.adapter_store import AdapterStore

    version = AdapterStore(store).add(name, model)
    if as_json:
        echo_json(version.to_dict())
    else:
        typer.echo(f"{in_one_line(name)} is at version {version.number} now: {version.n_bytes:,} bytes")


def remove(
    store: _Store,
    name: _Name,
    version: Annotated[
        int | None, typer.Option(help="Forget this version only; not the one that is served.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Forget an adapter and all its versions, or with --version one that is not served."""
    from testtime.scale.adapter_store import UnknownName

    opened = existing_store(store)
    try:
        opened.remove(name, version)
    except UnknownName as error:
        left = opened.unnamed()
        if left:  # perhaps by the same command, killed when the name was gone
            got = f"{opened.where!r} has no adapter {name!r}, and {_left(left)}"
            raise UnknownName(sentence(got, remedy=_sweep(opened))) from error
        raise
    if as_json:
        echo_json({"removed": name} | ({} if version is None else {"version": version}))
    else:
        shown = in_one_line(name)
        typer.echo(f"{shown} is removed" if version is None else f"version {version} of {shown} is removed")


def rollback(
    store: _Store,
    name: _Name,
    to: Annotated[int | None, typer.Option(help="Version to serve again; default the one before.")] = None,
    as_json: _Json = False,
) -> None:
    """Serve an older version again."""
    version = existing_store(store).rollback(name, to)
    if as_json:
        echo_json(version.to_dict())
    else:
        typer.echo(
            f"{in_one_line(name)} serves version {version.restores} again, as version {version.number}"
        )


def verify(
    store: _Store,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="First delete adapters that no name stands for.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Read every byte of every version; exit code 2 if one is damaged, or no name stands for an adapter."""
    opened = existing_store(store)
    swept = opened.sweep() if sweep else ()
    damages, left = opened.verify(), opened.unnamed()
    if as_json:
        found = {"damaged": [damage.to_dict() for damage in damages], "unnamed": left, "swept": swept}
        echo_json({"store": opened.where, **found})
    else:
        for sha256 in swept:
            typer.echo(f"adapters/{sha256}: deleted, since no name stood for it")
        for sha256 in left:
            typer.echo(f"adapters/{sha256}: no name stands for it")
        for damage in damages:
            which = "served" if damage.served else "older"
            typer.echo(f"{in_one_line(damage.name)}, version {damage.number} ({which}): {damage.reason}")
    if damages:
        n, served = len(damages), sum(damage.served for damage in damages)
        got = f"{n:,} {'version is' if n == 1 else 'versions are'} damaged in {opened.where!r}: "
        got += f"{served:,} served, {n - served:,} older"
        raise StoreError(sentence(got, remedy=_remedy(opened, damages)))
    if left:
        raise StoreError(sentence(f"in {opened.where!r} {_left(left)}", remedy=_sweep(opened)))
    if not as_json:
        typer.echo(f"{len(opened.list()):,} adapters, every byte as it was written")


def _left(unnamed: Sequence[str]) -> str:
    n = len(unnamed)
    return f"no name stands for {n:,} saved {'adapter' if n == 1 else 'adapters'}, as a killed change leaves behind"


def _sweep(store: AdapterStore) -> str:
    command = shlex.join(["testtime", "store", "verify", store.where, "--sweep"])
    return f"If no names were lost, delete what is left over with: {command}"


def _remedy(store: AdapterStore, damages: Sequence[Damage]) -> str:
    """Say how to get rid of the first damage of each kind, in commands as they are typed."""
    bad, said = {(damage.name, damage.number) for damage in damages}, []
    served = next((damage for damage in damages if damage.served), None)
    if served is not None:
        name = served.name
        sound = [one.number for one in store.versions(name) if (name, one.number) not in bad]
        if sound:
            rollback = _command("rollback", store, name, "--to", sound[-1])
            said.append(f"Serve a sound version of {name!r} with: {rollback}")
        elif "://" in store.where:  # where a rerun believes what is served
            said.append(f"Before {name!r} is adapted or added again: {_command('remove', store, name)}")
        else:
            said.append(f"Adapt {name!r} again, or add it with: testtime store add")
    older = next((damage for damage in damages if not damage.served), None)
    if older is not None:
        said.append(
            f"Forget an older one with: {_command('remove', store, older.name, '--version', older.number)}"
        )
    return ". ".join(said)


def _command(what: str, store: AdapterStore, name: str, *options: object) -> str:
    words = ["testtime", "store", what, store.where, name, *map(str, options)]
    if name.startswith("-"):
        words = [*words[:3], *words[5:], "--", *words[3:5]]
    return shlex.join(words)


def existing_store(store: str) -> AdapterStore:
    """Return a store to read; another folder, or none, would look like a store without adapters.

    Raises
    ------
    StoreError
        If there is no folder of this name, or it is that of a saved model, or holds other files and is no store.
    """
    from testtime.scale.adapter_store import AdapterStore
    from testtime.scale.damage import refuse_no_store
    from testtime.store.files import files_at
    from testtime.store.manifest import MANIFEST

    opened = AdapterStore(store)
    if "://" in opened.where:
        refuse_no_store(files_at(opened.where))
        return opened
    if not Path(opened.where).is_dir():
        remedy = "Check the name; testtime store add makes a store"
        raise StoreError(sentence(f"there is no folder {opened.where!r}", expected="a store", remedy=remedy))
    if (Path(opened.where) / MANIFEST).exists():
        remedy = "Put it into one with: testtime store add"
        raise StoreError(
            sentence(f"{opened.where!r} is a saved model", expected="a store of models", remedy=remedy)
        )
    refuse_no_store(files_at(opened.where))
    return opened
