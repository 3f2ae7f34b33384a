"""The list: every architecture with what it is fed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bench.breadth import (
    classic,
    dense_prediction,
    detection,
    language_transformers,
    mobile,
    residual,
    sequence,
)
from bench.breadth import vision_transformers as vision
from bench.breadth.row import Network

_WORDS = 12


def normal(*shape: int) -> Callable[[int, torch.Generator], torch.Tensor]:
    """Normal numbers of `shape` behind the batch."""
    return lambda batch, generator: torch.randn(batch, *shape, generator=generator)


def integers(limit: int, *shape: int) -> Callable[[int, torch.Generator], torch.Tensor]:
    """Integers in 1 to `limit` - 1."""
    return lambda batch, generator: torch.randint(1, limit, (batch, *shape), generator=generator)


def image(name: str, make: Callable[[], nn.Module], size: int = 64, **more: Any) -> Network:
    """A network whose forward takes one image `x`."""
    return Network(name, make, {"x": normal(3, size, size)}, **more)


def networks() -> list[Network]:
    """All of them, in the order of the table."""
    return [*convolutional(), *pixels(), *detectors(), *sequences(), *seeing(), *reading()]


def convolutional() -> list[Network]:
    """Classifiers of images."""
    return [
        image("ResNet-18", residual.resnet18),
        image("ResNet-50", residual.resnet50),
        image("ResNeXt-50", residual.resnext50),
        image("Wide ResNet", residual.wide_resnet),
        image("SE-ResNet", residual.se_resnet),
        image("RegNetY", residual.regnet),
        image("AlexNet", classic.AlexNet, 96),
        image("VGG-16 BN", classic.Vgg),
        image("SqueezeNet 1.1", classic.SqueezeNet),
        image("DenseNet-BC", classic.densenet),
        image("GoogLeNet", classic.googlenet),
        image("Inception v3", classic.inception3),
        image("Xception", classic.xception),
        image("MobileNetV1", mobile.mobilenet1),
        image("MobileNetV2", mobile.mobilenet2),
        image("MobileNetV3", mobile.mobilenet3),
        image("MnasNet", mobile.mnasnet),
        image("EfficientNet", mobile.efficientnet),
        image("ShuffleNetV2", mobile.shufflenet2),
        image("GhostNet", mobile.ghostnet),
    ]


def pixels() -> list[Network]:
    """A value per pixel."""
    return [
        image("U-Net", dense_prediction.unet),
        image("U-Net bilinear", dense_prediction.unet_bilinear),
        image("DeepLabV3", dense_prediction.DeepLab),
        image("ESPCN", dense_prediction.espcn, 32),
        image("Super-resolution bicubic", dense_prediction.super_resolution, 32),
        image("Autoencoder", dense_prediction.Autoencoder),
        image("Style transfer", dense_prediction.Generator),
    ]


def detectors() -> list[Network]:
    """Boxes."""
    return [
        image("SSD", detection.Ssd),
        image("YOLOv3", detection.yolo3),
        image("YOLOv5", detection.yolo5),
        image("YOLOv8", detection.YoloFree),
        image("RetinaNet FPN", detection.retinanet),
        image("PAN", detection.pan),
        image("CenterNet", detection.CenterNet),
    ]


def sequences() -> list[Network]:
    """Sequences, volumes, points and patches."""
    return [
        Network("WaveNet", sequence.WaveNet, {"x": normal(1, 64)}),
        Network("TCN", sequence.Tcn, {"x": normal(4, 32)}),
        Network("LSTM", sequence.lstm, {"words": integers(50, 8)}),
        Network("GRU", sequence.gru, {"words": integers(50, 8)}),
        Network("C3D", sequence.Volume, {"x": normal(3, 8, 16, 16)}),
        Network("PointNet", sequence.PointNet, {"x": normal(3, 40)}),
        image("MLP-Mixer", sequence.Mixer),
        Network("nn.TransformerEncoder", sequence.TextEncoder, {"words": integers(60, 12)}),
    ]


def seeing() -> list[Network]:
    """Transformers for images."""
    words = integers(56, _WORDS)
    pair = {"x": normal(3, 64, 64), "words": words}
    plain = [
        ("ViT", vision.vit), ("DeiT", vision.deit), ("BEiT", vision.beit), ("DINOv2", vision.dinov2),
        ("Swin", vision.swin), ("Swin v2", vision.swin2), ("ConvNeXt", vision.convnext),
        ("ConvNeXt V2", vision.convnext2), ("PoolFormer", vision.poolformer), ("SegFormer", vision.segformer),
        ("MobileViT", vision.mobilevit), ("MobileViTV2", vision.mobilevit2), ("LeViT", vision.levit),
        ("CvT", vision.cvt), ("PVT", vision.pvt), ("FocalNet", vision.focalnet), ("GLPN", vision.glpn),
        ("DPT", vision.dpt), ("YOLOS", vision.yolos), ("DETR", vision.detr),
    ]  # fmt: skip
    return [
        *(image(name, make) for name, make in plain),
        Network("CLIP", vision.clip, pair),
        Network("SigLIP", vision.siglip, pair),
        Network("OWL-ViT", vision.owlvit, pair),
        image("ViT", vision.vit, recipe="npu-transformer"),
        image("Swin", vision.swin, recipe="npu-transformer"),
    ]


def reading() -> list[Network]:
    """Transformers for words and sound."""
    words = {"words": integers(language_transformers.VOCABULARY, _WORDS)}
    makers = [
        ("BERT", language_transformers.bert), ("DistilBERT", language_transformers.distilbert),
        ("RoBERTa", language_transformers.roberta), ("ALBERT", language_transformers.albert),
        ("ELECTRA", language_transformers.electra), ("MobileBERT", language_transformers.mobilebert),
        ("DeBERTa v2", language_transformers.deberta), ("MPNet", language_transformers.mpnet),
        ("GPT-2", language_transformers.gpt2), ("OPT", language_transformers.opt),
        ("Llama", language_transformers.llama), ("T5 encoder", language_transformers.t5),
    ]  # fmt: skip
    return [
        *(Network(name, make, words) for name, make in makers),
        Network("Wav2Vec2", language_transformers.wav2vec2, {"x": normal(800)}),
        Network("Whisper encoder", language_transformers.whisper, {"x": normal(16, 64)}),
        Network("AST", language_transformers.audio_spectrogram, {"x": normal(64, 32)}),
        Network("BERT", language_transformers.bert, words, "npu-transformer"),
    ]
