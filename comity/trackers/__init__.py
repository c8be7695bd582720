"""Trackers, which get a run's numbers in addition to the run directory: TensorBoard, Weights & Biases, trackio, MLflow.

The table names modules as text, so that a run without trackers imports none.
"""

TRACKERS = {  # name: (module:class, the package that it needs, one line)
    "tensorboard": ("comity.trackers.tensorboard:TensorBoard", "tensorboardX", "files in the run directory"),
    "wandb": ("comity.trackers.wandb:Wandb", "wandb", "Weights & Biases, offline unless WANDB_MODE says otherwise"),
    "trackio": ("comity.trackers.trackio:Trackio", "trackio", "a local dashboard: trackio show"),
    "mlflow": ("comity.trackers.mlflow:MLflow", "mlflow", "MLflow, where MLFLOW_TRACKING_URI says, else here"),
}
