"""Views for the notebook. They only propose values; the steps decide and act."""
