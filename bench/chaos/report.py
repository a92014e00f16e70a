"""What was found, one line each, beside what it has to be. Imports nothing of the project."""

from dataclasses import dataclass, field


@dataclass
class Report:
    """The lines that were printed so far, and how many of them are not kept."""

    missed: int = 0
    lines: list[str] = field(default_factory=list)

    def most(self, what: str, found: float, bar: float, unit: str = "") -> None:
        """A figure that may have some size at most."""
        self._line(what, _number(found, unit), f"at most {_number(bar, unit)}", found <= bar)

    def exactly(self, what: str, found: int, bar: int) -> None:
        """A count that has to be right."""
        self._line(what, str(found), f"exactly {bar}", found == bar)

    def told(self, what: str, found: float | str, unit: str = "") -> None:
        """A figure without a bar."""
        self._line(what, found if isinstance(found, str) else _number(found, unit), "", True)

    def _line(self, what: str, found: str, bar: str, kept: bool) -> None:
        self.missed += not kept
        self.lines.append(f"{what:<76} {found:>10}  {bar:<18}{'' if kept else 'NOT KEPT'}".rstrip())
        print(self.lines[-1], flush=True)


def percentile(values: list[float], share: float) -> float:
    """The value that a share of all does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _number(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}" if abs(value) < 1000 else f"{value:,.0f} {unit}"
