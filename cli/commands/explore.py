"""``infogan-tool explore``: a page to infer, change and generate from codes."""

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import DeviceOption, ForceOption
from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp

    from infogan_tool.cli.explorer.data_set import DataSet
    from infogan_tool.cli.explorer.watch import WatchedRun
    from infogan_tool.runtime import Bundle

_HOST: Final = "127.0.0.1"


def explore(
    bundle: Annotated[
        Path | None,
        typer.Argument(
            metavar="BUNDLE|RUN",
            help="Folder made by export or by train, or a pretrained bundle: mnist (default) or mnist-int8.",
        ),
    ] = None,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="OTHER", help="A second bundle to compare."),
    ] = None,
    *,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="FOLDER",
            help="Images to show in code space; with --export they are part of the page.",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            metavar="DIR|FILE.html",
            help="Write the page as a static site for any file server, or as one file that opens from disk; "
            "needs npm.",
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

    With a run folder, watch the training: samples over the epochs, losses,
    and what each code changes. The page follows a training that goes on.

    Ctrl-C stops the server. No network is needed. The pages of --export read
    drawings and images on an even background only; photographs need the
    server.

    Examples:
      infogan-tool explore

      infogan-tool explore my-bundle plain-gan

      infogan-tool explore my-bundle --data ./images

      infogan-tool explore run

      infogan-tool explore --export site

      infogan-tool explore my-bundle --export explorer.html
    """
    from infogan_tool.export.run_files import is_run
    from infogan_tool.runtime import load_bundle

    runs = [path for path in (bundle, other) if path is not None and is_run(path)]
    if runs and (export is not None or other is not None or data is not None):
        raise UsageError(
            f"{runs[0]} is a run, which is watched alone; "
            f"for its codes: infogan-tool export {shlex.quote(str(runs[0]))} --out BUNDLE"
        )
    if export is not None and (port is not None or host is not None):
        raise UsageError("--export only writes files: leave out --port and --host")
    if export is None:
        require_extras("explore", "ui")
    else:
        _check_export(export, force=force)
    if runs:
        _watch(runs[0], host, port, browser=browser)
        return
    paths = [bundle] if other is None else [bundle, other]
    opened = [load_bundle(path, device="cpu" if export else device) for path in paths]
    images = None if data is None else _read_data(opened[0], data)
    if export is not None:
        _export(opened, images, export, force=force)
        return
    from infogan_tool.cli.explorer.server import make_app

    # Only this machine may write: with --host the page names nothing.
    naming = host is None
    _serve(
        lambda hosts: make_app(opened, data=images, naming=naming, hosts=hosts), host, port, browser=browser
    )


def _read_data(bundle: "Bundle", folder: str) -> "DataSet":
    from infogan_tool.cli.encode.collect import Collection
    from infogan_tool.cli.explorer.data_set import read_data_set

    return read_data_set(bundle, Collection(bundle, [folder], threads=None, progress=None))


def _check_export(out: Path, *, force: bool) -> None:
    """Refuse an output before any work is done."""
    from infogan_tool.cli.explorer.static_site import refuse_site

    if output.is_page(out):
        output.check_target(out, force=force, option="--export")
    else:
        refuse_site(out, force=force)


def _export(bundles: "list[Bundle]", data: "DataSet | None", out: Path, *, force: bool) -> None:
    if output.is_page(out):
        from infogan_tool.cli.explorer.single_file import write_single_file

        write_single_file(bundles, out, data)
        output.note(f"wrote {out}, which opens in a browser by a double click")
        return
    from infogan_tool.cli.explorer.static_site import write_site

    write_site(bundles, out, force=force, data=data)
    output.note(f"wrote {out}; to open it: python -m http.server --directory {out}")


def _watch(run: Path, host: str | None, port: int | None, *, browser: bool) -> None:
    from infogan_tool.cli.explorer.server import make_watch_app
    from infogan_tool.cli.explorer.watch import WatchedRun

    watched = WatchedRun(run)
    _serve(lambda hosts: make_watch_app(watched, hosts=hosts), host, port, browser=browser)


def _serve(
    make: "Callable[[Sequence[str]], ASGIApp]", host: str | None, port: int | None, *, browser: bool
) -> None:
    from infogan_tool.cli.explorer.server import address_of, is_loopback, listen, serve

    listener = listen(_HOST if host is None else host, port)

    def announce() -> None:
        address = address_of(listener)
        output.note(f"the explorer is at {address} (Ctrl-C ends it)")
        if not is_loopback(listener):
            output.note("every machine that can reach this address can use it")
        if browser:
            _open_browser(address)

    with suppress(KeyboardInterrupt):  # the way to end it
        serve(make, listener, announce)


def watch_in_background(run: "WatchedRun") -> None:
    """Serve the page of a training in a thread until the process ends, and open it in the web browser."""
    from threading import Thread

    from infogan_tool.cli.explorer.server import address_of, listen, make_watch_app, serve

    listener = listen(_HOST, None)
    address = address_of(listener)
    output.note(f"watch the training at {address}")

    def run_server() -> None:
        serve(lambda hosts: make_watch_app(run, hosts=hosts), listener, lambda: _open_browser(address))

    Thread(target=run_server, daemon=True).start()


def _open_browser(address: str) -> None:
    """Open a page in the web browser, without waiting for it."""
    import webbrowser
    from threading import Thread

    # In a thread, because some browsers block the caller; the socket is listening already.
    Thread(target=webbrowser.open, args=[address], daemon=True).start()
