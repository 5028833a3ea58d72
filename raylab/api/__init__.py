"""What `import raylab` offers: the laboratory as functions on tensors, without config, store, Ray or MLflow."""
