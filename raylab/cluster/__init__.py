"""Ray: Data maps shards over actors, Tune runs tasks. Knows stages and stores, nothing of networks or attacks.

Importing any part of it first sets the environment that Ray reads once, when it is imported itself.
"""

import logging
import os
import secrets

# Whoever set one keeps his choice.
DEFAULTS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the machine unasked
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # workers are not created anew under `uv run`
    # Every pool of actors logs an error about its constructor's arguments (ray issue 53727) that means nothing here.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # An autoscaler that has as many nodes as it may warns of each waiting trial every 5 s ("No available node types can
    # fulfill ..."). Ray can only leave out all its lines in the driver; they stay in the head's event_AUTOSCALER.log.
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",  # raylab shows its own progress
    "RAY_AIR_NEW_OUTPUT": "0",  # the older output is the one that can be silenced (tasks.py)
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # results are in the store; no csv, json, tensorboard beside them
    # Tune takes a snapshot at every checkpoint and warns of that; they are half a minute apart.
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # A driver that is killed forgets what happened since Tune's last snapshot; Tune's own interval grows with its cost.
    "TUNE_GLOBAL_CHECKPOINT_S": "1",
    # An actor whose trial was stopped is used again when it has left the trial; one that is busy needs longer than 2 s.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the job, not only the Tuner
}
for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)
if not os.environ.get("RAY_ADDRESS") and "RAY_AUTH_MODE" not in os.environ:
    # A cluster that is started here lives as long as its driver, and so does its token: none is written to the home.
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))

# raylab tells of its progress itself; what is silenced here are complaints about the result files that are off (above).
logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
