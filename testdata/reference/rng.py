"""The random streams of internal/rng in NumPy, so that Go and Python fill the same weights from the same seed.

    from rng import Stream, text
    w = Stream(7, text("layer1.0.conv1.weight")).uniform(-0.05, 0.05, (64, 64, 3, 3))
"""
import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(z):
    with np.errstate(over="ignore"):
        z = np.asarray(z, np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def text(s):
    h = 14695981039346656037
    for b in s.encode():
        h = ((h ^ b) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return h


class Stream:
    def __init__(self, *parts):
        key = np.uint64(0)
        with np.errstate(over="ignore"):
            for p in parts:
                key = mix(key + GOLDEN + mix(np.uint64(p) + GOLDEN))
        self.key, self.n = key, 0

    def uint64(self, count):
        with np.errstate(over="ignore"):
            z = self.key + np.arange(self.n + 1, self.n + count + 1, dtype=np.uint64) * GOLDEN
        self.n += count
        return mix(z)

    def float64(self, count):
        return (self.uint64(count) >> np.uint64(11)).astype(np.float64) / 2.0**53

    def uniform(self, lo, hi, shape, dtype=np.float32):
        return (lo + (hi - lo) * self.float64(int(np.prod(shape)))).astype(dtype).reshape(shape)

    def normal(self, shape, dtype=np.float32):
        u = self.float64(2 * int(np.prod(shape)))
        return (np.sqrt(-2 * np.log(1 - u[0::2])) * np.cos(2 * np.pi * u[1::2])).astype(dtype).reshape(shape)


if __name__ == "__main__":
    s = Stream(7, 3)
    print([hex(int(v)) for v in s.uint64(3)], repr(float(s.float64(1)[0])), hex(text("conv1.weight")), repr(float(s.normal((1,), np.float64)[0])))
