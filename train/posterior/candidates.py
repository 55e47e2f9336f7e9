"""The posteriors of several rounds, laid aside until one of them is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from infogan_tool.train.stage import Session

__all__ = ["keep_candidate", "take_up_candidate"]

_CANDIDATE: Final = "candidate"


def keep_candidate(session: Session) -> None:
    """Lay the posterior that Q holds now aside as the candidate of the session's round."""
    for name, tensor in session.networks.branches[0].state_dict().items():
        session.artifacts[f"{_CANDIDATE}.{session.round}.{name}"] = tensor.detach().clone()


def take_up_candidate(session: Session, number: int) -> None:
    """Put the candidate of round ``number`` into Q."""
    prefix = f"{_CANDIDATE}.{number}."
    state = {n.removeprefix(prefix): t for n, t in session.artifacts.items() if n.startswith(prefix)}
    session.networks.branches[0].load_state_dict(state)
