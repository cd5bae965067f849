"""One measured bar."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """A value beside its target; smaller is better, or larger where the target is the least."""

    name: str
    value: float
    unit: str
    target: float
    compared_with: str
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target

    def plain(self) -> dict[str, object]:
        return {**asdict(self), "value": round(self.value, 3), "holds": self.holds}

    def row(self) -> tuple[str, str, str, str, str]:
        sign = ">=" if self.at_least else "<="
        return (
            self.name,
            f"{self.value:.2f} {self.unit}",
            f"{sign} {self.target:g} {self.unit}",
            self.compared_with,
            "yes" if self.holds else "NO",
        )
