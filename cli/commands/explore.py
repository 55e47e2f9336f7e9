"""``infogan-tool explore``: the page on which codes and images become each other."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import DeviceOption, ForceOption
from infogan_tool.runtime.errors import UsageError

__all__ = ["explore"]

_HOST: Final = "127.0.0.1"


def explore(
    bundle: Annotated[
        Path | None,
        typer.Argument(
            metavar="[BUNDLE]",
            help="Folder made by export. Default: the MNIST bundle that ships.",
            show_default=False,
        ),
    ] = None,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="[OTHER]", help="A second bundle, to compare.", show_default=False),
    ] = None,
    *,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            metavar="DIR",
            help="Write the page as a static site, which any file server serves; needs npm.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            metavar="N",
            help="Port to answer at; 0 is any free one (default 8421).",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Address to answer at (default 127.0.0.1, which only this machine reaches).",
            show_default=False,
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the web browser.")
    ] = True,
    device: DeviceOption = "auto",
    force: ForceOption = False,
) -> None:
    """Open a page to draw digits, see their codes, turn the codes and see the images.

    Ends with Ctrl-C. Works without a network.

    Examples:
      infogan-tool explore

      infogan-tool explore my-bundle plain-gan

      infogan-tool explore --export site
    """
    from infogan_tool.runtime import load_bundle

    if export is not None:
        if port is not None or host is not None:
            raise UsageError("--export writes files and answers nowhere: leave out --port and --host")
        from infogan_tool.cli.explorer.static_site import write_site

        opened = [load_bundle(path, device="cpu") for path in _paths(bundle, other)]
        write_site(opened, export, force=force)
        output.note(f"wrote {export}; to see it: python -m http.server --directory {export}")
        return
    require_extras("explore", "ui")
    from infogan_tool.cli.explorer.server import address_of, is_loopback, listen, serve

    opened = [load_bundle(path, device=device) for path in _paths(bundle, other)]
    taken = listen(host or _HOST, port)

    def announce() -> None:
        address = address_of(taken)
        output.note(f"the explorer is at {address} (Ctrl-C ends it)")
        if not is_loopback(taken):
            output.note("every machine that reaches this one can use it")
        if browser:
            _open_browser(address)

    with suppress(KeyboardInterrupt):  # which is how it is meant to end
        serve(opened, taken, announce)


def _open_browser(address: str) -> None:
    import webbrowser
    from threading import Thread

    # Beside the server, because some browsers keep the caller waiting; the socket listens already.
    Thread(target=webbrowser.open, args=[address], daemon=True).start()


def _paths(bundle: Path | None, other: Path | None) -> list[Path | None]:
    return [bundle] if other is None else [bundle, other]
