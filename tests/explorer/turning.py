"""A slider that is turned for some seconds, and the processor time of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

TURN_FOR_SECONDS = """async (seconds) => {
  const slider = document.querySelector(".track input");
  const image = document.querySelector("[data-part=image]");
  const pixels = () => image.toDataURL();
  let [updates, frames, last] = [0, 0, pixels()];
  document.addEventListener("generated", () => {
    const now = pixels();
    if (now !== last) updates++;
    last = now;
  });
  const began = performance.now();
  await new Promise((done) => {
    const turn = (now) => {
      if (now - began > 1000 * seconds) return done();
      frames++;
      slider.value = String(2 * Math.sin((now - began) / 300));
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
  });
  const took = (performance.now() - began) / 1000;
  return { updates: updates / took, frames: frames / took };
}"""


def processor_seconds() -> float:
    """Return the processor time that this process and all that it started have used so far."""
    ticks: dict[int, int] = {}
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(fields[1])
            ticks[int(folder.name)] = int(fields[11]) + int(fields[12])
    mine = {os.getpid()}
    while more := {one for one, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return sum(ticks.get(one, 0) for one in mine) / os.sysconf("SC_CLK_TCK")
