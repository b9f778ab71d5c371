"""HDF5 is read by a process of its own, which may crash, hang or take all memory without harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from finecal.errors import UserError
from finecal.logits import hdf5
from finecal.logits.files import open_file

# In place of h5py: what its library does to a damaged file is played.
CRASHES = "import os, signal\nos.kill(os.getpid(), signal.SIGABRT)\n"
NEVER_ENDS = "while True:\n    pass\n"
TAKES_MEMORY = "b = bytearray(1 << 50)\n"
RAISES = "raise OSError('truncated file')\n"


@pytest.mark.parametrize(
    ("library", "said"),
    [
        (CRASHES, "it is damaged: HDF5's library was ended by SIGABRT"),
        (NEVER_ENDS, "it is damaged: HDF5's library was ended by SIGXCPU"),
        (TAKES_MEMORY, "MemoryError"),
        (RAISES, "OSError: truncated file"),
    ],
    ids=["crashes", "never ends", "takes memory", "raises"],
)
def test_what_the_library_does_stays_in_its_process(
    library: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "h5py.py").write_text(library)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(hdf5, "is_installed", lambda: True)
    monkeypatch.setattr(hdf5, "SECONDS", 1)
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(UserError) as error:
        open_file(tmp_path / "x.h5")
    assert str(error.value).startswith(f"{tmp_path / 'x.h5'}: not readable as .h5 ({said}")
