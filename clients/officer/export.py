"""`outrider alert export`: the CAP document of an alert in its original bytes, for another system or the file."""

from pathlib import Path

import click

from clients.core.errors import Unknown
from clients.device import device, short
from clients.shell import Verb, show, write_new


@click.command("export", cls=Verb)
@click.argument("root", metavar="ALERT")
@click.option(
    "--cap", "file", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The file to write."
)
def export(root: str, file: Path) -> None:
    """Write the CAP document of ALERT to FILE: the very bytes that were signed and sent, never written anew. Needs no gateway.

    Example: outrider alert export 3fa29c01 --cap crowd.cap
    """
    with device() as station:
        fits = [a for a in station.alerts() if root and a.root.hex().startswith(root.lower())]
    if len(fits) != 1:
        raise Unknown(f"{len(fits)} alerts begin with {root}: see `outrider alert list`")
    (view,) = fits
    write_new(file, view.cap, secret=True)  # its marking holds outside of here too
    show(
        {"root": view.root.hex(), "file": str(file), "bytes": len(view.cap)},
        f"WROTE alert {short(view.root)}, {len(view.cap)} bytes",
    )
