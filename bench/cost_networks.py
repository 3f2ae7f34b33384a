"""Layers of networks whose architecture is public, as a DPU runs them: convolutions with what is fused into them.

Only layers that cost something are here. Every network is a list of nodes; a node names the tensors it reads, so that
the model can decide which of them stay on chip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from quantforge.compiler.cost_model import Node
from quantforge.compiler.cost_work import FusedPool, Kind, LayerWork, workload


@dataclass(frozen=True)
class Map:
    """A feature map: the tensor's name, its height, width and channels."""

    name: str
    h: int
    w: int
    c: int


@dataclass
class Net:
    """Builds a list of nodes, one call per layer."""

    nodes: list[Node] = field(default_factory=list)

    def _add(self, work: LayerWork, ins: tuple[Map, ...], name: str) -> Map:
        self.nodes.append(Node(name, work, tuple(m.name for m in ins)))
        pool = work.fused_pool
        return Map(name, *((pool.out_h, pool.out_w) if pool else (work.out_h, work.out_w)), work.out_c)

    def conv(
        self, x: Map, c: int, k: int | tuple[int, int] = 1, s: int = 1, *, add: Map | None = None,
        pool: tuple[int, int] | None = None, valid: bool = False, kind: Kind = "conv", name: str | None = None,
    ) -> Map:  # fmt: skip
        """A convolution: kernel k (w, h), stride s; `add` joins a map, `pool` is (kernel, stride) behind it."""
        kw, kh = (k, k) if isinstance(k, int) else k
        h = (x.h - kh) // s + 1 if valid else -(-x.h // s)
        w = (x.w - kw) // s + 1 if valid else -(-x.w // s)
        if kind.startswith("transposed"):
            h, w = x.h * s, x.w * s
        fused = None
        if pool is not None:
            fused = FusedPool(-(-h // pool[1]), -(-w // pool[1]), (pool[0], pool[0]))
        work = LayerWork(
            kind, h, w, c, x.h, x.w, x.c, (kw, kh), (s, s), bias=True,
            fused_eltwise=0 if add is None else 1, fused_pool=fused,
        )  # fmt: skip
        return self._add(work, (x,) if add is None else (x, add), name or f"{kind}{len(self.nodes)}")

    def depthwise(self, x: Map, k: int = 3, s: int = 1) -> Map:
        """A depthwise convolution."""
        return self.conv(x, x.c, k, s, kind="depthwise")

    def pool(self, x: Map, k: int, s: int, *, name: str | None = None, valid: bool = False) -> Map:
        """A pooling of its own."""
        h, w = ((x.h - k) // s + 1, (x.w - k) // s + 1) if valid else (-(-x.h // s), -(-x.w // s))
        work = LayerWork("pool", h, w, x.c, x.h, x.w, x.c, (k, k), (s, s))
        return self._add(work, (x,), name or f"pool{len(self.nodes)}")

    def global_pool(self, x: Map, *, name: str | None = None) -> Map:
        """The average of every channel."""
        work = LayerWork("pool", 1, 1, x.c, x.h, x.w, x.c, (x.w, x.h))
        return self._add(work, (x,), name or f"pool{len(self.nodes)}")

    def copy(self, x: Map, scale: int = 1) -> Map:
        """Upsampling."""
        work = LayerWork("copy", x.h * scale, x.w * scale, x.c, x.h, x.w, x.c)
        return self._add(work, (x,), f"copy{len(self.nodes)}")

    def dense(self, x: Map, c: int, *, name: str | None = None) -> Map:
        """A fully connected layer: a convolution over the whole map."""
        return self.conv(x, c, (x.w, x.h), valid=True, name=name)


def concat(*maps: Map) -> Map:
    """Maps side by side; each was written in its place, so that it costs nothing. The last one stands for all."""
    return Map(maps[-1].name, maps[0].h, maps[0].w, sum(m.c for m in maps))


def image(h: int, w: int, c: int = 3) -> Map:
    """The network's input."""
    return Map("image", h, w, c)


def resnet(
    blocks: tuple[int, ...], *, basic: bool = False, stride_in_3x3: bool = False, size: int = 224
) -> Net:
    """ResNet v1; with `stride_in_3x3` the variant called v1.5."""
    net = Net()
    x = net.conv(image(size, size), 64, 7, 2, pool=(3, 2))
    for stage, count in enumerate(blocks):
        width = 64 << stage
        out = width if basic else 4 * width
        for block in range(count):
            s = 2 if stage and not block else 1
            short = x if block or (basic and not stage) else net.conv(x, out, 1, s)
            if basic:
                x = net.conv(net.conv(x, width, 3, s), out, 3, add=short)
            else:
                first, second = (1, s) if stride_in_3x3 else (s, 1)
                x = net.conv(net.conv(net.conv(x, width, 1, first), width, 3, second), out, 1, add=short)
    net.dense(net.global_pool(x), 1000)
    return net


def moved_resnet(blocks: tuple[int, ...]) -> Net:
    """ResNet v1 as compiled when a block ends with the stride: it moves from 1x1 layers into the 3x3 layer before.

    With blocks (3, 4, 6, 3), names and order are those of figure 37 of the user guide UG1414.
    """
    net = Net()
    x = net.conv(image(224, 224), 64, 7, 2, pool=(3, 2), name="conv1")
    for stage, count in enumerate(blocks):
        width = 64 << stage
        for block in range(count):
            label = f"res{stage + 2}{'abcdef'[block] if count < 7 else block}"
            shrink = stage < 3 and block == count - 1
            a = net.conv(x, width, 1, name=f"{label}_branch2a")
            b = net.conv(a, width, 3, 2 if shrink else 1, name=f"{label}_branch2b")
            if block:
                x = net.conv(b, 4 * width, 1, add=x, name=label)
            else:
                c = net.conv(b, 4 * width, 1, name=f"{label}_branch2c")
                x = net.conv(x, 4 * width, 1, add=c, name=label)
    net.dense(net.global_pool(x, name="pool5"), 1000, name="fc1000")
    return net


def resnet_v2(blocks: tuple[int, ...], size: int = 299) -> Net:
    """ResNet v2 (TensorFlow slim), the stride in the last block of a stage."""
    net = Net()
    x = net.conv(image(size, size), 64, 7, 2, pool=(3, 2))
    for stage, count in enumerate(blocks):
        width = 64 << stage
        for block in range(count):
            s = 2 if stage < 3 and block == count - 1 else 1
            short = x if block else net.conv(x, 4 * width, 1, s)
            if block and s == 2:
                short = net.pool(x, 1, 2)
            x = net.conv(net.conv(net.conv(x, width), width, 3, s), 4 * width, add=short)
    net.dense(net.global_pool(x), 1001)
    return net


def sphereface20() -> Net:
    """The face recognition network of 20 layers."""
    net = Net()
    x = image(112, 96)
    for c, count in ((64, 1), (128, 2), (256, 4), (512, 1)):
        x = net.conv(x, c, 3, 2)
        for _ in range(count):
            x = net.conv(net.conv(x, c, 3), c, 3, add=x)
    net.dense(x, 512)
    return net


_INCEPTION_V1 = (  # map size, 1x1, 3x3 after 1x1, second 3x3 after 1x1, 1x1 after pooling
    (28, 64, (96, 128), (16, 32), 32), (28, 128, (128, 192), (32, 96), 64),
    (14, 192, (96, 208), (16, 48), 64), (14, 160, (112, 224), (24, 64), 64),
    (14, 128, (128, 256), (24, 64), 64), (14, 112, (144, 288), (32, 64), 64),
    (14, 256, (160, 320), (32, 128), 128), (7, 256, (160, 320), (32, 128), 128),
    (7, 384, (192, 384), (48, 128), 128),
)  # fmt: skip


def inception_v1(blocks: int = 9) -> Net:
    """Inception v1 (TensorFlow: two 3x3 branches), in the order in which the compiler puts the branches."""
    net = Net()
    x = net.conv(image(224, 224), 64, 7, 2, pool=(3, 2))
    x = net.conv(net.conv(x, 64), 192, 3, pool=(3, 2))
    for index, (_, one, three, five, after) in enumerate(_INCEPTION_V1[:blocks]):
        pool = {1: (3, 2), 6: (2, 2)}.get(index)  # fused into every branch before the maps get smaller
        b3 = net.conv(net.pool(x, 3, 1), after, pool=pool)
        b2 = net.conv(net.conv(x, five[0]), five[1], 3, pool=pool)
        b1 = net.conv(net.conv(x, three[0]), three[1], 3, pool=pool)
        x = concat(b3, b2, b1, net.conv(x, one, pool=pool))
    if blocks == len(_INCEPTION_V1):
        net.dense(net.global_pool(x), 1001)
    return net


def vgg(counts: tuple[int, ...], size: int = 224) -> Net:
    """VGG-16 and VGG-19."""
    net = Net()
    x = image(size, size)
    for index, count in enumerate(counts):
        for layer in range(count):
            x = net.conv(x, min(64 << index, 512), 3, pool=(2, 2) if layer == count - 1 else None)
    net.dense(net.dense(net.dense(x, 4096), 4096), 1000)
    return net


def mobilenet_v1(width: float = 1.0, size: int = 224) -> Net:
    """MobileNet v1."""
    net = Net()
    x = net.conv(image(size, size), int(32 * width), 3, 2)
    plan = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
    for c, s in plan:
        x = net.conv(net.depthwise(x, 3, s), int(c * width))
    net.dense(net.global_pool(x), 1001)
    return net


def mobilenet_v2(width: float = 1.0, size: int = 224) -> Net:
    """MobileNet v2."""

    def wide(c: int) -> int:
        return max(8, int(c * width + 4) // 8 * 8)

    net = Net()
    x = net.conv(image(size, size), wide(32), 3, 2)
    plan = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for t, c, n, s in plan:
        for index in range(n):
            y = net.conv(x, x.c * t) if t > 1 else x
            y = net.depthwise(y, 3, s if not index else 1)
            x = net.conv(y, wide(c), add=x if index else None)
    net.dense(net.global_pool(net.conv(x, max(1280, wide(1280)))), 1001)
    return net


def inception_v3() -> Net:
    """Inception v3."""
    net = Net()
    x = net.conv(net.conv(image(299, 299), 32, 3, 2, valid=True), 32, 3, valid=True)
    x = net.pool(net.conv(x, 64, 3), 3, 2, valid=True)
    x = net.pool(net.conv(net.conv(x, 80), 192, 3, valid=True), 3, 2, valid=True)
    for after in (32, 64, 64):
        a = net.conv(x, 64)
        b = net.conv(net.conv(x, 48), 64, 5)
        c = net.conv(net.conv(net.conv(x, 64), 96, 3), 96, 3)
        x = concat(a, b, c, net.conv(net.pool(x, 3, 1), after))
    c = net.conv(net.conv(net.conv(x, 64), 96, 3), 96, 3, 2, valid=True)
    x = concat(net.conv(x, 384, 3, 2, valid=True), net.pool(x, 3, 2, valid=True), c)
    for width in (128, 160, 160, 192):
        x = concat(*_long_branches(net, x, width, 192))
    a = net.conv(net.conv(x, 192), 320, 3, 2, valid=True)
    b = net.conv(net.conv(net.conv(net.conv(x, 192), 192, (7, 1)), 192, (1, 7)), 192, 3, 2, valid=True)
    x = concat(net.pool(x, 3, 2, valid=True), a, b)
    for _ in range(2):
        a, b, c = net.conv(x, 320), net.conv(x, 384), net.conv(net.conv(x, 448), 384, 3)
        d = net.conv(net.pool(x, 3, 1), 192)
        x = concat(a, d, *(net.conv(y, 384, k) for y in (b, c) for k in ((3, 1), (1, 3))))
    net.dense(net.global_pool(x), 1001)
    return net


def _long_branches(net: Net, x: Map, width: int, out: int) -> tuple[Map, ...]:
    """The block of inception v3 with kernels of 1x7 and 7x1."""
    a = net.conv(x, out)
    b = net.conv(net.conv(net.conv(x, width), width, (7, 1)), out, (1, 7))
    c = net.conv(x, width)
    for kernel in ((1, 7), (7, 1), (1, 7)):
        c = net.conv(c, width, kernel)
    return a, b, net.conv(c, out, (7, 1)), net.conv(net.pool(x, 3, 1), out)


def darknet53(net: Net, x: Map) -> tuple[Map, Map, Map]:
    """The backbone of YOLO v3: its maps at strides 8, 16 and 32."""
    x = net.conv(x, 32, 3)
    found = []
    for index, count in enumerate((1, 2, 8, 8, 4)):
        x = net.conv(x, 64 << index, 3, 2)
        for _ in range(count):
            x = net.conv(net.conv(x, x.c // 2), x.c, 3, add=x)
        found.append(x)
    return found[2], found[3], found[4]


def yolo_v3(h: int, w: int, outputs: int) -> Net:
    """YOLO v3 with `outputs` channels per head."""
    net = Net()
    s8, s16, s32 = darknet53(net, image(h, w))
    x, c = s32, 512
    for skip in (s16, s8, None):
        for index in range(5):
            x = net.conv(x, c if index % 2 == 0 else 2 * c, 1 if index % 2 == 0 else 3)
        net.conv(net.conv(x, 2 * c, 3), outputs)
        if skip is not None:
            c //= 2
            x = concat(skip, net.copy(net.conv(x, c), 2))
    return net


def tiny_yolo_v3(size: int = 416, outputs: int = 255) -> Net:
    """Tiny YOLO v3."""
    net = Net()
    x = image(size, size)
    for c in (16, 32, 64, 128):
        x = net.conv(x, c, 3, pool=(2, 2))
    skip = net.conv(x, 256, 3)
    x = net.conv(net.pool(skip, 2, 2), 512, 3, pool=(2, 1))
    x = net.conv(net.conv(x, 1024, 3), 256)
    net.conv(net.conv(x, 512, 3), outputs)
    y = net.copy(net.conv(x, 128), 2)
    net.conv(net.conv(concat(skip, y), 256, 3), outputs)
    return net


_R50, _R101, _R152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)

# What a published name starts with -> the network. The operations count of the name has to agree (see `public`).
PUBLIC: dict[str, Callable[[], Net]] = {
    "cf_resnet50_imagenet_224": lambda: moved_resnet(_R50),
    "tf_resnetv1_50_imagenet_224": lambda: moved_resnet(_R50),
    "tf_resnetv1_101_imagenet_224": lambda: moved_resnet(_R101),
    "tf_resnetv1_152_imagenet_224": lambda: moved_resnet(_R152),
    "tf2_resnet50_imagenet_224": lambda: resnet(_R50),
    "tf_mlperf_resnet50_imagenet_224": lambda: resnet(_R50, stride_in_3x3=True),
    "pt_resnet50_imagenet_224": lambda: resnet(_R50, stride_in_3x3=True),
    "cf_resnet18_imagenet_224": lambda: resnet((2, 2, 2, 2), basic=True),
    "tf_resnetv2_50_imagenet_299": lambda: resnet_v2(_R50),
    "tf_resnetv2_101_imagenet_299": lambda: resnet_v2(_R101),
    "tf_resnetv2_152_imagenet_299": lambda: resnet_v2(_R152),
    "tf_inceptionv1_imagenet_224": inception_v1,
    "cf_inceptionv3_imagenet_299": inception_v3,
    "tf_inceptionv3_imagenet_299": inception_v3,
    "tf2_inceptionv3_imagenet_299": inception_v3,
    "pt_inceptionv3_imagenet_299": inception_v3,
    "tf_vgg16_imagenet_224": lambda: vgg((2, 2, 3, 3, 3)),
    "tf_vgg19_imagenet_224": lambda: vgg((2, 2, 4, 4, 4)),
    "tf_mobilenetv1_1.0_imagenet_224": mobilenet_v1,
    "tf2_mobilenetv1_imagenet_224": mobilenet_v1,
    "tf_mobilenetv1_0.5_imagenet_160": lambda: mobilenet_v1(0.5, 160),
    "tf_mobilenetv1_0.25_imagenet_128": lambda: mobilenet_v1(0.25, 128),
    "tf_mobilenetv2_1.0_imagenet_224": mobilenet_v2,
    "cf_mobilenetv2_imagenet_224": mobilenet_v2,
    "tf_mobilenetv2_1.4_imagenet_224": lambda: mobilenet_v2(1.4),
    "pt_facerec-resnet20_mixed_112_96": sphereface20,
    "cf_facerec-resnet20_112_96": sphereface20,
    "dk_yolov3_voc_416": lambda: yolo_v3(416, 416, 75),
    "tf_yolov3_voc_416": lambda: yolo_v3(416, 416, 75),
    "tf2_yolov3_coco_416": lambda: yolo_v3(416, 416, 255),
    "dk_yolov3_bdd_288_512": lambda: yolo_v3(288, 512, 45),
    "dk_tiny-yolov3_416": tiny_yolo_v3,
}
AGREES = 0.06  # how far a published count may lie from that of the layers: beyond it, it was pruned
COUNTED_BEFORE = {
    "cf_resnet50_imagenet_224": 7.734
}  # before the compiler moved the strides, in giga-operations


def public(name: str, gops: float) -> list[Node] | None:
    """The layers of a published network; None when its architecture is not here.

    A pruned network, whose published count is lower, is taken to have lost the same share of channels in every layer.
    """
    start = next((start for start in PUBLIC if name.startswith(start)), None)
    if start is None:
        return None
    nodes = PUBLIC[start]().nodes
    counted = COUNTED_BEFORE.get(start, _giga(nodes))
    if abs(counted / gops - 1) < AGREES:
        return nodes
    if gops > counted:
        return None
    low, high = 0.05, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if _giga(narrowed(nodes, middle)) < gops else (low, middle)
    return narrowed(nodes, high)


def narrowed(nodes: list[Node], share: float) -> list[Node]:
    """The network with this share of channels in every layer; the image and the last layer keep theirs."""
    first, last = nodes[0].work, nodes[-1].work

    def fewer(work: LayerWork) -> LayerWork:
        ins = work.in_c if work is first else max(1, round(work.in_c * share))
        outs = work.out_c if work is last else max(1, round(work.out_c * share))
        return replace(work, in_c=ins, out_c=outs)

    return [replace(node, work=fewer(node.work)) for node in nodes]


def _giga(nodes: list[Node]) -> float:
    return sum(workload(node.work) for node in nodes) / 1e9
