"""The nodes: kubelets that let pods behave as their releases do, and what pods answer and print."""
