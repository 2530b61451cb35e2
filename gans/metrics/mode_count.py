"""How many classes the generator reaches (Che et al. 2017; Lin et al. 2018, section 4.1)."""

from gans.metrics.base import Evidence, Metric


class ModeCount(Metric):
    """``modes``, of the classes that the run is about: those that at least one generated image shows."""

    def compute(self, evidence: Evidence) -> dict[str, float]:
        return {"modes": float(len(set(evidence.fake.named.tolist()) & set(evidence.classes)))}
