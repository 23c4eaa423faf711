"""Networks on images and volumes, as people write them, at a size that a test can train."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  its usual name


def conv_bn(cin: int, cout: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class BasicBlock(nn.Module):
    """He et al., Deep Residual Learning, 2016."""

    def __init__(self, cin: int, cout: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    """Two blocks in each of four stages, narrow."""

    def __init__(self, width: int = 8, classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        self.layers = nn.ModuleList(
            nn.Sequential(BasicBlock(a, b, 1 if index == 0 else 2), BasicBlock(b, b, 1))
            for index, (a, b) in enumerate(pairwise(widths))
        )
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(image))))
        for layer in self.layers:
            x = layer(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Bottleneck(nn.Module):
    """Inverted bottleneck with squeeze-and-excitation: Howard et al., Searching for MobileNetV3, 2019."""

    def __init__(self, cin: int, cout: int, expand: int, stride: int):
        super().__init__()
        hidden = cin * expand
        self.body = nn.Sequential(
            nn.Conv2d(cin, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(),
        )  # fmt: skip
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(hidden, hidden // 4, 1), nn.ReLU(), nn.Conv2d(hidden // 4, hidden, 1),
            nn.Hardsigmoid(),
        )  # fmt: skip
        self.project = nn.Sequential(nn.Conv2d(hidden, cout, 1, bias=False), nn.BatchNorm2d(cout))
        self.residual = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        y = self.project(y * self.squeeze(y))
        return x + y if self.residual else y


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, 8, stride=2)
        self.blocks = nn.Sequential(Bottleneck(8, 8, 2, 1), Bottleneck(8, 12, 4, 2), Bottleneck(12, 12, 4, 1))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, 7))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean([2, 3]))


def vgg() -> nn.Module:
    """Simonyan and Zisserman, 2015."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (8, "M", 16, 16, "M"):
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(channels, int(width), 3, padding=1), nn.ReLU(inplace=True)]
            channels = int(width)
    head = [
        nn.AdaptiveAvgPool2d((2, 2)),
        nn.Flatten(),
        nn.Linear(64, 32),
        nn.ReLU(True),
        nn.Dropout(),
        nn.Linear(32, 5),
    ]
    return nn.Sequential(*layers, *head)


class UNet(nn.Module):
    """Ronneberger et al., 2015: skips by concatenation, one way up by transposed convolution, one by interpolation."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.bottom = conv_bn(1, 6), conv_bn(6, 12), conv_bn(12, 24)
        self.up2 = nn.ConvTranspose2d(24, 12, 2, stride=2)
        self.merge2, self.merge1 = conv_bn(24, 12), conv_bn(18, 6)
        self.out = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.down1(x)
        two = self.down2(F.max_pool2d(one, 2))
        low = self.bottom(F.max_pool2d(two, 2))
        up = self.merge2(torch.cat([two, self.up2(low)], dim=1))
        up = F.interpolate(up, scale_factor=2, mode="bilinear", align_corners=False)
        up = F.pad(up, [0, one.shape[3] - up.shape[3], 0, one.shape[2] - up.shape[2]])
        return self.out(self.merge1(torch.cat([one, up], dim=1)))


class DenseNet(nn.Module):
    """Huang et al., 2017."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.dense = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(8 + 4 * i), nn.ReLU(), nn.Conv2d(8 + 4 * i, 4, 3, padding=1)) for i in range(3)
        )
        self.transition = nn.Sequential(nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1), nn.AvgPool2d(2))
        self.fc = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        features = [self.stem(x)]
        for layer in self.dense:
            features.append(layer(torch.cat(features, 1)))
        x = self.transition(torch.cat(features, 1))
        return self.fc(F.adaptive_avg_pool2d(F.relu(x), 1).view(x.size(0), -1))


class Inception(nn.Module):
    """Szegedy et al., 2015: branches of several kernel sizes, and an auxiliary output."""

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, 8)
        self.b1 = nn.Conv2d(8, 4, 1)
        self.b3 = nn.Sequential(
            nn.Conv2d(8, 4, 1), nn.Conv2d(4, 6, (1, 3), padding=(0, 1)), nn.Conv2d(6, 6, (3, 1), padding=(1, 0))
        )
        self.b5 = nn.Sequential(nn.Conv2d(8, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(2, 4, 5, padding="same"))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(8, 4, 1))
        self.main, self.aux = nn.Linear(18, 6), nn.Linear(8, 6)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        y = torch.cat([self.b1(x), self.b3(x), self.b5(x), self.pool(x)], 1)
        return {"logits": self.main(y.amax((2, 3))), "aux": self.aux(x.mean((-1, -2)))}


