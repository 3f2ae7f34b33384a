"""Transformers that see, from configurations of the library `transformers`, with random weights."""

from __future__ import annotations

from typing import Any

import transformers as hf
from torch import nn

_VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
_IMAGE = {"image_size": 64, "patch_size": 16}


class Named(nn.Module):
    """Calls `model` with one image and returns some of its outputs by name."""

    def __init__(self, model: nn.Module, *names: str, given: str = "pixel_values") -> None:
        super().__init__()
        self.model, self.names, self.given = model, names or ("logits",), given

    def forward(self, x: Any) -> dict[str, Any]:
        found = self.model(**{self.given: x}, return_dict=True)
        return {name: getattr(found, name) for name in self.names}


def vit() -> nn.Module:
    return Named(hf.ViTForImageClassification(hf.ViTConfig(**_VIT, **_IMAGE)))


def deit() -> nn.Module:
    return Named(hf.DeiTForImageClassificationWithTeacher(hf.DeiTConfig(**_VIT, **_IMAGE)))


def beit() -> nn.Module:
    config = hf.BeitConfig(**_VIT, **_IMAGE, use_relative_position_bias=True)
    return Named(hf.BeitForImageClassification(config))


def dinov2() -> nn.Module:
    config = hf.Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, **_IMAGE)
    return Named(hf.Dinov2ForImageClassification(config))


_SWIN = {
    "image_size": 64,
    "patch_size": 4,
    "embed_dim": 16,
    "depths": [2, 2],
    "num_heads": [2, 4],
    "window_size": 4,
}


def swin() -> nn.Module:
    return Named(hf.SwinForImageClassification(hf.SwinConfig(**_SWIN)))


def swin2() -> nn.Module:
    return Named(hf.Swinv2ForImageClassification(hf.Swinv2Config(**_SWIN)))


_STAGES = {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 2, 1]}


def convnext() -> nn.Module:
    return Named(hf.ConvNextForImageClassification(hf.ConvNextConfig(**_STAGES)))


def convnext2() -> nn.Module:
    return Named(hf.ConvNextV2ForImageClassification(hf.ConvNextV2Config(**_STAGES)))


def poolformer() -> nn.Module:
    return Named(hf.PoolFormerForImageClassification(hf.PoolFormerConfig(**_STAGES)))


def segformer() -> nn.Module:
    config = hf.SegformerConfig(
        hidden_sizes=[16, 24, 32, 48],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 4, 4],
        decoder_hidden_size=32,
    )
    return Named(hf.SegformerForSemanticSegmentation(config))


def mobilevit() -> nn.Module:
    config = hf.MobileViTConfig(
        image_size=64,
        hidden_sizes=[16, 24, 32],
        neck_hidden_sizes=[8, 12, 16, 24, 32, 40, 48],
        num_attention_heads=4,
    )
    return Named(hf.MobileViTForImageClassification(config))


def mobilevit2() -> nn.Module:
    config = hf.MobileViTV2Config(image_size=64, width_multiplier=0.25, n_attn_blocks=[1, 1, 1])
    return Named(hf.MobileViTV2ForImageClassification(config))


def levit() -> nn.Module:
    config = hf.LevitConfig(
        image_size=64,
        hidden_sizes=[16, 32, 48],
        num_attention_heads=[2, 2, 4],
        depths=[1, 1, 1],
        key_dim=[8, 8, 8],
    )
    return Named(hf.LevitForImageClassification(config))


def cvt() -> nn.Module:
    config = hf.CvtConfig(embed_dim=[16, 24, 32], num_heads=[1, 2, 4], depth=[1, 2, 3])
    return Named(hf.CvtForImageClassification(config))


def glpn() -> nn.Module:
    config = hf.GLPNConfig(
        hidden_sizes=[16, 24, 32, 48],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 4, 4],
        decoder_hidden_size=16,
    )
    return Named(hf.GLPNForDepthEstimation(config), "predicted_depth")


def dpt() -> nn.Module:
    config = hf.DPTConfig(
        **{**_VIT, "num_hidden_layers": 4},
        **_IMAGE,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 16, 24, 32],
        fusion_hidden_size=16,
    )
    return Named(hf.DPTForDepthEstimation(config), "predicted_depth")


def pvt() -> nn.Module:
    config = hf.PvtConfig(
        image_size=64, hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 4, 4]
    )
    return Named(hf.PvtForImageClassification(config))


def focalnet() -> nn.Module:
    config = hf.FocalNetConfig(
        image_size=64, patch_size=4, embed_dim=16, depths=[1, 2], focal_levels=[2, 2], focal_windows=[3, 3]
    )
    return Named(hf.FocalNetForImageClassification(config))


def yolos() -> nn.Module:
    config = hf.YolosConfig(**{**_VIT, "image_size": [64, 64], "patch_size": 16}, num_detection_tokens=6)
    return Named(hf.YolosForObjectDetection(config), "logits", "pred_boxes")


def detr() -> nn.Module:
    backbone = hf.ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 1, 1], out_features=["stage4"]
    )
    config = hf.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, d_model=32,
        encoder_layers=1, decoder_layers=2, encoder_ffn_dim=64, decoder_ffn_dim=64, encoder_attention_heads=4,
        decoder_attention_heads=4, num_queries=8, num_labels=5,
    )  # fmt: skip
    return Named(hf.DetrForObjectDetection(config), "logits", "pred_boxes")


def _towers() -> dict[str, Any]:
    text = {"vocab_size": 60, "max_position_embeddings": 16, "eos_token_id": 59, "bos_token_id": 58, **_VIT}
    return {"text_config": text, "vision_config": {**_VIT, **_IMAGE}, "projection_dim": 24}


class Pair(nn.Module):
    """A model of images and words."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Any, words: Any) -> tuple[Any, Any]:
        found = self.model(input_ids=words, pixel_values=x, return_dict=True)
        return found.image_embeds, found.text_embeds


def clip() -> nn.Module:
    return Pair(hf.CLIPModel(hf.CLIPConfig(**_towers())))


def siglip() -> nn.Module:
    towers = _towers()
    towers.pop("projection_dim")
    towers["text_config"]["projection_size"] = 32
    return Pair(hf.SiglipModel(hf.SiglipConfig(**towers)))


def owlvit() -> nn.Module:
    towers = _towers()
    return Pair(hf.OwlViTModel(hf.OwlViTConfig(**towers)))
