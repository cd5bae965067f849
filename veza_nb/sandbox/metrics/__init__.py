"""What the cluster's pods, workloads and nodes measure, computed when somebody asks."""
