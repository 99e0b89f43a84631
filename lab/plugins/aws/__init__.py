"""AWS, simulated: the resource types that `components/aws` declares."""
