"""Declare that the code of today computes what that of an earlier commit computed, so that nobody's results rerun.

After a change of code that leaves every result as it was, to the bit, call

    uv run python -m finecal.plan.same_results REVISION

in a checkout, with the commit before the change. It notes in `same_results.json`, for each stage and each plugin, that
the digest of its present code stands for that of the revision's. Nothing checks the claim: compare the results first.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from finecal import registry
from finecal.errors import UserError, counted
from finecal.plan import code_digests, earlier_notes
from finecal.plan.identities import FURTHER_FILES
from finecal.plan.stages import STAGES

_SHOW = "import json; from finecal.plan.same_results import present; print(json.dumps(present()))"


def present() -> dict[str, str]:
    """Return the digests of all stages, plugins, and modules that some jobs use besides: name → digest."""
    stages = {f"stage {stage}": code_digests.stage_digest(stage) for stage, one in STAGES.items() if one.code}
    files = {
        f"{kind} {name}": registry.source_file(kind, name)
        for kind in registry.KINDS
        for name in registry.built_in_names(kind)
    }
    files |= {f"dataset {file.stem}": file for file in (code_digests.PACKAGE / "datasets").glob("_*.py")}
    files |= {f"further {name}": code_digests.PACKAGE / file for name, file in FURTHER_FILES.items()}
    return stages | {name: code_digests.file_digest(file) for name, file in files.items()}


def of_revision(revision: str) -> dict[str, str]:
    """Return the same for a commit, computed by its own code; for finecal 0.1.0, which cannot, from a file.

    Raises
    ------
    UserError
        If there is no such commit, or its code cannot compute digests.
    """
    if revision == earlier_notes.REVISION:
        return earlier_notes.digests()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        try:
            _run("git", "worktree", "add", "--detach", str(tree), revision)
            found = _run(sys.executable, "-c", _SHOW, cwd=tree / "workflow")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], capture_output=True, check=False)
    digests: dict[str, str] = json.loads(found)
    return digests


def declare(earlier: dict[str, str], now: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """Add to what is known: present digest → earlier digest, or what that stood for itself."""
    same = {now[name]: known.get(digest, digest) for name, digest in earlier.items() if name in now}
    return {**known, **{digest: other for digest, other in same.items() if digest != other}}


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UserError(f"{' '.join(command)}: {last[0]}")
    return done.stdout


def main() -> None:
    """Write same_results.json."""
    if len(sys.argv) != 2:
        raise UserError("one revision is needed", hint="python -m finecal.plan.same_results REVISION")
    known: dict[str, str] = json.loads(code_digests.SAME_RESULTS.read_text("utf-8"))
    found = declare(of_revision(sys.argv[1]), present(), known)
    code_digests.SAME_RESULTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    print(f"{counted(len(found) - len(known), 'new digest')} in {code_digests.SAME_RESULTS.name}")


if __name__ == "__main__":
    main()
