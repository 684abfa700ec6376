"""What a resumed training needs, in one file that is whole or not there."""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import keras


class TrainingCheckpoint(keras.callbacks.Callback):
    """Save weights and optimizer after each epoch, and take them up again.

    In place of `keras.callbacks.BackupAndRestore` (Keras 3.15), which overwrites two files, weights and epoch:
    a kill in between gives the weights another epoch's number. Here the optimizer's count of steps tells the epoch.
    Stands last of the callbacks, so that an epoch that is in the backup has been measured.

    Args:
        path: The `.weights.h5` file.
        steps: Steps of an epoch.
    """

    def __init__(self, path: Path, steps: int) -> None:
        super().__init__()
        self.path, self.steps = path, steps

    def restore(self, model: keras.Model) -> int:
        """Give a compiled model the saved state, where there is one.

        Args:
            model: As it was when the training began.

        Returns:
            How many epochs are done.

        Raises:
            ValueError: The file is damaged, or is of another model.
        """
        if not self.path.is_file():
            return 0
        model.optimizer.build(model.trainable_variables)
        try:
            model.load_weights(self.path)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"{self.path}: expected the backup of this training, got another file or a damaged one; "
                "delete its folder to begin anew"
            ) from error
        return int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // self.steps

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save the state."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_weights(self.path, self.model)


class _Memory(io.BytesIO):
    """A file in memory, by whose name Keras (3.15) tells the kind."""

    def __str__(self) -> str:
        return "memory.weights.h5"


def write_weights(path: Path, model: keras.Model) -> None:
    """Write a model's weights whole or not at all.

    They are made in memory first: HDF5 itself ends the process with a segmentation fault when it closes a file on a
    disk that has become full.

    Args:
        path: The `.weights.h5` file, old or new.
        model: Whose weights.

    Raises:
        OSError: They cannot be written, because the disk is full for example. What was at `path` is still there.
    """
    memory = _Memory()
    model.save_weights(memory)
    write_whole(path, lambda file: file.write_bytes(memory.getbuffer()))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all.

    Args:
        path: The file, old or new.
        write: Writes to the path it is given, which ends as `path` does.

    Raises:
        OSError: It cannot be written. What was at `path` is still there, and nothing else.
    """
    temporary = path.with_name("new-" + path.name)
    try:
        write(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