class ShuffleNet(nn.Module):
    """Ma et al., ShuffleNet V2, 2018: channels are split, and shuffled by a view."""

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, 8)
        self.branch = nn.Sequential(conv_bn(4, 4, 1), nn.Conv2d(4, 4, 3, 1, 1, groups=4), nn.BatchNorm2d(4))
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.stem(x).chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        batch, channels, height, width = x.size()
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        return self.fc(x.view(batch, -1, height, width).mean((2, 3)))


class ConvNeXt(nn.Module):
    """Liu et al., 2022: layer normalisation over channels, layer scale, gelu."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 4, stride=4)
        self.depthwise = nn.Conv2d(12, 12, 7, padding=3, groups=12)
        self.norm = nn.LayerNorm(12, eps=1e-6)
        self.up, self.down = nn.Linear(12, 24), nn.Linear(24, 12)
        self.gamma = nn.Parameter(torch.full((12,), 0.1))
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.gamma * self.down(F.gelu(self.up(self.norm(y)), approximate="tanh"))
        return self.head((x + y.permute(0, 3, 1, 2)).mean([-2, -1]))


class GroupNormNet(nn.Module):
    """Group and instance normalisation, reflection padding, nearest upsampling: what style transfer is made of."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.SiLU(), nn.ReplicationPad2d(1),
            nn.Conv2d(8, 8, 3, stride=2), nn.InstanceNorm2d(8, affine=True), nn.Mish(),
        )  # fmt: skip
        self.up = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(8, 3, 3, padding=1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))


class SuperResolution(nn.Module):
    """Shi et al., 2016: sub-pixel convolution on top of an upsampled input."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 5, padding=2), nn.PReLU(8), nn.Conv2d(8, 4, 3, padding=1), nn.PixelShuffle(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + F.interpolate(x, scale_factor=2, mode="bicubic")).clamp(0.0, 1.0)


class ONet(nn.Module):
    """The last network of MTCNN (Zhang et al., 2016): PReLU, pooling with ceil_mode, three heads."""

    def __init__(self):
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 8, 3), nn.PReLU(8)
        self.conv2, self.prelu2 = nn.Conv2d(8, 16, 3), nn.PReLU(16)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.dense, self.prelu3 = nn.Linear(16, 32), nn.PReLU(32)
        self.heads = nn.ModuleList([nn.Linear(32, 2), nn.Linear(32, 4), nn.Linear(32, 10)])
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.pool(self.prelu1(self.conv1(x)))
        x = self.pool(self.prelu2(self.conv2(x)))
        x = x.permute(0, 3, 2, 1).contiguous()
        x = self.prelu3(self.dense(x.view(x.shape[0], -1)))
        return self.heads[1](x), self.heads[2](x), self.softmax(self.heads[0](x))


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 6, 3, 2, 1), nn.ELU(), nn.Conv2d(6, 8, 3, 2, 1), nn.Flatten(), nn.Linear(32, 5)
        )
        self.decoder = nn.Sequential(
            nn.Linear(5, 32), nn.CELU(), nn.Unflatten(1, (8, 2, 2)),
            nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1), nn.SELU(),
            nn.ConvTranspose2d(6, 1, 4, 2, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(x)
        return self.decoder(code), code


class Siamese(nn.Module):
    """One tower for two inputs, compared by distance and by cosine."""

    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(24, 8)
        )

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        a, b = F.normalize(self.tower(left), dim=1), self.tower(right)
        return F.pairwise_distance(a, b), F.cosine_similarity(a, b, dim=1)


class Volume(nn.Module):
    """Three-dimensional convolutions with pooling, instance normalisation and trilinear upsampling."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 4, 3, padding=1)
        self.norm = nn.InstanceNorm3d(4)
        self.up = nn.ConvTranspose3d(4, 2, 2, stride=2)
        self.out = nn.Conv3d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.avg_pool3d(F.leaky_relu(self.norm(self.conv(x))), 2)
        smooth = F.interpolate(y, scale_factor=2.0, mode="trilinear", align_corners=True)
        return self.out(torch.cat([self.up(y), smooth], dim=1))


class SpatialTransformer(nn.Module):
    """Jaderberg et al., 2015: the network samples its own input through a grid."""

    def __init__(self):
        super().__init__()
        self.locate = nn.Sequential(nn.Flatten(), nn.Linear(64, 6))
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        theta = self.locate(x).view(-1, 2, 3) * 0.1 + torch.eye(2, 3)
        grid = F.affine_grid(theta, list(x.size()), align_corners=False)
        x = F.grid_sample(x, grid, align_corners=False)
        return self.fc(torch.logsumexp(self.conv(x).flatten(2), dim=-1))
