"""The engine: requests in, pictures and the accelerator seconds they took out.

Models come from local directories alone. The libraries read these switches when they are imported, so they are set
before any module of this package can import them.
"""

import logging
import os

os.environ.update(
    {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DIFFUSERS_DISABLE_REMOTE_CODE": "1",
        "TRANSFORMERS_VERBOSITY": "error",  # below it, prompts that are too long are written to the log
        "DIFFUSERS_VERBOSITY": "error",
    }
)
# On a CPU that others use too, threads that wait by spinning made a step fifty times as long; threads that fall asleep
# at once make it half as long again. So they spin for some microseconds, then sleep; an operator may differ.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# diffusers imports torchao where it is installed, which warns of each of its kernels that this machine cannot run.
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
