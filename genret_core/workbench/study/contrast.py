"""What a study compares in pairs: the same training but for one thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from genret_core.workbench.documents import nearest


class Contrast(BaseModel):
    """A backbone instead of another one, by method, on the seeds that both have.

    Parameters
    ----------
    question : str
        What tables call it.
    backbone, instead_of : str
        Rungs of the ladders; `instead_of` may be one of another study, and then is by default the same.
    method : {"ngram", "codebook"}
    fraction : float
    study : str, optional
        Another study's folder beside this one's, in which `instead_of` was trained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    question: str = Field(min_length=1)
    backbone: str
    instead_of: str | None = None
    method: Literal["ngram", "codebook"] = "ngram"
    fraction: float = 1.0
    study: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")

    @property
    def other(self) -> str:
        """The rung that is compared with."""
        return self.instead_of or self.backbone

    def check(self, rungs: Sequence[str]) -> None:
        """Refuse a rung that is not there, and a comparison of something with itself."""
        for name in (self.backbone, *([] if self.study else [self.other])):
            if name not in rungs:
                raise ValueError(
                    f"the contrast {self.question!r} names {name!r}, which is no backbone of the ladders"
                    f"{nearest(name, rungs)}"
                )
        if self.study is None and self.other == self.backbone:
            raise ValueError(
                f"the contrast {self.question!r} compares {self.backbone} with itself; say `instead_of` or "
                "another `study`"
            )
