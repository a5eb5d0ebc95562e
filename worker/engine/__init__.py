"""The engine: turns requests into images and measures the accelerator seconds they take.

Models come only from local directories. The libraries read these environment variables on import, so they are set
before any module of this package can import them.
"""

import logging
import os

os.environ.update(
    {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DIFFUSERS_DISABLE_REMOTE_CODE": "1",
        "TRANSFORMERS_VERBOSITY": "error",  # at lower levels, prompts that are too long are written to the log
        "DIFFUSERS_VERBOSITY": "error",
    }
)
# On a shared CPU, threads that wait by spinning made a step fifty times as long; threads that sleep at once make it
# half as long again. So they spin for some microseconds, then sleep; an operator may override this.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# If installed, torchao is imported by diffusers and warns about each kernel that this machine cannot run.
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
