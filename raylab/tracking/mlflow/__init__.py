"""The tracker that speaks MLflow."""
