"""The rendition: what pins the bits of a print. Imports nothing; worker.engine fills it in from what really runs."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Rendition:
    """Two prints of one key have the same pixels where their renditions are equal; elsewhere they may differ."""

    edition: str
    weights: str
    """Digest of the weights, 64 hex digits (worker.editions.weights.weights_digest)."""
    precision: str
    """Of U-Net and VAE: "float32", "bfloat16" or "float16"."""
    batch: int
    """Rows of every run, whether pages or padding."""
    torch: str
    """Versions of torch and of diffusers, whose model classes are run."""
    device: str
    """cpu, cuda or mps."""
    name: str
    """What the device calls itself."""
    instruction_set: str
    threads: int
    kernels: str
    """How the U-Net and the VAE are run: "eager" or "onednn" by our own layers, "diffusers" by the classes of their
    makers; one word where it is the same for both."""
    adapters: str = ""
    """What is fused into the weights, with its strength; mostly nothing. `weights` is the digest of all together."""

    @property
    def facts(self) -> dict[str, str | int]:
        """The fields by name, for JSON."""
        return asdict(self)

    def format(self) -> str:
        """One line, the same for equal renditions and for no others; the weights by the first 16 digits.

        Worked example: "pocket-1 9f86d081884c7d65 float32 batch 1, torch 2.13.0 diffusers 0.42.1, cpu AMD EPYC [AVX512
        VNNI BF16] 2 threads, eager".
        """
        return (
            f"{self.edition} {self.weights[:16]} {self.precision} batch {self.batch}, {self.torch}, "
            f"{self.device} {self.name} [{self.instruction_set}] {self.threads} threads, {self.kernels}"
            + (f", with {self.adapters}" if self.adapters else "")
        )

    def __str__(self) -> str:
        return self.format()
