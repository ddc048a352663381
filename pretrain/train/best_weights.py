"""The weights of the best epoch so far."""

from collections.abc import Sequence

import tensorflow as tf


class BestWeights(tf.Module):  # type: ignore[misc]  # TensorFlow has no type stubs
    """A copy of some variables, which stays on their devices; make it in the scope of their replicas."""

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        super().__init__(name="best_weights")
        self._variables = tuple(variables)
        self.values = [tf.Variable(tf.zeros(each.shape), name="best") for each in variables]

    def keep(self) -> None:
        """Copy the variables."""
        for value, variable in zip(self.values, self._variables, strict=True):
            value.assign(variable)

    def restore(self) -> None:
        """Assign the copy to the variables."""
        for value, variable in zip(self.values, self._variables, strict=True):
            variable.assign(value)
