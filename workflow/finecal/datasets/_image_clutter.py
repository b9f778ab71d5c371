"""What systems, storage boxes and programs leave among images, no class and no image."""

from __future__ import annotations

import re

MAC, WINDOWS = "macOS's", "Windows'"
_THUMBNAILS, _BIN, _SNAPSHOTS, _INDEX = "thumbnails", "recycle bin", "snapshots", "index"
# What it is, and the names of its files or folders; capitals do not count.
_NAMES = {
    f"{MAC} notes on folders": (".DS_Store", "Icon\r", ".localized"),
    f"{MAC} part of archives": ("__MACOSX",),
    f"{MAC} copies of attributes": (".AppleDouble",),
    f"{MAC} {_INDEX}": (".Spotlight-V100", ".fseventsd", ".DocumentRevisions-V100", ".TemporaryItems"),
    f"{MAC} {_BIN}": (".Trashes", ".Trash", "Network Trash Folder"),
    f"{WINDOWS} {_THUMBNAILS}": ("Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db"),
    f"{WINDOWS} notes on folders": ("desktop.ini",),
    f"{WINDOWS} {_BIN}": ("$RECYCLE.BIN", "RECYCLER"),
    f"{WINDOWS} own folder": ("System Volume Information", "Config.Msi"),
    f"Synology's {_THUMBNAILS}": ("@eaDir", "@SynoEAStream", "@SynoResource"),
    f"a storage box's {_BIN}": ("#recycle", "@Recycle", ".recycle", "@Recycled"),
    f"a storage box's {_SNAPSHOTS}": (
        "#snapshot", "@Recently-Snapshot", ".snapshot", ".snapshots", "~snapshot", ".zfs", ".snap",
    ),
    f"QNAP's {_THUMBNAILS}": (".@__thumb", ".@__qini", ".@__comments", "@Transcode", ".@upload_cache"),
    "a storage box's temporary files": ("@tmp", "@sharebin", "@appstore", "@database", "@synologydrive"),
    "what a check of the file system has found": ("lost+found",),
    "Linux's recycle bin": (".Trash-1000",),
    f"Linux's {_THUMBNAILS}": (".thumbnails", ".thumb", ".thumbs", ".sh_thumbnails", ".xvpics", ".pics"),
    f"Picasa's {_INDEX}": (".picasa.ini", "Picasa.ini", ".picasaoriginals"),
    f"a picture program's {_THUMBNAILS}": (
        ".BridgeCache", ".BridgeCacheT", ".BridgeLabelsAndRatings", "ZbThumbnail.info", "pspbrwse.jbf",
        ".dtrash", ".wdmc",
    ),
    "Jupyter's copies": (".ipynb_checkpoints",),
    "Python's compiled files": ("__pycache__",),
    "a version control's folder": (".git", ".svn", ".hg", ".dvc", ".gitattributes", ".gitignore", ".gitkeep"),
    "Android's mark": (".nomedia",),
    "a network file system's removed files": (".nfs",),
}  # fmt: skip
_MEANING = {name.casefold(): what for what, names in _NAMES.items() for name in names}
_PATTERNS = (
    (re.compile(r"\._.*", re.DOTALL), f"{MAC} copies of attributes"),
    (re.compile(r"\.trash-\d+"), f"Linux's {_BIN}"),
    (re.compile(r"found\.\d{3}"), "what a check of the file system has found"),
    (re.compile(r"\.nfs[0-9a-f]+"), "a network file system's removed files"),
    (re.compile(r"\.fuse_hidden.*"), "a network file system's removed files"),
    (re.compile(r"\.sync(thing.*)?|\.st(folder|versions|ignore)"), "a synchronisation's own files"),
    (re.compile(r"\.dropbox(\.cache|\.attr)?"), "a synchronisation's own files"),
)
HIDDEN = "hidden"


def describe_clutter(name: str) -> str | None:
    """Say what a file or folder is that is passed over for its name; None if it is not.

    >>> describe_clutter("@eaDir"), describe_clutter("THUMBS.DB"), describe_clutter(".old"), describe_clutter("cat")
    ("Synology's thumbnails", "Windows' thumbnails", 'hidden', None)
    """
    folded = name.casefold()
    if (known := _MEANING.get(folded)) is not None:
        return known
    if not name.startswith((".", "f", "F")):  # no pattern begins otherwise: this is called for every file
        return None
    return next((what for pattern, what in _PATTERNS if pattern.fullmatch(folded)), HIDDEN if name[0] == "." else None)
