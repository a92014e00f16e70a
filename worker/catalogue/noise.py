"""The noise that a solver adds between its steps, as part of what a key means. NumPy only.

A latent consistency model needs fresh normal numbers after every step but its last. Here they are the key's own initial
latents, in another order and with other signs at each step. So

* they are a function of the key alone, exact on every machine: nothing is computed but which number goes where;
* they are as normal as the latents are, and at no place related to the number that the latents have there;
* keys that are near have noise that is as near. A hash of the key would give each step of a corridor, and each of the
  eight keys nearby, a picture of its own.

Every byte of it decides pictures, so it never changes.
"""

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from worker.catalogue.key import LATENTS_CODES

Order = npt.NDArray[np.int64]
Signs = npt.NDArray[np.float32]


@lru_cache(maxsize=128)
def noise_order(step: int) -> tuple[Order, Signs]:
    """Where the noise after step 1, 2, … comes from: number i of it is signs[i] · latents[order[i]], of 16,640 in rows.

    SHAKE-256 of "babelia/1/noise", NUL and the step in decimal gives 16,640 big-endian 64-bit numbers. Their indices
    in rising order of the numbers (of equal ones the first comes first) are `order`, and an odd number is the sign −1.

    Worked example: of the numbers 7, 2, 4 the indices are 1, 2, 0 and the signs −1, 1, 1; from latents a, b, c they
    make the noise −b, c, a.
    """
    assert step >= 1, f"noise after step {step}"
    stream = hashlib.shake_256(f"babelia/1/noise\0{step}".encode()).digest(8 * LATENTS_CODES)
    numbers = np.frombuffer(stream, ">u8")
    order = np.argsort(numbers, kind="stable").astype(np.int64)
    signs = (1 - 2 * (numbers & 1).astype(np.int8)).astype(np.float32)
    for part in (order, signs):
        part.flags.writeable = False
    return order, signs
