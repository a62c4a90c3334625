"""tunegate: the GitOps toolkit with which a company fine-tunes language models."""

import os

__version__ = "0.1.0"

TELEMETRY_OFF = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""No library that tunegate starts reports home, unless the environment says otherwise."""

for _name, _value in TELEMETRY_OFF.items():
    os.environ.setdefault(_name, _value)
