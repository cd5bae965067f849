"""Controllers: each watches one kind of object and brings the cluster nearer to what it says."""
