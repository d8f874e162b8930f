"""How a reward runs: runners, worker processes, Ray Serve deployments, engines."""

import os

# Read by Ray when it is first imported, and this package is the only one that imports it.
_RAY_DEFAULTS = {
    "RAY_AUTH_MODE": "token",  # its ports listen on every interface and unpickle what they receive
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the machine
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what will be the default; silences a warning
    "RAY_SERVE_LOG_TO_STDERR": "0",  # Serve's own log goes to Ray's session folder, not into the router's
}
for _name, _value in _RAY_DEFAULTS.items():
    os.environ.setdefault(_name, _value)
