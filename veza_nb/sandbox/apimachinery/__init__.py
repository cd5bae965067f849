"""What all of Kubernetes agrees on: kinds, schemas, selectors, quantities, errors, encodings."""
