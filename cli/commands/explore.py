"""``infogan-tool explore``: a page to infer, change and generate from codes."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import BundleArgument, DeviceOption, ForceOption
from infogan_tool.runtime.errors import UsageError

_HOST: Final = "127.0.0.1"


def explore(
    bundle: BundleArgument = None,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="OTHER", help="A second bundle to compare."),
    ] = None,
    *,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export", metavar="DIR", help="Write the page as a static site for any file server; needs npm."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            metavar="N",
            help="Port to listen on; 0 is any free one. Default: 8421.",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Address to listen on. Default: 127.0.0.1, which only this machine can reach.",
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the web browser.")
    ] = True,
    device: DeviceOption = "auto",
    force: ForceOption = False,
) -> None:
    """Serve a web page to draw digits, see and change their codes, and generate images.

    Ctrl-C stops the server. No network is needed. The static site of --export
    reads drawings and images on an even background only; photographs need the
    server.

    Examples:
      infogan-tool explore

      infogan-tool explore my-bundle plain-gan

      infogan-tool explore --export site
    """
    from infogan_tool.runtime import load_bundle

    if export is not None:
        if port is not None or host is not None:
            raise UsageError("--export only writes files: leave out --port and --host")
        from infogan_tool.cli.explorer.static_site import write_site

        opened = [load_bundle(path, device="cpu") for path in _paths(bundle, other)]
        write_site(opened, export, force=force)
        output.note(f"wrote {export}; to open it: python -m http.server --directory {export}")
        return
    require_extras("explore", "ui")
    from infogan_tool.cli.explorer.server import address_of, is_loopback, listen, serve

    opened = [load_bundle(path, device=device) for path in _paths(bundle, other)]
    listener = listen(host or _HOST, port)

    def announce() -> None:
        address = address_of(listener)
        output.note(f"the explorer is at {address} (Ctrl-C ends it)")
        if not is_loopback(listener):
            output.note("every machine that can reach this address can use it")
        if browser:
            _open_browser(address)

    with suppress(KeyboardInterrupt):  # the way to end it
        serve(opened, listener, announce)


def _open_browser(address: str) -> None:
    import webbrowser
    from threading import Thread

    # In a thread, because some browsers block the caller; the socket is listening already.
    Thread(target=webbrowser.open, args=[address], daemon=True).start()


def _paths(bundle: Path | None, other: Path | None) -> list[Path | None]:
    return [bundle] if other is None else [bundle, other]
