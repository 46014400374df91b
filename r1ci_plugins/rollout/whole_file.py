"""Files that are either whole or absent, whatever stops the process that writes them."""

import os
import threading
from pathlib import Path


def write_whole(path: Path, content: bytes, *, survive_power_loss: bool = False) -> None:
    """Write a file beside its place and rename it; its folder is created.

    Args:
        path: The file. One that is there already stays as it is until the new one is whole.
        content: All of it.
        survive_power_loss: Force the content to the disk before the renaming, which takes milliseconds.

    Raises:
        OSError: It cannot be written. Nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            if survive_power_loss:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
