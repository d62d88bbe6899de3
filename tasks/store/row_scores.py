"""The scores of a finished picture, as its record has them."""

from pydantic import BaseModel, ConfigDict, Field

from nst_core.scoring.style import VERSION
from tasks.store.file_reference import Count, Finite


class RowScores(BaseModel):
    """The scores of a picture, as docs/scores.md explains them, with four decimals.

    Attributes:
        version: that of the scores, because those of different versions cannot be compared.
        style, content: None if there is none.
    """

    model_config = ConfigDict(frozen=True)

    version: Count = VERSION
    style: Finite | None = None
    content: Finite | None = None


class Scored(BaseModel):
    """A record of a picture that may have scores.

    Attributes:
        scores: in JSON only if there are any, so that records without them, which earlier versions
            wrote, stay as they are.
    """

    model_config = ConfigDict(frozen=True)

    scores: RowScores | None = Field(None, exclude_if=lambda scores: scores is None)

    @property
    def style_score(self) -> float | None:
        """The style score; None if there is none, or if it is of another version."""
        return self._comparable.style

    @property
    def content_score(self) -> float | None:
        """The content score; None if there is none, or if it is of another version."""
        return self._comparable.content

    @property
    def _comparable(self) -> RowScores:
        is_ours = self.scores is not None and self.scores.version == VERSION
        return self.scores if self.scores is not None and is_ours else RowScores()
