"""The claims of the paper: reading them, measuring each on what a profile has made, and the verdicts."""

from .rows import Case, Claim, ClaimsError, Limit, Measured, load_claims, verdict

__all__ = ["Case", "Claim", "ClaimsError", "Limit", "Measured", "load_claims", "verdict"]
