"""Load the calibrated classifier of this folder. Needs torch, timm and safetensors, not finecal.

    import sys; sys.path.insert(0, FOLDER)
    from calibrated import load
    logits = load()(images)     # images (N, channels, H, W), normalised as config.json says; calibrated logits (N, C)

`kind` in calibration.json says which case of `forward` applies; the other entries are its parameters.
"""

import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import linear, normalize


class Calibrated(nn.Module):
    """A timm model (two for the kind `ensemble`) followed by the calibration of its logits."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.what: dict[str, Any] = json.loads((folder / "calibration.json").read_text("utf-8"))
        self.model = timm.create_model(f"local-dir:{folder}", pretrained=True)
        self.pretrained: nn.Module | None = None
        if self.what["kind"] == "ensemble":
            self.pretrained = timm.create_model(f"local-dir:{folder / 'pretrained'}", pretrained=True)
        tensors = load_file(folder / "rows.safetensors") if (folder / "rows.safetensors").is_file() else {}
        tensors["of_s"] = torch.tensor(self.what["fine_tuning"])
        tensors |= {name: torch.tensor(self.what[name]) for name in ("scale", "shift") if name in self.what}
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def compute_features_and_logits(self, model: nn.Module, images: Tensor, rows: str) -> tuple[Tensor, Tensor]:
        """Return features (N, D) and logits (N, C); a cosine head's logits come from its `rows` (C, D)."""
        if rows in self.what.get("cosine_heads", {}):
            features = model.forward_head(model.forward_features(images), pre_logits=True)  # type: ignore[operator]
            features = model.get_classifier()(features)  # type: ignore[operator] # CLIP's projection; else the identity
            unit = linear(normalize(features, dim=-1), normalize(self.get_buffer(rows), dim=-1))
            return features, self.what["cosine_heads"][rows] * unit
        # The features are what the last layer reads, a linear one or a 1 × 1 convolution in timm's classifier; or what
        # the layers read whose logits the model averages, with their shares.
        shares: dict[str, float] = self.what.get("shares") or {"": 1.0}
        read: list[Tensor] = []
        with ExitStack() as hooks:
            for name, share in shares.items():
                classifier = model.get_submodule(name) if name else model.get_classifier()  # type: ignore[operator]
                last = [one for one in classifier.modules() if isinstance(one, (nn.Linear, nn.Conv2d))][-1]
                keep = partial(_keep, read, share)
                hooks.enter_context(last.register_forward_pre_hook(keep))
            logits: Tensor = model(images)
        return torch.cat(read, dim=1), logits

    def forward(self, images: Tensor) -> Tensor:
        features, z = self.compute_features_and_logits(self.model, images, "head")
        kind, what, of_s = self.what["kind"], self.what, self.get_buffer("of_s")
        if kind == "affine":  # scale and shift each class's logit
            return z * self.get_buffer("scale") + self.get_buffer("shift")
        if kind == "ensemble":  # add both models' logits, weighted
            assert self.pretrained is not None
            _, before = self.compute_features_and_logits(self.pretrained, images, "pretrained_head")
            both: Tensor = what["weight_pretrained"] * before + what["weight_fine_tuned"] * z + self.get_buffer("shift")
            return both
        if kind == "cosine":  # of features and one row per class; `empty` stands for a row of zeros
            rows = self.get_buffer("rows")
            cosines = linear(normalize(features, dim=-1), normalize(rows, dim=-1))
            scores: Tensor = what["factor"] * torch.where(rows.ne(0).any(dim=1), cosines, what["empty"])
            return scores
        in_s, in_u = z.masked_fill(~of_s, -torch.inf), z.masked_fill(of_s, -torch.inf)
        if kind == "group_log_softmax":  # normalise within S and within U
            return z - torch.where(of_s, in_s.logsumexp(1, keepdim=True), in_u.logsumexp(1, keepdim=True))
        best_s, best_u = in_s.amax(1, keepdim=True), in_u.amax(1, keepdim=True)
        if kind == "shift_where_s_wins":
            return z + (best_s >= best_u) * self.get_buffer("shift")
        if kind == "group_temperatures":  # γ for U; then a temperature where S wins, another where U does
            wins: Tensor = best_s >= best_u + what["gamma"]
            temperatures = torch.where(wins, what["temperature_s"], what["temperature_u"])
            cooled: Tensor = (z + ~of_s * what["gamma"]) / temperatures
            return cooled
        if kind == "ood_gate":  # put the group that the energy of S does not choose below the other
            to_s = in_s.logsumexp(1, keepdim=True) >= what["threshold"]
            largest, other = torch.where(to_s, best_s, best_u), torch.where(to_s, best_u, best_s)
            margin = (1e-6 * other.abs()).clamp(min=what["margin"])
            return torch.where(to_s == of_s, z, z + (largest - other - margin).clamp(max=0))
        raise ValueError(f"calibration.json: unknown kind {kind!r}")


def _keep(read: list[Tensor], share: float, _: nn.Module, given: tuple[Tensor]) -> None:
    read.append(share * given[0].flatten(1))


def load(folder: str | Path = Path(__file__).parent) -> Calibrated:
    """Load the classifier, in evaluation mode."""
    return Calibrated(Path(folder)).eval()
