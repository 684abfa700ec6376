"""A scikit-learn classifier on embeddings: a softmax head and the votes of the nearest labelled rows, together."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from moodspace.classifier.ensemble import vote


class Ensemble(ClassifierMixin, BaseEstimator):
    """The mean of a softmax head and of similarity-weighted votes of the nearest neighbors.

    The probability of a class is `alpha * head + (1 - alpha) * votes`; a neighbor votes with
    `exp((similarity - 1) / tau)`, where the similarity is the cosine. It follows scikit-learn's contract and works in
    pipelines, grid searches and cross-validation. Use it on the embeddings of `Model.embed`, or on any vectors.

    Args:
        n_neighbors: How many neighbors vote, 1 or more. Larger is smoother; 20 to 200 suits thousands of rows.
        tau: Temperature of the votes, > 0. Small values let the nearest ones decide; 0.05 to 0.2 suits embeddings.
        alpha: Weight of the head, in [0, 1]: 0 for the votes alone, 1 for the head alone.
        C: Inverse strength of the head's regularization, > 0.

    Attributes:
        classes_: `(C,)` the class labels, sorted; the order of the columns of `predict_proba`.
        n_features_in_: Number of columns of `X`.

    Examples:
        >>> import numpy as np
        >>> X = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        >>> Ensemble(n_neighbors=2).fit(X, ["calm", "calm", "happy", "happy"]).predict([[1.0, 0.2]]).tolist()
        ['calm']
    """

    def __init__(self, n_neighbors: int = 20, tau: float = 0.1, alpha: float = 0.5, C: float = 1.0) -> None:  # noqa: N803
        self.n_neighbors = n_neighbors
        self.tau = tau
        self.alpha = alpha
        self.C = C

    def fit(self, X: Any, y: Any) -> "Ensemble":  # noqa: N803
        """Fit the head and keep the rows as the gallery.

        Args:
            X: `(n_samples, n_features)` finite numbers.
            y: `(n_samples,)` class labels; at least two classes.
        """
        X, y = validate_data(self, X, y)  # noqa: N806
        check_classification_targets(y)
        if self.n_neighbors < 1 or not self.tau > 0 or not 0 <= self.alpha <= 1:
            got = f"{self.n_neighbors}, {self.tau}, {self.alpha}"
            raise ValueError(f"n_neighbors, tau, alpha: expected >= 1, > 0 and in [0, 1], got {got}")
        encoder = LabelEncoder().fit(y)
        self.classes_ = encoder.classes_
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected two classes or more, got {len(self.classes_)} class")
        self._labels = encoder.transform(y)
        self._gallery = _unit_rows(X)
        self._head = LogisticRegression(C=self.C, max_iter=1000).fit(X, self._labels)
        return self

    def kneighbors(self, X: Any, n_neighbors: int | None = None) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:  # noqa: N803
        """Find the most similar rows of the gallery.

        Args:
            X: `(n_samples, n_features)`.
            n_neighbors: How many; `self.n_neighbors` when None.

        Returns:
            Cosine similarities `(n_samples, k)`, best first, and row numbers `(n_samples, k)`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)  # noqa: N806
        return self._nearest(X, n_neighbors or self.n_neighbors)

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the probability of each class: `(n_samples, C)`, rows sum to 1, columns as in `classes_`."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)  # noqa: N806
        similarities, rows = self._nearest(X, self.n_neighbors)
        count = len(self.classes_)
        votes = vote(similarities, self._labels[rows], count, tau=self.tau, k=similarities.shape[1]).proba
        return self.alpha * self._head.predict_proba(X) + (1 - self.alpha) * votes

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Return the most probable class of each row."""
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def _nearest(self, X: npt.NDArray[Any], k: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:  # noqa: N803
        similarities = _unit_rows(X) @ self._gallery.T
        rows = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(similarities, rows, axis=1), rows.astype(np.int64)


def _unit_rows(X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:  # noqa: N803
    exact = X.astype(np.float64)
    return exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)
